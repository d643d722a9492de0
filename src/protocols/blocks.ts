import type { Part } from "../core/chat.ts";
import { Fault } from "../core/fault.ts";
import { append } from "../core/long-lists.ts";
import { argumentsOf } from "./arguments.ts";
import { ObjectEnd } from "./object-end.ts";

/**
 * A reply as blocks, one after another: the form of Anthropic's messages and of OpenAI's responses. Parts may
 * change between kinds as they like, and fragments of several tool calls may be mixed; blocks may not.
 */
export interface Block {
  /** Place in the reply, from 0. */
  readonly index: number;
  readonly type: "text" | "thinking" | "tool";
  /** Of a tool call; undefined when the backend gave it none. */
  readonly id: string | undefined;
  readonly name: string;
  /** The text, or a tool call's arguments as far as they are known: JSON, unless the model wrote something else. */
  readonly text: string;
}

/** What a stream tells next. Exactly one block is open between its `open` and its `close`. */
export type BlockStep =
  | { readonly step: "open"; readonly block: Block }
  /** `text` follows what the deltas of this block said before. */
  | { readonly step: "delta"; readonly block: Block; readonly text: string }
  /** The block's text is complete. */
  | { readonly step: "close"; readonly block: Block };

export type Delta = Extract<Part, { type: "text-delta" | "thinking-delta" | "tool-delta" }>;

interface OpenBlock extends Block {
  text: string;
  /** The end of a tool call's arguments. */
  readonly end: ObjectEnd;
  /** Whether the object that has ended is one; undefined as long as it was not looked at. */
  isObject: boolean | undefined;
}

/**
 * Puts the deltas of a reply in blocks. The block that is open gets its deltas as they come. Those behind it wait
 * until it is complete: a text is when anything else has come, a tool call when its arguments are a JSON object.
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

  /** Throws `backend_lost` when the backend goes on with a tool call that was complete. */
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

  #pushCall(delta: Extract<Delta, { type: "tool-delta" }>): BlockStep[] {
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
      end: new ObjectEnd(),
      isObject: undefined,
    };
    this.#blocks.push(block);
    return block;
  }

  #append(block: OpenBlock, text: string): BlockStep[] {
    if (block.index < this.#open) {
      if (text.trim() === "") return [];
      throw new Fault("backend_lost", "the backend went on with a tool call that was complete");
    }
    block.text += text;
    if (block.type === "tool") block.end.add(text);
    const told: BlockStep[] =
      block.index === this.#open && text !== "" ? [{ step: "delta", block, text }] : [];
    return [...told, ...this.#advance()];
  }

  /** Goes on to the blocks behind the open one as far as those before them are complete. */
  #advance(): BlockStep[] {
    const steps: BlockStep[] = [];
    while (this.#open + 1 < this.#blocks.length) {
      const block = this.#blocks[this.#open];
      if (block !== undefined && !isComplete(block)) break;
      append(steps, this.#next());
    }
    return steps;
  }

  /** Closes the open block and opens the one behind it, each if there is one. */
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

function isComplete(block: OpenBlock): boolean {
  if (block.type !== "tool") return true;
  if (!block.end.closed) return false;
  block.isObject ??= argumentsOf(block.text) !== undefined;
  return block.isObject;
}
