import { toFault } from "../core/fault.ts";
import { replyErrorCode } from "../redis/reply-error.ts";
import { HANDED_BACK_MS } from "../redis/pending.ts";
import { dropIdleConsumers, ensureGroup } from "../redis/task-stream.ts";
import { Doubts } from "./doubts.ts";
import { resumerOf } from "./resumer.ts";
import type { ResumerOptions } from "./resumer.ts";
import { TakeOver } from "./take-over.ts";
import type { Search, TakeOverOptions } from "./take-over.ts";

/** How often the consumers of killed workers are removed, and how long they must have been idle; ms. */
const TIDY_MS = 60_000;

/** What Redis says this worker holds, and it does not know so long after, it was never told; ms. */
const ORPHAN_MS = 1000;

export interface SweeperOptions
  extends Omit<TakeOverOptions, "resume" | "onRoom">, Omit<ResumerOptions, "doubts" | "trust"> {
  readonly leaseMs: number;
}

/**
 * Looks for tasks to take over: those of silent workers, now and then; what was handed back, upon a hint; orphans of
 * this worker, when an answer was lost.
 *
 * After an outage of Redis every lease looks old although its holder lives: nobody is taken for silent then, see
 * `Trust`. What was handed back says so itself, and is taken at any time.
 */
export class Sweeper {
  /** Tells which tasks are being taken over. */
  readonly takeOver: TakeOver;
  readonly #options: SweeperOptions;
  readonly #doubts: Doubts;
  #sweep: NodeJS.Timeout | undefined;
  /** Models that are being swept after a hint; true when another one came meanwhile. */
  readonly #hinted = new Map<string, boolean>();
  #orphanLook: NodeJS.Timeout | undefined;
  #tidyAt: number;
  #stopped = false;
  #draining = false;

  constructor(options: SweeperOptions) {
    this.#options = options;
    this.#doubts = new Doubts({ ...options, onUnsure: this.lookForOrphans });
    const resume = resumerOf({ ...options, doubts: this.#doubts });
    const onRoom = async (search: Search): Promise<void> => this.#again(search);
    this.takeOver = new TakeOver({ ...options, resume, onRoom });
    this.#tidyAt = options.mono() + TIDY_MS;
    options.connection.onReconnect(this.lookForOrphans);
  }

  start(): void {
    this.#planSweep();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#sweep);
    clearTimeout(this.#orphanLook);
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
   * An answer to a claim was lost: soon, what Redis says this worker holds and it does not know is run, and what was
   * handed back meanwhile.
   */
  readonly lookForOrphans = (): void => {
    // Twice as long, so that the entries have surely reached the age at which they count as orphans.
    this.#orphanLook ??= setTimeout(() => {
      this.#orphanLook = undefined;
      void this.#takeOrphans().then(async () => this.#takeHandedBack());
    }, 2 * ORPHAN_MS);
  };

  /** Looks at once for tasks of a model that were handed back; many hints at once cost two looks. */
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
    const { trust, leaseMs } = this.#options;
    await this.#look(model, trust.holds ? leaseMs : HANDED_BACK_MS);
  }

  async #look(model: string, idleMs: number): Promise<void> {
    // While a part of a cluster is away, and with it perhaps those who keep leases, these look old. A new master may
    // not know yet who took what was handed back.
    if (this.#options.connection.ready && this.#doubts.settleMs === 0) await this.#search({ model, idleMs });
  }

  #planSweep(): void {
    // Jitter spreads the sweeps of many workers over time.
    const { leaseMs, random } = this.#options;
    this.#sweep = setTimeout(
      () => {
        void this.#sweepAll().finally(() => {
          if (!this.#stopped) this.#planSweep();
        });
      },
      (leaseMs / 2) * (0.75 + random() / 2),
    );
  }

  async #sweepAll(): Promise<void> {
    for (const model of this.#models()) await this.#sweepOne(model);
    const { connection, mono } = this.#options;
    if (connection.ready && mono() >= this.#tidyAt) await this.#tidy();
  }

  async #tidy(): Promise<void> {
    const { connection, keys, mono } = this.#options;
    this.#tidyAt = mono() + TIDY_MS;
    for (const model of this.#models()) {
      await dropIdleConsumers(connection, keys, model, TIDY_MS).catch(() => undefined);
    }
  }

  #models(): Set<string> {
    return new Set(this.#options.stations.flatMap((one) => one.queues.map(({ key }) => key)));
  }

  /** Needs no trust in leases: nobody else holds these. */
  async #takeOrphans(): Promise<void> {
    const { worker: consumer } = this.#options;
    for (const model of this.#models()) await this.#search({ model, idleMs: ORPHAN_MS, consumer });
  }

  /** Nobody may have been told. */
  async #takeHandedBack(): Promise<void> {
    for (const model of this.#models()) await this.#look(model, HANDED_BACK_MS);
  }

  /** For a task that was found and had no slot. */
  async #again(search: Search): Promise<void> {
    // Whether leases may be judged is asked anew: else whatever it finds would be let go at once, and wake this again.
    await (search.consumer === undefined ? this.#sweepOne(search.model) : this.#search(search));
  }

  async #search(search: Search): Promise<void> {
    if (this.#stopped || this.#draining) return;
    try {
      await this.takeOver.search(search);
    } catch (error) {
      // The next planned sweep, or the look after the reconnect, searches again.
      const { connection, keys, log } = this.#options;
      if (connection.ready) log.warn("taking over failed", { reason: toFault(error).message });
      // A queue that somebody removed: a worker of several models would look past the new one for ever.
      if (replyErrorCode(error) === "NOGROUP")
        await ensureGroup(connection, keys, search.model).catch(() => undefined);
    }
  }
}
