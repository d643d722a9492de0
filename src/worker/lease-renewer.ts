import type { Ambient } from "../core/ambient.ts";
import { toFault } from "../core/fault.ts";
import type { Connection } from "../redis/connection/connection.ts";
import type { Stores } from "../redis/stores.ts";
import type { Attempt } from "./attempt.ts";
import type { AttemptRegistry } from "./attempt-registry.ts";
import type { GatewayLiveness } from "./gateway-liveness.ts";
import type { LeaseJudge } from "./lease-judge.ts";

/** Entries renewed by one command (1.1 us of Redis each). */
const ENTRIES_PER_RENEW = 100;

export interface LeaseRenewerOptions {
  /** Not the connection of frames: a renewal must not wait behind them. */
  readonly connection: Connection;
  readonly stores: Pick<Stores, "leases" | "registry" | "replies">;
  readonly worker: string;
  readonly attemptRegistry: Pick<AttemptRegistry, "all">;
  readonly gateways: Pick<GatewayLiveness, "checkAll">;
  readonly leaseJudge: LeaseJudge;
  readonly leaseMs: number;
  readonly ambient: Pick<Ambient, "mono">;
}

/**
 * Renews the leases of this worker's tasks. It stops attempts whose lease is lost or whose client is gone.
 *
 * A lease is the idle time of the pending entry in Redis; a renewal resets it. After an outage of Redis every lease
 * looks old although its worker lives. The renewal notices that, and reports it to the {@link LeaseJudge}.
 */
export class LeaseRenewer {
  readonly #options: LeaseRenewerOptions;
  #timer: NodeJS.Timeout | undefined;
  /** Mono ms of the last renewal that reached all of Redis. */
  #renewedAt: number;
  #stopped = false;

  constructor(options: LeaseRenewerOptions) {
    this.#options = options;
    this.#renewedAt = options.ambient.mono();
    options.connection.onReconnect((moved) => {
      options.leaseJudge.reconnected();
      // Another master may not know which requeued tasks were taken: it learns that before others search.
      if (moved && !this.#stopped) void this.#renewAll();
    });
  }

  start(): void {
    this.#timer = setInterval(() => {
      void this.#renewAll();
    }, this.#options.leaseMs / 3);
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  /**
   * Never sent through a queue of commands: a renewal that runs after a reconnect would steal. With a part of a
   * cluster away the leases in the others are renewed.
   */
  async #renewAll(): Promise<void> {
    const { connection, stores, worker, attemptRegistry, ambient, leaseMs, leaseJudge } = this.#options;
    void leaseJudge.check();
    const isLate = ambient.mono() - this.#renewedAt > leaseMs;
    const renewals = [...byModel(attemptRegistry.all())].map(async ([model, attempts]) => {
      await this.#renew(model, isLate ? await this.#dropLost(model, attempts) : attempts);
    });
    // A worker without tasks finds out, too, whether others could renew their leases.
    if (renewals.length === 0) renewals.push(stores.registry.prolongWorker(worker));
    const results = await Promise.allSettled(renewals);
    // Redis is away, or takes nothing: the next renewal that reaches all of it reads the entries that are held.
    const errors = results.flatMap((one) => (one.status === "rejected" ? [toFault(one.reason)] : []));
    if (errors.some(({ code }) => code === "redis_down")) leaseJudge.refused();
    if (errors.length > 0 || !connection.ready) return;
    this.#renewedAt = ambient.mono();
    await this.#dropUnwanted().catch(() => undefined);
  }

  /** This process was frozen for longer than a lease: tasks that others have taken meanwhile are theirs. */
  async #dropLost(model: string, attempts: readonly Attempt[]): Promise<Attempt[]> {
    const { stores, worker } = this.#options;
    const held = await stores.leases.heldBy({ model, consumer: worker, count: 100_000 });
    for (const attempt of attempts) if (!held.has(attempt.entry)) attempt.stop("lease-lost");
    return attempts.filter((attempt) => held.has(attempt.entry));
  }

  async #renew(model: string, attempts: readonly Attempt[]): Promise<void> {
    const { stores, worker: consumer } = this.#options;
    for (let from = 0; from < attempts.length; from += ENTRIES_PER_RENEW) {
      const entries = attempts.slice(from, from + ENTRIES_PER_RENEW).map((attempt) => attempt.entry);
      await stores.leases.renew({ model, consumer, entries });
    }
  }

  /** Stops attempts whose reply stream or gateway is gone: no client waits for them. */
  async #dropUnwanted(): Promise<void> {
    const { stores, attemptRegistry, gateways, leaseJudge } = this.#options;
    const attempts = attemptRegistry.all();
    await gateways.checkAll();
    const ids = attempts.map((attempt) => attempt.id);
    const open = await stores.replies.openAmong(ids);
    const unwanted = attempts.filter((attempt) => !open.has(attempt.id));
    if (unwanted.length === 0 || !(await leaseJudge.check())) return;
    for (const attempt of unwanted) attempt.stop("gone");
  }
}

function byModel(attempts: readonly Attempt[]): Map<string, Attempt[]> {
  return Map.groupBy(attempts, (attempt) => attempt.model);
}
