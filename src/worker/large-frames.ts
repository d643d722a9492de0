import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { MOST_PUBLISHED, openAmong } from "../redis/reply-stream.ts";
import type { OutgoingFrame } from "../redis/reply-stream.ts";

/** Bytes of large replies that one worker has in Redis, unread: one of the largest. */
const MOST_BYTES = 128 * 1024 * 1024;

/** How often it is looked whether their gateways have fetched them, while others wait, ms. */
const LOOK_MS = 100;

export interface LargeFramesOptions {
  readonly connection: Connection;
  readonly keys: Keys;
}

/**
 * Bounds what large replies take in Redis: each lies there whole until its gateway has fetched it, and many may be ready
 * at once. Replies without room stay with their worker, and their task with its slot.
 */
export class LargeFrames {
  readonly #options: LargeFramesOptions;
  /** Bytes in Redis, by task. */
  readonly #held = new Map<string, number>();
  #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LargeFramesOptions) {
    this.#options = options;
  }

  /** True when a frame may be sent now. Else `again` is called when that should be asked again. */
  admits({ task, last, bytes }: OutgoingFrame, again: () => void): boolean {
    if (!last || bytes.length <= MOST_PUBLISHED || this.#held.has(task)) return true;
    const sum = [...this.#held.values()].reduce((one, other) => one + other, bytes.length);
    if (this.#held.size === 0 || sum <= MOST_BYTES) {
      this.#held.set(task, bytes.length);
      return true;
    }
    this.#waiting.push(again);
    this.#plan();
    return false;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #plan(): void {
    this.#timer ??= setTimeout(() => void this.#look(), LOOK_MS);
  }

  /** Forgets replies that are gone: a fetched one was unlinked, one that no gateway fetches expires. */
  async #look(): Promise<void> {
    const { connection, keys } = this.#options;
    const tasks = [...this.#held.keys()];
    // With Redis away nothing is known, and nothing can be sent.
    const open = await openAmong(connection, keys, tasks).catch(() => new Set(tasks));
    for (const task of tasks) if (!open.has(task)) this.#held.delete(task);
    this.#timer = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const again of waiting) again();
  }
}
