import type { Part, ToolDelta } from "../core/chat.ts";
import { Fault } from "../core/fault.ts";
import { append } from "../core/long-lists.ts";
import { ObjectScanner } from "../wire/json-value.ts";
import { parseArguments } from "./tool-arguments.ts";

/**
 * A reply as a sequence of blocks, as in Anthropic's messages and OpenAI's responses. Parts may alternate between
 * kinds, and fragments of tool calls may interleave. Blocks may not.
 */
export interface Block {
  /** Index in the reply, from 0. */
  readonly index: number;
  readonly type: "text" | "thinking" | "tool";
  /** Present for a tool call with an id from its backend. */
  readonly id: string | undefined;
  readonly name: string;
  /** The text, or a tool call's arguments so far: JSON, unless the model wrote something else. */
  readonly text: string;
}

/** One step of a stream of blocks. Exactly one block is open between its `open` and its `close`. */
export type BlockStep =
  | { readonly step: "open"; readonly block: Block }
  /** `text` continues the earlier deltas of this block. */
  | { readonly step: "delta"; readonly block: Block; readonly text: string }
  /** The block's text is complete. */
  | { readonly step: "close"; readonly block: Block };

export type Delta = Extract<Part, { type: "text-delta" | "thinking-delta" | "tool-delta" }>;

interface OpenBlock extends Block {
  text: string;
  /** Finds the end of a tool call's arguments. */
  readonly scanner: ObjectScanner;
  /** True when text other than blanks follows the end of the arguments. */
  isOverrun: boolean;
  /** True when the arguments are a JSON object; undefined before they were parsed. */
  isObject: boolean | undefined;
}

/**
 * Sorts the deltas of a reply into blocks. The open block gets its deltas as they come. Later blocks wait until it is
 * complete. A text is complete when another kind follows, a tool call when its arguments are a JSON object.
 */
export class BlockSequence {
  readonly #blocks: OpenBlock[] = [];
  readonly #calls = new Map<number, OpenBlock>();
  /** Index of the open block; -1 before the first. */
  #open = -1;

  /** All blocks so far, in order. */
  get blocks(): readonly Block[] {
    return this.#blocks;
  }

  /** Throws `backend_lost` for more arguments of a complete tool call. */
  push(delta: Delta): BlockStep[] {
    if (delta.type === "tool-delta") return this.#pushCall(delta);
    if (delta.text === "") return [];
    const type = delta.type === "text-delta" ? "text" : "thinking";
    const last = this.#blocks.at(-1);
    const block = last?.type === type ? last : this.#add({ type, id: undefined, name: "" });
    return this.#append(block, delta.text);
  }

  /** The reply is complete: closes all blocks. */
  end(): BlockStep[] {
    const steps: BlockStep[] = [];
    while (this.#open < this.#blocks.length) append(steps, this.#next());
    return steps;
  }

  #pushCall(delta: ToolDelta): BlockStep[] {
    let block = this.#calls.get(delta.index);
    if (block === undefined) {
      block = this.#add({ type: "tool", id: delta.id, name: delta.name ?? "" });
      this.#calls.set(delta.index, block);
    }
    return this.#append(block, delta.arguments);
  }

  #add(kind: Pick<Block, "type" | "id" | "name">): OpenBlock {
    const block: OpenBlock = {
      index: this.#blocks.length,
      ...kind,
      text: "",
      scanner: new ObjectScanner(),
      isOverrun: false,
      isObject: undefined,
    };
    this.#blocks.push(block);
    return block;
  }

  #append(block: OpenBlock, text: string): BlockStep[] {
    if (block.index < this.#open) {
      if (text.trim() === "") return [];
      throw new Fault("backend_lost", "the backend continued a complete tool call");
    }
    block.text += text;
    if (block.type === "tool") scanArguments(block, text);
    const deltas: BlockStep[] =
      block.index === this.#open && text !== "" ? [{ step: "delta", block, text }] : [];
    return [...deltas, ...this.#advance()];
  }

  /** Opens later blocks while the open one is complete. */
  #advance(): BlockStep[] {
    const steps: BlockStep[] = [];
    while (this.#open + 1 < this.#blocks.length) {
      const block = this.#blocks[this.#open];
      if (block !== undefined && !isComplete(block)) break;
      append(steps, this.#next());
    }
    return steps;
  }

  /** Closes the open block, and opens the one behind it if there is one. */
  #next(): BlockStep[] {
    const steps: BlockStep[] = [];
    const closing = this.#blocks[this.#open];
    if (closing !== undefined) steps.push({ step: "close", block: closing });
    this.#open += 1;
    const block = this.#blocks[this.#open];
    if (block === undefined) return steps;
    steps.push({ step: "open", block });
    if (block.text !== "") steps.push({ step: "delta", block, text: block.text });
    return steps;
  }
}

const NOT_BLANK = /[^ \t\r\n]/;

function scanArguments(block: OpenBlock, text: string): void {
  const scanned = block.scanner.push(text);
  block.isOverrun ||= scanned.length < text.length && NOT_BLANK.test(text.slice(scanned.length));
}

function isComplete(block: OpenBlock): boolean {
  if (block.type !== "tool") return true;
  if (block.scanner.state !== "complete" || block.isOverrun) return false;
  block.isObject ??= parseArguments(block.text) !== undefined;
  return block.isObject;
}
