import { Fault } from "../core/fault.ts";
import { isOver } from "../core/phase.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { pendingEntry } from "../redis/pending.ts";
import type { PendingEntry } from "../redis/pending.ts";
import { isQueued } from "../redis/task-stream.ts";
import type { Exchange } from "./exchange.ts";
import type { Replies } from "./replies.ts";

/** A task that is not to end yet is looked at again after this at the earliest, ms. */
const AGAIN_MS = 1000;

export interface QueueWatchOptions {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly replies: Pick<Replies, "hasNews">;
  readonly leaseMs: number;
  readonly mono: () => number;
}

/**
 * Ends tasks that have waited too long for a worker. Only Redis knows whether one has a task before its first frame:
 * it is asked when the time is up, never before.
 */
export class QueueWatch {
  readonly #options: QueueWatchOptions;
  /** Mono ms when a claimed task first looked lost, and did at each look since. */
  #lostAt = new WeakMap<Exchange, number>();

  constructor(options: QueueWatchOptions) {
    this.#options = options;
    // Nobody could renew a lease meanwhile.
    options.connection.onReconnect(() => {
      this.#lostAt = new WeakMap();
    });
  }

  /** To be called when the time of a task that has not begun is up. */
  overdue(exchange: Exchange): void {
    exchange.queueLookAt = this.#options.mono() + AGAIN_MS;
    // With Redis away the next look asks again, until the deadline.
    this.#check(exchange).catch(() => undefined);
  }

  /** To be called for a task that has not begun, and whose queue nobody reads any more. */
  unread(exchange: Exchange, fault: Fault): void {
    this.#check(exchange, fault).catch(() => undefined);
  }

  async #check(exchange: Exchange, fault?: Fault): Promise<void> {
    if (!(await this.#waits(exchange)) || exchange.begun || isOver(exchange.phase)) return;
    const blame = exchange.task.own?.includes("queue") === true ? "client" : undefined;
    const late = "no worker was free for the request in time";
    exchange.fail(fault ?? new Fault("queue_timeout", late, { blame }));
  }

  async #waits(exchange: Exchange): Promise<boolean> {
    const { connection, keys, replies } = this.#options;
    const { entry, queue } = exchange;
    // Of one whose connection broke in the moment of its queueing the entry is not known: a worker may have told of it.
    if (entry === undefined) return exchange.phase !== "running";
    // In this order: a claim between the two is seen. The other way round its task would look as if it still waited.
    const queued = await isQueued(connection, keys, queue, entry);
    const held = await pendingEntry(connection, keys.queue(queue), entry);
    if (held !== undefined) return this.#isLost(exchange, held);
    // Between its acknowledgement and its deletion an entry looks unclaimed: its answer is there by then.
    return queued && !(await replies.hasNews(exchange));
  }

  /**
   * True when nobody took it over in the lease after it was handed back, or in the second one after its worker was lost.
   * It must look so twice, a lease apart: after Redis's clock was put forward, or after an outage, a lease that is kept
   * looks old until its worker renews it; and what was handed back may be about to be taken.
   */
  #isLost(exchange: Exchange, { handedBack, idleMs }: PendingEntry): boolean {
    const { leaseMs, mono } = this.#options;
    const now = mono();
    const leftMs = handedBack ? 0 : 2 * leaseMs - idleMs;
    if (leftMs > 0) {
      this.#lostAt.delete(exchange);
      // Lost or handed back at once: before a lease has passed nothing is judged.
      exchange.queueLookAt = now + Math.max(AGAIN_MS, Math.min(leaseMs, leftMs));
      return false;
    }
    const since = this.#lostAt.get(exchange) ?? now;
    this.#lostAt.set(exchange, since);
    exchange.queueLookAt = since + leaseMs;
    return now >= since + leaseMs;
  }
}
