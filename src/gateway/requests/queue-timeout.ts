import { Fault } from "../../core/fault.ts";
import { hasEnded } from "../../core/task-phase.ts";
import type { Connection } from "../../redis/connection/connection.ts";
import type { PendingEntry } from "../../redis/pending.ts";
import type { Stores } from "../../redis/stores.ts";
import { lackOf } from "./destination.ts";
import type { KnownReaders } from "./destination.ts";
import type { Exchange } from "./exchange.ts";
import type { ReplyRouter } from "./reply-router.ts";

/** A task that is not to end yet is checked again after this at the earliest, ms. */
const AGAIN_MS = 1000;

export interface QueueTimeoutOptions {
  readonly connection: Pick<Connection, "onReconnect">;
  readonly stores: Pick<Stores, "leases" | "queue">;
  readonly replies: Pick<ReplyRouter, "hasNews">;
  readonly leaseMs: number;
  readonly mono: () => number;
}

/**
 * Ends tasks that have waited too long for a worker. Only Redis knows whether a worker has a task before its first
 * frame. It is queried when the time is up, never before.
 */
export class QueueTimeout {
  readonly #options: QueueTimeoutOptions;
  /** Mono ms of the next check of a task whose time was up already. */
  readonly #nextCheckAt = new WeakMap<Exchange, number>();
  /** Mono ms when a claimed task first seemed lost, and did at each check since. */
  #lostAt = new WeakMap<Exchange, number>();

  constructor(options: QueueTimeoutOptions) {
    this.#options = options;
    // No worker could renew a lease meanwhile.
    options.connection.onReconnect(() => {
      this.#lostAt = new WeakMap();
    });
  }

  /** Mono ms of the next query for a task that has not begun. */
  nextCheckAt(exchange: Exchange): number {
    return this.#nextCheckAt.get(exchange) ?? exchange.queueUntil;
  }

  /** Call twice a second for each open exchange. @param now mono ms */
  check(exchange: Exchange, now: number): void {
    if (exchange.begun || now < this.nextCheckAt(exchange)) return;
    this.#nextCheckAt.set(exchange, now + AGAIN_MS);
    // With Redis away the next check queries again, until the deadline.
    this.#endIfWaiting(exchange).catch(() => undefined);
  }

  /** Ends a task with a fault unless a worker has it. Call when no worker reads its queue any more. */
  unread(exchange: Exchange, fault: Fault): void {
    this.#endIfWaiting(exchange, fault).catch(() => undefined);
  }

  async #endIfWaiting(exchange: Exchange, fault?: Fault): Promise<void> {
    if (!(await this.#waits(exchange)) || exchange.begun || hasEnded(exchange.phase)) return;
    const blame = exchange.task.own?.includes("queue") === true ? "client" : undefined;
    const late = "no worker was free for the request in time";
    exchange.fail(fault ?? new Fault("queue_timeout", late, { blame }));
  }

  async #waits(exchange: Exchange): Promise<boolean> {
    const { stores, replies } = this.#options;
    const { entry, queue } = exchange;
    // The entry is unknown when the connection broke while the task was queued: a worker may have it all the same.
    if (entry === undefined) return exchange.phase !== "running";
    // In this order: a claim between the two is seen. The other way round its task would seem to wait still.
    const queued = await stores.queue.has(queue, entry);
    const held = await stores.leases.pending(queue, entry);
    if (held !== undefined) return this.#isLost(exchange, held);
    // Between its acknowledgement and its deletion an entry seems unclaimed: its answer is there by then.
    return queued && !(await replies.hasNews(exchange));
  }

  /**
   * True when no worker took the task over in time: one lease after a requeue, two after a lost worker. It must seem
   * lost twice, a lease apart. After an outage, or when Redis's clock was set, a kept lease seems old until its renewal.
   * A requeued task may be about to be claimed.
   */
  #isLost(exchange: Exchange, { requeued, idleMs }: PendingEntry): boolean {
    const { leaseMs, mono } = this.#options;
    const now = mono();
    const leftMs = requeued ? 0 : 2 * leaseMs - idleMs;
    if (leftMs > 0) {
      this.#lostAt.delete(exchange);
      // Even a worker lost just now is not judged before a lease has passed.
      this.#nextCheckAt.set(exchange, now + Math.max(AGAIN_MS, Math.min(leaseMs, leftMs)));
      return false;
    }
    const since = this.#lostAt.get(exchange) ?? now;
    this.#lostAt.set(exchange, since);
    this.#nextCheckAt.set(exchange, since + leaseMs);
    return now >= since + leaseMs;
  }
}

/**
 * Ends the tasks whose model has lost the ability that they wait for. Call at each refresh of the catalogue.
 * @param instead gives another fault for a lack that may pass
 */
export function endUnread(
  exchanges: readonly Exchange[],
  known: KnownReaders,
  {
    queueTimeout,
    instead,
  }: { readonly queueTimeout: QueueTimeout; readonly instead?: ((fault: Fault) => Fault) | undefined },
): void {
  for (const exchange of exchanges) {
    const lack = exchange.begun ? undefined : lackOf(known, exchange, instead);
    if (lack !== undefined) queueTimeout.unread(exchange, lack);
  }
}
