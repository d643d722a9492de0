import { setTimeout as delay } from "node:timers/promises";
import { hasEnded } from "../../core/task-phase.ts";
import type { Connection } from "../../redis/connection/connection.ts";
import type { Stores } from "../../redis/stores.ts";
import type { StallDetector } from "../../telemetry/stall-detector.ts";
import type { Exchange } from "./exchange.ts";
import { lostFault } from "./lost-fault.ts";
import type { Cleaner } from "./cleaner.ts";
import type { Enqueuer } from "./enqueuer.ts";
import type { ReplyRouter } from "./reply-router.ts";

/** Workers keep frames this long after a reconnect (ms). A reply that is silent longer may be lost. */
const SUSPECT_MS = 3000;

const TASKS_PER_CALL = 256;

/** Pause before the next attempt to open replies, ms. Redis refuses it while it loads its data. */
const RETRY_MS = 200;

/** A task that was lost and requeued this many times is given up at the next loss. */
const MOST_REQUEUES = 3;

export interface RecoveryOptions {
  readonly connection: Pick<Connection, "ready">;
  readonly stores: Pick<Stores, "queue" | "replies">;
  readonly replies: Pick<ReplyRouter, "all" | "fillAll" | "hasNews">;
  readonly enqueuer: Pick<Enqueuer, "enqueue">;
  readonly cleaner: Pick<Cleaner, "abandoned">;
  readonly mono: () => number;
  readonly stalls: Pick<StallDetector, "since">;
}

/**
 * Restores the tasks that a Redis which was away may have lost. A crash with AOF loses nothing that was written. A
 * failover, or a Redis without persistence, can lose the last moments or everything.
 *
 * After a reconnect all open reply streams are created again. A silent task that is no longer queued is requeued under
 * its id, if nothing was sent to the client. A doubled delivery is fenced, a lost one would hang. A task that is silent
 * for long without any reconnect is treated alike: its worker may have counted this gateway as dead.
 */
export class Recovery {
  readonly #options: RecoveryOptions;
  readonly #checking = new Set<Exchange>();
  readonly #requeues = new WeakMap<Exchange, number>();
  #timer: NodeJS.Timeout | undefined;
  /** Number of the latest reconnect. */
  #turn = 0;

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  /**
   * Call at each reconnect of the command connection. Resolves with true when all replies are open, with false when
   * Redis went away before. Never rejects.
   */
  async reconnected(): Promise<boolean> {
    const { replies, mono, connection } = this.#options;
    clearTimeout(this.#timer);
    this.#turn += 1;
    const turn = this.#turn;
    const since = mono();
    // Lost tasks are requeued in the order in which they came.
    const exchanges = replies.all().toSorted((one, other) => one.startedAt - other.startedAt);
    try {
      await this.#reopen(exchanges);
    } catch {
      if (connection.ready) await delay(RETRY_MS, undefined, { ref: false });
      // When it is away again the next reconnect starts over.
      return connection.ready && turn === this.#turn && this.reconnected();
    }
    replies.fillAll();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      void this.#suspects(exchanges, since);
    }, SUSPECT_MS);
    return turn === this.#turn;
  }

  stop(): void {
    this.#turn += 1;
    clearTimeout(this.#timer);
  }

  async #reopen(exchanges: readonly Exchange[]): Promise<void> {
    const { stores, mono } = this.#options;
    for (let from = 0; from < exchanges.length; from += TASKS_PER_CALL) {
      // Tasks that ended meanwhile have been removed.
      const some = exchanges.slice(from, from + TASKS_PER_CALL).filter(({ phase }) => !hasEnded(phase));
      const lives = some.map(({ task, endsAt }) => ({ id: task.id, life: endsAt - mono() }));
      await stores.replies.open(lives);
    }
  }

  /** Call now and then for a task whose reply has been silent for long. */
  silent(exchange: Exchange): void {
    // With Redis away the reconnect starts over.
    this.#check(exchange).catch(() => undefined);
  }

  async #suspects(exchanges: readonly Exchange[], since: number): Promise<void> {
    const silent = exchanges.filter((exchange) => exchange.lastSignAt < since && !exchange.stalled);
    for (const exchange of silent) {
      try {
        await this.#check(exchange);
      } catch {
        // Redis is away again: the next reconnect starts over.
        return;
      }
    }
  }

  async #check(exchange: Exchange): Promise<void> {
    if (exchange.entry === undefined || this.#checking.has(exchange)) return;
    this.#checking.add(exchange);
    try {
      if (await this.#isLost(exchange, exchange.entry)) await this.#restore(exchange);
    } finally {
      this.#checking.delete(exchange);
    }
  }

  /** An entry is deleted after its answer was stored: the task of a missing entry may have been answered just now. */
  async #isLost(exchange: Exchange, entry: string): Promise<boolean> {
    const { stores, replies } = this.#options;
    if (await stores.queue.has(exchange.queue, entry)) return false;
    return !hasEnded(exchange.phase) && !(await replies.hasNews(exchange)) && !hasEnded(exchange.phase);
  }

  async #restore(exchange: Exchange): Promise<void> {
    const requeues = (this.#requeues.get(exchange) ?? 0) + 1;
    this.#requeues.set(exchange, requeues);
    if (exchange.begun || requeues > MOST_REQUEUES) {
      exchange.fail(lostFault(exchange, this.#options.stalls, "the answer was lost"));
      return;
    }
    const { enqueuer, cleaner, mono } = this.#options;
    exchange.requeue();
    exchange.requeued(await enqueuer.enqueue(exchange.task, exchange.queue, exchange.endsAt - mono()));
    // Its client may have gone meanwhile.
    if (hasEnded(exchange.phase)) cleaner.abandoned(exchange);
  }
}
