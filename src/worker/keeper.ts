import { toFault } from "../core/fault.ts";
import { replyErrorCode } from "../redis/connection.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { HANDED_BACK_MS } from "../redis/pending.ts";
import type { PendingEntry } from "../redis/pending.ts";
import { prolongWorker } from "../redis/registry.ts";
import { openAmong } from "../redis/reply-stream.ts";
import {
  dropIdleConsumers,
  ensureGroup,
  heldBy,
  renew,
  silentTasks,
  takeBack,
  takeOver,
} from "../redis/task-stream.ts";
import type { QueuedTask } from "../redis/task-stream.ts";
import type { Log } from "../telemetry/log.ts";
import type { Acknowledger } from "./acknowledger.ts";
import type { Attempt } from "./attempt.ts";
import { Doubts } from "./doubts.ts";
import { resumerOf } from "./resumer.ts";
import type { Resume } from "./resumer.ts";
import type { Resting } from "./resting.ts";
import type { Roll } from "./roll.ts";
import type { Place, Runner } from "./runner.ts";
import type { Station } from "./station.ts";
import type { Trust } from "./trust.ts";

/** Entries renewed by one command (1.1 us of Redis each). */
const ENTRIES_PER_RENEW = 100;

/** How often the consumers of killed workers are removed, and how long they must have been idle; ms. */
const TIDY_MS = 60_000;

/** What Redis says this worker holds, and it does not know so long after, it was never told; ms. */
const ORPHAN_MS = 1000;

export interface KeeperOptions {
  /** Not the one frames use: a heartbeat must not wait behind them. */
  readonly connection: Connection;
  readonly keys: Keys;
  readonly worker: string;
  readonly log: Log;
  readonly roll: Roll;
  readonly runner: Runner;
  readonly acknowledger: Acknowledger;
  readonly stations: readonly Station[];
  readonly resting: Resting;
  readonly trust: Trust;
  readonly leaseMs: number;
  readonly deliveryLimit: number;
  readonly now: () => number;
  readonly mono: () => number;
  readonly random: () => number;
  readonly onReclaimed: (count: number) => void;
}

/**
 * Keeps the leases of this worker's tasks and takes over those of silent workers.
 *
 * A lease is the idle time of the pending entry in Redis; a heartbeat resets it. After an outage of Redis every lease
 * looks old although its holder lives: nobody is taken for silent then, see {@link Trust}. What was handed back says so
 * itself, and is taken at any time.
 */
export class Keeper {
  readonly #options: KeeperOptions;
  readonly #resume: Resume;
  readonly #doubts: Doubts;
  #beat: NodeJS.Timeout | undefined;
  #sweep: NodeJS.Timeout | undefined;
  /** Models of which a task waits for a slot. */
  readonly #waiting = new Set<string>();
  /** Models that are being swept after a hint; true when another one came meanwhile. */
  readonly #hinted = new Map<string, boolean>();
  /** Queue entries, with their models, that are being taken over. */
  readonly #taking = new Set<string>();
  #orphanLook: NodeJS.Timeout | undefined;
  #beatAt: number;
  #tidyAt: number;
  #stopped = false;
  #draining = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#doubts = new Doubts({ ...options, onUnsure: this.lookForOrphans });
    this.#resume = resumerOf({ ...options, doubts: this.#doubts });
    this.#beatAt = options.mono();
    this.#tidyAt = this.#beatAt + TIDY_MS;
    options.connection.onReconnect((moved) => {
      options.trust.reconnected();
      this.lookForOrphans();
      // Another master may not have heard that what was handed back was taken: it is told before others look.
      if (moved && !this.#stopped) void this.#heartbeat();
    });
  }

