import { replyErrorCode } from "../redis/reply-error.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { emit } from "../redis/reply-stream.ts";
import type { EmitResult, OutgoingFrame } from "../redis/reply-stream.ts";
import { LargeFrames } from "./large-frames.ts";
import type { Outbox } from "./outbox.ts";

/** Tasks per script call: keeps one call below half a millisecond of Redis. */
const TASKS_PER_CALL = 256;

/** After a reconnect gateways create lost reply streams again: for so long `gone` is not believed. */
const HOLD_MS = 3000;
const HOLD_RETRY_MS = 200;

export interface EmitterOptions {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly mono: () => number;
  readonly onEmitted: (frames: number, bytes: number) => void;
  readonly onFenced: () => void;
}

/**
 * Sends the frames of all attempts. Everything that became ready in one event-loop turn goes out in one script call
 * per gateway; a task never has two frames in flight, several calls may be. A frame is sent, unchanged, until Redis
 * has given a definite answer.
 */
export class Emitter {
  readonly #options: EmitterOptions;
  /** By gateway. A new one each turn: of one that is cleared the past would stay, see core/id-table.ts. */
  #dirty = new Map<string, Outbox[]>();
  /** Frames whose call was cut off: sent again at the reconnect. */
  readonly #parked = new Set<Outbox>();
  readonly #large: LargeFrames;
  readonly #timers = new Set<NodeJS.Timeout>();
  #scheduled = false;
  #reconnectedAt = Number.NEGATIVE_INFINITY;

  constructor(options: EmitterOptions) {
    this.#options = options;
    this.#large = new LargeFrames(options);
    options.connection.onReconnect(() => {
      this.#reconnectedAt = options.mono();
      const parked = [...this.#parked];
      this.#parked.clear();
      for (const outbox of parked) this.ready(outbox);
    });
  }

  /** An outbox has something to send. */
  readonly ready = (outbox: Outbox): void => {
    if (outbox.waiting) return;
    outbox.waiting = true;
    const outboxes = this.#dirty.get(outbox.tag);
    if (outboxes === undefined) this.#dirty.set(outbox.tag, [outbox]);
    else outboxes.push(outbox);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#flush);
  };

  stop(): void {
    this.#large.stop();
    for (const timer of this.#timers) clearTimeout(timer);
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    const dirty = this.#dirty;
    this.#dirty = new Map();
    for (const [tag, outboxes] of dirty) {
      for (let from = 0; from < outboxes.length; from += TASKS_PER_CALL) {
        void this.#send(tag, outboxes.slice(from, from + TASKS_PER_CALL));
      }
    }
  };

  async #send(tag: string, outboxes: readonly Outbox[]): Promise<void> {
    const frames: OutgoingFrame[] = [];
    const senders: Outbox[] = [];
    for (const outbox of outboxes) {
      outbox.waiting = false;
      const frame = outbox.next();
      if (frame === undefined || !this.#large.admits(frame, () => this.ready(outbox))) continue;
      frames.push(frame);
      senders.push(outbox);
    }
    if (frames.length === 0) return;
    try {
      const results = await emit(this.#options.connection, this.#options.keys, tag, frames);
      this.#count(frames);
      for (const [index, outbox] of senders.entries()) this.#answer(outbox, results[index] ?? "gone");
    } catch (error) {
      this.#park(senders, error);
    }
  }

  #count(frames: readonly OutgoingFrame[]): void {
    let bytes = 0;
    for (const frame of frames) bytes += frame.bytes.length;
    this.#options.onEmitted(frames.length, bytes);
  }

  #answer(outbox: Outbox, result: EmitResult): void {
    if (result === "accepted") {
      outbox.accepted();
    } else if (result === "refused") {
      this.#retryLater(outbox);
    } else if (result === "gone" && this.#options.mono() - this.#reconnectedAt < HOLD_MS) {
      this.#retryLater(outbox);
    } else {
      if (result === "fenced") this.#options.onFenced();
      outbox.close(result);
    }
  }

  /** A Redis that refuses (loading, out of memory, read-only replica) is asked again like one that was away. */
  #park(outboxes: readonly Outbox[], error: unknown): void {
    for (const outbox of outboxes) {
      if (replyErrorCode(error) === "" && !this.#options.connection.ready) this.#parked.add(outbox);
      else this.#retryLater(outbox);
    }
  }

  #retryLater(outbox: Outbox): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.ready(outbox);
    }, HOLD_RETRY_MS);
    this.#timers.add(timer);
  }
}
