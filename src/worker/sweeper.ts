import type { Ambient } from "../core/ambient.ts";
import { toFault } from "../core/fault.ts";
import { replyErrorCode } from "../redis/connection/reply-error.ts";
import { REQUEUED_MS } from "../redis/pending.ts";
import type { Log } from "../telemetry/log.ts";
import type { BackendSlots } from "./backend-slots.ts";
import type { FailoverGuard } from "./failover-guard.ts";
import type { LeaseJudge } from "./lease-judge.ts";
import type { Link } from "./links.ts";
import type { Search, TakeOver } from "./take-over.ts";

/** Interval at which the consumers of killed workers are removed, and their shortest idle time (ms). */
const IDLE_CONSUMER_MS = 60_000;

/** Age from which on an entry of this worker that it does not know is an orphan (ms). */
const ORPHAN_MS = 1000;

export interface SweeperOptions {
  readonly link: Link<"leases" | "queue">;
  readonly leaseMs: number;
  readonly log: Log;
  readonly allBackendSlots: readonly BackendSlots[];
  readonly leaseJudge: Pick<LeaseJudge, "holds">;
  readonly failoverGuard: Pick<FailoverGuard, "settleMs" | "onUndecided">;
  readonly takeOver: Pick<TakeOver, "search" | "onRoom">;
  readonly ambient: Pick<Ambient, "mono" | "random">;
}

/**
 * Finds tasks to take over: tasks of lost workers, by a periodic sweep; requeued tasks, upon a hint; orphans of this
 * worker, when the answer to a claim was lost.
 *
 * After an outage of Redis every lease looks old although its worker lives. No worker counts as lost then, see
 * {@link LeaseJudge}. The entry of a requeued task says so itself: it is taken at any time.
 */
export class Sweeper {
  readonly #options: SweeperOptions;
  #sweep: NodeJS.Timeout | undefined;
  /** Models that are being swept after a hint; true when another one came meanwhile. */
  readonly #hinted = new Map<string, boolean>();
  #orphanSearch: NodeJS.Timeout | undefined;
  #cleanAt: number;
  #stopped = false;
  #draining = false;

  constructor(options: SweeperOptions) {
    this.#options = options;
    this.#cleanAt = options.ambient.mono() + IDLE_CONSUMER_MS;
    options.failoverGuard.onUndecided(this.findOrphans);
    options.takeOver.onRoom(async (search) => this.#again(search));
    options.link.connection.onReconnect(this.findOrphans);
  }

  start(): void {
    this.#planSweep();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#sweep);
    clearTimeout(this.#orphanSearch);
  }

  /** From now on no task is taken over. */
  drain(): void {
    this.#draining = true;
  }

  /** Tasks are taken over again. */
  undrain(): void {
    this.#draining = false;
  }

  /**
   * An answer to a claim was lost. Soon this runs the tasks that Redis says this worker holds and it does not know. It
   * also takes the tasks that were requeued meanwhile.
   */
  readonly findOrphans = (): void => {
    // Twice as long, so that the entries have surely reached the age at which they count as orphans.
    this.#orphanSearch ??= setTimeout(() => {
      this.#orphanSearch = undefined;
      void this.#takeOrphans().then(async () => this.#takeRequeued());
    }, 2 * ORPHAN_MS);
  };

  /** Searches at once for requeued tasks of all models: hints may have been missed. */
  sweepModels(): void {
    for (const model of this.#models()) void this.sweepModel(model);
  }

  /** Searches at once for requeued tasks of a model; many hints at once cost two searches. */
  async sweepModel(model: string): Promise<void> {
    if (this.#hinted.has(model)) {
      this.#hinted.set(model, true);
      return;
    }
    do {
      this.#hinted.set(model, false);
      await this.#sweepOne(model);
    } while (this.#hinted.get(model) === true);
    this.#hinted.delete(model);
  }

  async #sweepOne(model: string): Promise<void> {
    const { leaseJudge, leaseMs } = this.#options;
    await this.#searchSettled({ model, idleMs: leaseJudge.holds ? leaseMs : REQUEUED_MS });
  }

  /**
   * While a part of a cluster is away, its leases look old: their workers may not reach it either. A new master may not
   * know yet which requeued tasks were taken.
   */
  async #searchSettled(search: Search): Promise<void> {
    const { link, failoverGuard } = this.#options;
    if (link.connection.ready && failoverGuard.settleMs(link.connection) === 0) await this.#search(search);
  }

  #planSweep(): void {
    // Jitter spreads the sweeps of many workers over time.
    const { leaseMs, ambient } = this.#options;
    this.#sweep = setTimeout(
      () => {
        void this.#sweepAll().finally(() => {
          if (!this.#stopped) this.#planSweep();
        });
      },
      (leaseMs / 2) * (0.75 + ambient.random() / 2),
    );
  }

  async #sweepAll(): Promise<void> {
    for (const model of this.#models()) await this.#sweepOne(model);
    const { link, ambient } = this.#options;
    if (link.connection.ready && ambient.mono() >= this.#cleanAt) await this.#dropIdleConsumers();
  }

  async #dropIdleConsumers(): Promise<void> {
    const { link, ambient } = this.#options;
    this.#cleanAt = ambient.mono() + IDLE_CONSUMER_MS;
    for (const model of this.#models()) {
      await link.stores.leases.dropIdleConsumers(model, IDLE_CONSUMER_MS).catch(() => undefined);
    }
  }

  #models(): Set<string> {
    return new Set(this.#options.allBackendSlots.flatMap((one) => one.queues.map(({ key }) => key)));
  }

  /** Takes this worker's own tasks: no lease needs to be believed for that. */
  async #takeOrphans(): Promise<void> {
    for (const model of this.#models()) await this.#search({ model, idleMs: ORPHAN_MS, isOwn: true });
  }

  /** The hint may have been lost. */
  async #takeRequeued(): Promise<void> {
    for (const model of this.#models()) await this.#searchSettled({ model, idleMs: REQUEUED_MS });
  }

  /** Searches again for a task that was found and had no slot. */
  async #again(search: Search): Promise<void> {
    // Leases are judged anew: else tasks that were found would be left at once, and wake this again.
    await (search.isOwn === true ? this.#search(search) : this.#sweepOne(search.model));
  }

  async #search(search: Search): Promise<void> {
    if (this.#stopped || this.#draining) return;
    try {
      await this.#options.takeOver.search(search);
    } catch (error) {
      // The next planned sweep, or the one after the reconnect, searches again.
      const { link, log } = this.#options;
      if (link.connection.ready) log.warn("taking over failed", { reason: toFault(error).message });
      // Somebody removed the queue: without its group a worker of several models would never read the new one.
      if (replyErrorCode(error) === "NOGROUP")
        await link.stores.queue.ensureGroup(search.model).catch(() => undefined);
    }
  }
}
