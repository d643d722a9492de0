import { toFault } from "../core/fault.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { prolongWorker } from "../redis/registry.ts";
import { openAmong } from "../redis/reply-stream.ts";
import { heldBy, renew } from "../redis/task-stream.ts";
import type { Attempt } from "./attempt.ts";
import type { Roll } from "./roll.ts";
import type { Trust } from "./trust.ts";

/** Entries renewed by one command (1.1 us of Redis each). */
const ENTRIES_PER_RENEW = 100;

export interface KeeperOptions {
  /** Not the one frames use: a heartbeat must not wait behind them. */
  readonly connection: Connection;
  readonly keys: Keys;
  readonly worker: string;
  readonly roll: Roll;
  readonly trust: Trust;
  readonly leaseMs: number;
  readonly mono: () => number;
}

/**
 * Keeps the leases of this worker's tasks, and lets go what is no longer its own or runs for nobody.
 *
 * A lease is the idle time of the pending entry in Redis; a heartbeat resets it. After an outage of Redis every lease
 * looks old although its holder lives: the keeper is the one that notices, and says so, see {@link Trust}.
 */
export class Keeper {
  readonly #options: KeeperOptions;
  #beat: NodeJS.Timeout | undefined;
  #beatAt: number;
  #stopped = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#beatAt = options.mono();
    options.connection.onReconnect((moved) => {
      options.trust.reconnected();
      // Another master may not have heard that what was handed back was taken: it is told before others look.
      if (moved && !this.#stopped) void this.#heartbeat();
    });
  }

  start(): void {
    this.#beat = setInterval(() => {
      void this.#heartbeat();
    }, this.#options.leaseMs / 3);
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#beat);
  }

  /**
   * Never sent through a queue of commands: a heartbeat that runs after a reconnect would steal. With a part of a
   * cluster away the leases in the others are kept.
   */
  async #heartbeat(): Promise<void> {
    const { connection, keys, worker, roll, mono, leaseMs, trust } = this.#options;
    void trust.look();
    const late = mono() - this.#beatAt > leaseMs;
    const keeping = [...byModel(roll.all())].map(async ([model, attempts]) => {
      await this.#renew(model, late ? await this.#dropLost(model, attempts) : attempts);
    });
    // Whoever holds nothing finds out, too, whether others could renew what they hold.
    if (keeping.length === 0) keeping.push(prolongWorker(connection, keys, worker));
    const kept = await Promise.allSettled(keeping);
    // Redis is away, or takes nothing: the next heartbeat that reaches all of it asks what is held.
    const errors = kept.flatMap((one) => (one.status === "rejected" ? [toFault(one.reason)] : []));
    if (errors.some(({ code }) => code === "redis_down")) trust.refused();
    if (errors.length > 0 || !connection.ready) return;
    this.#beatAt = mono();
    await this.#dropUnwanted().catch(() => undefined);
  }

  /** This process was frozen for longer than a lease: what others have taken meanwhile is theirs. */
  async #dropLost(model: string, attempts: readonly Attempt[]): Promise<Attempt[]> {
    const { connection, keys, worker } = this.#options;
    const held = await heldBy(connection, keys, { model, consumer: worker, count: 100_000 });
    for (const attempt of attempts) if (!held.has(attempt.entry)) attempt.stop("lease-lost");
    return attempts.filter((attempt) => held.has(attempt.entry));
  }

  async #renew(model: string, attempts: readonly Attempt[]): Promise<void> {
    const { connection, keys, worker: consumer } = this.#options;
    for (let from = 0; from < attempts.length; from += ENTRIES_PER_RENEW) {
      const entries = attempts.slice(from, from + ENTRIES_PER_RENEW).map((attempt) => attempt.entry);
      await renew(connection, keys, { model, consumer, entries });
    }
  }

  /** Tasks whose reply stream or gateway is gone run for nobody. */
  async #dropUnwanted(): Promise<void> {
    const { connection, keys, roll, trust } = this.#options;
    const attempts = roll.all();
    await roll.checkAllGateways();
    const ids = attempts.map((attempt) => attempt.id);
    const open = await openAmong(connection, keys, ids);
    const unwanted = attempts.filter((attempt) => !open.has(attempt.id));
    if (unwanted.length === 0 || !(await trust.look())) return;
    for (const attempt of unwanted) attempt.stop("gone");
  }
}

function byModel(attempts: readonly Attempt[]): Map<string, Attempt[]> {
  return Map.groupBy(attempts, (attempt) => attempt.model);
}
