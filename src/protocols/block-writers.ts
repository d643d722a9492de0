import type { End, Part } from "../core/chat.ts";
import { type Block, BlockSequence, type BlockStep } from "./blocks.ts";
import { unexpectedPart } from "./codec.ts";
import type { ReplyWriter } from "./codec.ts";

/** Gathers the blocks of a reply and writes one object at its end. */
export class BlockObjectWriter implements ReplyWriter {
  readonly contentType = "application/json";
  readonly #sequence = new BlockSequence();
  readonly #object: (end: End, blocks: readonly Block[]) => object;

  /** @param object builds the reply from all blocks; may throw a Fault */
  constructor(object: (end: End, blocks: readonly Block[]) => object) {
    this.#object = object;
  }

  write(part: Part): string {
    switch (part.type) {
      case "text-delta":
      case "thinking-delta":
      case "tool-delta":
        this.#sequence.push(part);
        return "";
      case "embedding":
        throw unexpectedPart(part);
      case "end":
        return JSON.stringify(this.#object(part, this.#sequence.blocks));
    }
  }
}

/** Encodes a reply of blocks as events in a dialect. Every method returns whole events. */
export interface BlockEvents {
  /** Before the first block. */
  start(): string;
  /**
   * @param blocks all blocks so far
   * @param end the end of the reply, with its last steps
   */
  steps(steps: readonly BlockStep[], blocks: readonly Block[], end: End | undefined): string;
  /** After the last block. */
  end(end: End, blocks: readonly Block[]): string;
}

/** Writes the events of a reply as its blocks come. */
export class BlockStreamWriter implements ReplyWriter {
  readonly contentType = "text/event-stream";
  readonly #sequence = new BlockSequence();
  readonly #events: BlockEvents;
  #started = false;

  constructor(events: BlockEvents) {
    this.#events = events;
  }

  write(part: Part): string {
    const { blocks } = this.#sequence;
    switch (part.type) {
      case "text-delta":
      case "thinking-delta":
      case "tool-delta":
        return this.#start() + this.#events.steps(this.#sequence.push(part), blocks, undefined);
      case "embedding":
        throw unexpectedPart(part);
      case "end":
        return (
          this.#start() +
          this.#events.steps(this.#sequence.end(), blocks, part) +
          this.#events.end(part, blocks)
        );
    }
  }

  #start(): string {
    if (this.#started) return "";
    this.#started = true;
    return this.#events.start();
  }
}
