import { setTimeout as delay } from "node:timers/promises";
import { isOver } from "../core/phase.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { openReplies } from "../redis/reply-stream.ts";
import { isQueued } from "../redis/task-stream.ts";
import type { StallMeter } from "../telemetry/stall-meter.ts";
import type { Exchange } from "./exchange.ts";
import { lostFault } from "./lost-fault.ts";
import type { Opener } from "./opener.ts";
import type { Replies } from "./replies.ts";

/** Workers hold back frames this long after a reconnect; what is silent longer may be lost. */
const SUSPECT_MS = 3000;

const TASKS_PER_CALL = 256;

/** A Redis that refuses to open replies after a reconnect, since it loads its data, is asked again after this, ms. */
const RETRY_MS = 200;

/** A task that is lost again and again is given up: something eats it. */
const MOST_REQUEUES = 3;

export interface RecoveryOptions {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly replies: Replies;
  readonly opener: Opener;
  readonly mono: () => number;
  readonly stalls: Pick<StallMeter, "since">;
  /** A task was queued again for a client that left meanwhile. */
  readonly onUnwanted: (exchange: Exchange) => void;
}

/**
 * Mends what a Redis that was away may have lost. A crash with AOF loses nothing that was written; a failover, or a
 * Redis without persistence, can lose the last moments or everything. So after a reconnect all open reply streams are
 * created again, and tasks that stay silent and are no longer queued are queued again, under the same id, if nothing
 * was sent to the client: a doubled delivery is fenced, a lost one would hang. The same is done for a task that is
 * silent for long without any reconnect: its worker may have taken this gateway for dead.
 */
export class Recovery {
  readonly #options: RecoveryOptions;
  readonly #checking = new Set<Exchange>();
  readonly #requeues = new WeakMap<Exchange, number>();
  #timer: NodeJS.Timeout | undefined;
  /** Of the latest reconnect. */
  #turn = 0;

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  /**
   * To be called at each reconnect of the command connection. Resolves when all replies are open, with true; with false
   * when Redis went away before. Never rejects.
   */
  async reconnected(): Promise<boolean> {
    const { replies, mono, connection } = this.#options;
    clearTimeout(this.#timer);
    this.#turn += 1;
    const turn = this.#turn;
    const since = mono();
    // What is lost is queued again in the order in which it came.
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
    const { connection, keys, mono } = this.#options;
    for (let from = 0; from < exchanges.length; from += TASKS_PER_CALL) {
      // Those that ended meanwhile have been removed.
      const some = exchanges.slice(from, from + TASKS_PER_CALL).filter(({ phase }) => !isOver(phase));
      const lives = some.map(({ task, endsAt }) => ({ id: task.id, life: endsAt - mono() }));
      await openReplies(connection, keys, lives);
    }
  }

  /** To be called now and then for a task of which nothing was heard for long. */
  silent(exchange: Exchange): void {
    // With Redis away the reconnect starts over.
    this.#check(exchange).catch(() => undefined);
  }

  async #suspects(exchanges: readonly Exchange[], since: number): Promise<void> {
    const silent = exchanges.filter((exchange) => exchange.heardAt < since && !exchange.stalled);
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
      if (await this.#isLost(exchange, exchange.entry)) await this.#mend(exchange);
    } finally {
      this.#checking.delete(exchange);
    }
  }

  /** An entry is deleted after its answer has been stored: what is missing may have been answered just now. */
  async #isLost(exchange: Exchange, entry: string): Promise<boolean> {
    const { connection, keys, replies } = this.#options;
    if (await isQueued(connection, keys, exchange.queue, entry)) return false;
    return !isOver(exchange.phase) && !(await replies.hasNews(exchange)) && !isOver(exchange.phase);
  }

  async #mend(exchange: Exchange): Promise<void> {
    const requeues = (this.#requeues.get(exchange) ?? 0) + 1;
    this.#requeues.set(exchange, requeues);
    if (exchange.begun || requeues > MOST_REQUEUES) {
      exchange.fail(lostFault(exchange, this.#options.stalls, "the answer was lost"));
    } else {
      const { opener, mono } = this.#options;
      exchange.requeued = true;
      exchange.entry = await opener.open(exchange.task, exchange.queue, exchange.endsAt - mono());
      exchange.track.waits();
      if (isOver(exchange.phase)) this.#options.onUnwanted(exchange);
    }
  }
}
