import type { Ambient } from "../core/ambient.ts";
import { replyErrorCode } from "../redis/connection/reply-error.ts";
import type { Connection } from "../redis/connection/connection.ts";
import { MOST_PUBLISHED } from "../redis/outgoing-frames.ts";
import type { EmitResult, OutgoingFrame } from "../redis/outgoing-frames.ts";
import type { Stores } from "../redis/stores.ts";
import type { WorkerMetrics } from "../telemetry/worker-metrics.ts";
import { Outbox } from "./outbox.ts";

/** Tasks per script call: keeps one call below half a millisecond of Redis. */
const TASKS_PER_CALL = 256;

/** Time after a reconnect in which `gone` is not believed (ms): gateways create lost reply streams again. */
const HOLD_MS = 3000;
const HOLD_RETRY_MS = 200;

/** Most bytes of large replies that one worker has in Redis, unread: one of the largest. */
const MOST_LARGE_BYTES = 128 * 1024 * 1024;

/** Interval of the checks for large replies that gateways have fetched, while others wait (ms). */
const LARGE_CHECK_MS = 100;

export interface EmitterOptions {
  readonly connection: Connection;
  readonly stores: Pick<Stores, "replies">;
  readonly worker: string;
  readonly ambient: Pick<Ambient, "mono">;
  readonly metrics: Pick<WorkerMetrics, "emitted" | "fenced">;
}

/**
 * Sends the frames of all attempts. All frames of one event-loop turn go out in one script call per gateway. A task has
 * one frame in flight at most; several calls may be in flight. A frame is sent, unchanged, until Redis has given a
 * definite answer.
 */
export class Emitter {
  readonly #options: EmitterOptions;
  /** By gateway. Each turn has a new map: a cleared one keeps the memory of its past, see core/id-table.ts. */
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
      this.#reconnectedAt = options.ambient.mono();
      const parked = [...this.#parked];
      this.#parked.clear();
      for (const outbox of parked) this.#ready(outbox);
    });
  }

  /** Returns an empty reply of one attempt, which this sends as it is written. */
  open(reply: { readonly task: string; readonly stream: boolean; readonly attempt: number }): Outbox {
    const { worker, ambient } = this.#options;
    return new Outbox({ ...reply, worker, ready: this.#ready, ambient });
  }

  stop(): void {
    this.#large.stop();
    for (const timer of this.#timers) clearTimeout(timer);
  }

  /** An outbox has something to send. */
  readonly #ready = (outbox: Outbox): void => {
    const outboxes = this.#dirty.get(outbox.tag);
    if (outboxes === undefined) this.#dirty.set(outbox.tag, [outbox]);
    else outboxes.push(outbox);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#flush);
  };

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
    let bytes = 0;
    for (const outbox of outboxes) {
      const frame = outbox.next();
      if (frame === undefined) continue;
      if (frame.last && !this.#large.admits(frame)) {
        this.#large.wait(() => this.#ready(outbox));
        continue;
      }
      bytes += frame.bytes.length;
      frames.push(frame);
      senders.push(outbox);
    }
    if (frames.length === 0) return;
    const { stores, metrics } = this.#options;
    try {
      const results = await stores.replies.emit(tag, frames);
      metrics.emitted(frames.length, bytes);
      for (const [index, outbox] of senders.entries()) this.#settle(outbox, results[index] ?? "gone");
    } catch (error) {
      this.#park(senders, error);
    }
  }

  #settle(outbox: Outbox, result: EmitResult): void {
    if (result === "accepted") {
      outbox.accepted();
    } else if (result === "refused") {
      this.#retryLater(outbox);
    } else if (result === "gone" && this.#options.ambient.mono() - this.#reconnectedAt < HOLD_MS) {
      this.#retryLater(outbox);
    } else {
      if (result === "fenced") this.#options.metrics.fenced();
      outbox.close(result);
    }
  }

  /** A Redis that refuses (loading, out of memory, read-only replica) gets the frame again, like one that was away. */
  #park(outboxes: readonly Outbox[], error: unknown): void {
    for (const outbox of outboxes) {
      if (replyErrorCode(error) === "" && !this.#options.connection.ready) this.#parked.add(outbox);
      else this.#retryLater(outbox);
    }
  }

  #retryLater(outbox: Outbox): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#ready(outbox);
    }, HOLD_RETRY_MS);
    this.#timers.add(timer);
  }
}

/**
 * Bounds the memory of Redis that large replies take. Each lies there whole until its gateway has fetched it, and many
 * may be ready at once. A reply without room stays with its worker, and its task keeps its slot.
 */
export class LargeFrames {
  readonly #options: Pick<EmitterOptions, "stores">;
  /** Bytes in Redis, by task. */
  readonly #held = new Map<string, number>();
  #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: Pick<EmitterOptions, "stores">) {
    this.#options = options;
  }

  /** Returns true when a frame may be sent now; otherwise it may {@link wait}. */
  admits({ task, last, bytes }: OutgoingFrame): boolean {
    if (!last || bytes.length <= MOST_PUBLISHED || this.#held.has(task)) return true;
    const sum = [...this.#held.values()].reduce((one, other) => one + other, bytes.length);
    if (this.#held.size > 0 && sum > MOST_LARGE_BYTES) return false;
    this.#held.set(task, bytes.length);
    return true;
  }

  /** Calls `retry` once, when there may be room for a frame that was not admitted. */
  wait(retry: () => void): void {
    this.#waiting.push(retry);
    this.#timer ??= setTimeout(() => void this.#check(), LARGE_CHECK_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** Forgets replies that are gone: a fetched one was unlinked, one that no gateway fetches expires. */
  async #check(): Promise<void> {
    const tasks = [...this.#held.keys()];
    // With Redis away nothing is known, and nothing can be sent.
    const open = await this.#options.stores.replies.openAmong(tasks).catch(() => new Set(tasks));
    for (const task of tasks) if (!open.has(task)) this.#held.delete(task);
    this.#timer = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const retry of waiting) retry();
  }
}