  start(): void {
    const { leaseMs } = this.#options;
    this.#beat = setInterval(() => {
      void this.#heartbeat();
    }, leaseMs / 3);
    this.#planSweep();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#beat);
    clearTimeout(this.#sweep);
    clearTimeout(this.#orphanLook);
  }

  /** From now on no task is taken over; leases are still kept. */
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
    return new Set(this.#options.stations.flatMap((one) => one.models.map((model) => model.key)));
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

  async #search(search: Search): Promise<void> {
    if (this.#ableTo(search.model).length === 0 || this.#stopped || this.#draining) return;
    try {
      await this.#takeOverSilent(search);
    } catch (error) {
      // The next planned sweep, or the look after the reconnect, searches again.
      const { connection, keys, log } = this.#options;
      if (connection.ready) log.warn("taking over failed", { reason: toFault(error).message });
      // A queue that somebody removed: a worker of several models would look past the new one for ever.
      if (replyErrorCode(error) === "NOGROUP")
        await ensureGroup(connection, keys, search.model).catch(() => undefined);
    }
  }

  async #takeOverSilent(search: Search): Promise<void> {
    const { connection, keys, mono, trust } = this.#options;
    const { model } = search;
    const askedAt = mono();
    const silent = await silentTasks(connection, keys, search);
    const slow = trust.isSlow(askedAt);
    // At once: a slot that is free for a moment is lent, or claimed for, and another search would place them, too.
    const { placed, short } = this.#place(
      search,
      silent.filter((task) => !this.#inHand(model, task.entry)),
    );
    const taking = [...placed.keys()].map((entry) => `${model} ${entry}`);
    for (const one of taking) this.#taking.add(one);
    this.#reserve(short, search);
    try {
      if (placed.size > 0) await this.#takePlaced(search, placed, slow);
    } finally {
      for (const one of taking) this.#taking.delete(one);
      for (const { station, visit } of placed.values()) station.release(visit);
    }
  }

  /** What runs is no longer among the `placed` when this is over. */
  async #takePlaced(search: Search, placed: Places["placed"], slow: boolean): Promise<void> {
    const { connection, keys, worker: consumer, trust, roll } = this.#options;
    const { model } = search;
    // This worker's own are judged by nobody's clock, nor is what was handed back.
    const judged =
      search.consumer === undefined && [...placed.values()].some(({ handedBack }) => !handedBack);
    const trusted = !judged || (!slow && (await trust.look()));
    const idleMs = trusted ? search.idleMs : HANDED_BACK_MS;
    const entries = [...placed].flatMap(([entry, { handedBack }]) =>
      (trusted || handedBack) && !roll.has(model, entry) ? [entry] : [],
    );
    if (entries.length === 0) return;
    const claim = { model, consumer, idleMs, entries };
    const countOf = (entry: string): number => placed.get(entry)?.deliveries ?? 1;
    const tasks =
      search.consumer === undefined
        ? await takeOver(connection, keys, claim)
        : await takeBack(connection, keys, claim, countOf);
    this.#options.onReclaimed(tasks.length);
    // All at once: nobody renews their leases before they run.
    const resumed = await Promise.allSettled(tasks.map(async (task) => this.#runPlaced(task, placed)));
    const failed = resumed.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  async #runPlaced(task: QueuedTask, placed: Places["placed"]): Promise<void> {
    const place = placed.get(task.entry);
    // Taken for an orphan when its delivery was on the way: it runs by now.
    if (this.#options.roll.has(task.model, task.entry)) return;
    if (place !== undefined && (await this.#resume(place, task, place.deliveries))) placed.delete(task.entry);
  }

  /** True while a task is being taken over: a delivery of it that was on the way is not run as well. */
  takes({ model, entry }: Pick<QueuedTask, "model" | "entry">): boolean {
    return this.#taking.size > 0 && this.#taking.has(`${model} ${entry}`);
  }

  /** A Redis that answers slowly makes a task look silent that another search is just taking over. */
  #inHand(model: string, entry: string): boolean {
    return this.#options.roll.has(model, entry) || this.takes({ model, entry });
  }

  /** Takes a place for each task at a station with room that does not leave it to others, the roomiest first. */
  #place({ model, consumer }: Search, tasks: readonly PendingEntry[]): Places {
    const stations = this.#ableTo(model);
    const roomOf = (station: Station): number => station.roomFor(model);
    const placed: Places["placed"] = new Map();
    let short: Station | undefined;
    for (const { entry, deliveries, handedBack } of tasks) {
      const willing = stations.filter((station) => !this.#options.resting.has({ model, entry }, station));
      const [station] = willing.toSorted((a, b) => roomOf(b) - roomOf(a));
      if (station === undefined) continue;
      if (roomOf(station) > 0) {
        // One that was handed back without having counted has 0.
        const counted = consumer === undefined ? deliveries + 1 : Math.max(1, deliveries);
        placed.set(entry, { station, visit: station.occupy(model), deliveries: counted, handedBack });
      } else short ??= station;
    }
    return { placed, short };
  }

  /** Keeps the next free slot for a task that was found and has none, and searches again when there is one. */
  #reserve(station: Station | undefined, search: Search): void {
    const { model } = search;
    for (const one of this.#options.stations) one.reserve(model, one === station);
    if (station === undefined || this.#waiting.has(model)) return;
    this.#waiting.add(model);
    void station.changed().then(() => {
      this.#waiting.delete(model);
      // Else whatever it finds would be let go at once, and wake this again.
      return search.consumer === undefined ? this.#sweepOne(model) : this.#search(search);
    });
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

  #ableTo(model: string): readonly Station[] {
    return this.#options.stations.filter((station) => station.nameOf(model) !== undefined);
  }
}

/** Where a task is to run that is taken over. */
interface Placed extends Place, Pick<PendingEntry, "handedBack"> {
  /** How often it was delivered, this time included. */
  readonly deliveries: number;
}

interface Places {
  /** By queue entry. */
  readonly placed: Map<string, Placed>;
  /** A station whose slots another task waits for. */
  readonly short: Station | undefined;
}

/** Which tasks to take over. */
interface Search {
  readonly model: string;
  /** Silent for so long. */
  readonly idleMs: number;
  /** Only those of this worker. */
  readonly consumer?: string;
}

function byModel(attempts: readonly Attempt[]): Map<string, Attempt[]> {
  return Map.groupBy(attempts, (attempt) => attempt.model);
}
