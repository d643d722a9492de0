import type { Ambient } from "../core/ambient.ts";
import type { PlacementAnnouncement } from "../core/fleet.ts";
import type { ModelCard } from "../core/model.ts";
import { planPlacement } from "../core/placement.ts";
import type { PlacementModel, MemoryCapacity, PlacementPlan } from "../core/placement.ts";
import type { QueueHead } from "../redis/placed-consumer.ts";
import { LoadTimes } from "./load-times.ts";
import type { LoadLimits } from "./load-times.ts";
import { Memory } from "./memory.ts";
import { QueueHeads } from "./queue-heads.ts";

export interface PlacementOptions extends LoadLimits {
  /** Models that fit into a backend's memory at once, as configured; 0 learns it. */
  readonly modelsLoaded: number;
  readonly ambient: Pick<Ambient, "mono">;
}

/** Events of a placement. */
export interface PlacementEvents {
  /** The memory of the backend is not known any more, or has just changed: the backend is to be checked. */
  readonly onMemory: () => void;
  /** Another model is being loaded, and some model had to go. @param waitedMs wait of the head of its queue (ms) */
  readonly onSwap: (model: string, waitedMs: number) => void;
  /** Other models than before may be claimed. */
  readonly onPlan: () => void;
}

interface Loaded {
  /** Mono ms. */
  readonly startedAt: number;
  /** Mono ms; undefined while it loads. */
  loadedAt: number | undefined;
  /** Models that were loaded when its load began, if one did. */
  readonly before: readonly string[];
  /** A task that waited for the load was sent and got no answer. */
  failed?: boolean;
}

interface Use {
  running: number;
  idleAt: number;
}

const UNUSED: Use = { running: 0, idleAt: -Infinity };

/**
 * Tracks the models in the memory of one backend and the tasks that wait for it. It holds the state for the policy in
 * core/placement.ts. A model whose task is claimed counts as loaded from then on. The backend's own report comes seconds
 * later, and corrects it.
 */
export class Placement {
  readonly #options: PlacementOptions;
  readonly #events: PlacementEvents;
  readonly #loaded = new Map<string, Loaded>();
  readonly #use = new Map<string, Use>();
  readonly #waiting: QueueHeads;
  /** Models whose load failed, and the end of their pause (mono ms). Until then they load only where nothing else waits. */
  readonly #failed = new Map<string, number>();
  readonly #times: LoadTimes;
  readonly #memory: Memory;
  /** Models that take no memory: other servers answer for the backend. */
  #remote: ReadonlySet<string> = new Set();
  /** Redis does not let this worker read queue heads. */
  #headsRefused = false;
  #swaps = 0;
  #plan: PlacementPlan | undefined;
  /** The cold model whose turn it is, and the wait of its queue head (mono ms). */
  #turn: { readonly model: string; readonly since: number | undefined } | undefined;

  constructor(options: PlacementOptions, events: PlacementEvents) {
    this.#options = options;
    this.#events = events;
    this.#waiting = new QueueHeads(options.ambient);
    this.#times = new LoadTimes(options);
    this.#memory = new Memory(options.modelsLoaded);
  }

  /** Returns the announcement of the placement; undefined for a backend with one model. @param models all that it has */
  announcement(models: readonly ModelCard[]): PlacementAnnouncement | undefined {
    if (this.#headsRefused || models.length < 2) return undefined;
    const now = this.#now;
    const swapTo = this.#plan?.swapTo;
    const cold = models.flatMap(({ key: model }) => {
      const since = this.isLoaded(model) ? undefined : this.waitingSince(model);
      if (since === undefined) return [];
      const dueMs = Math.max(0, Math.round(this.dueAt(model, since) - now));
      return [{ model, waitedMs: Math.max(0, Math.round(now - since)), dueMs }];
    });
    return {
      swaps: this.#swaps,
      places: this.capacity.models,
      loading: [...this.#loaded].flatMap(([key, { loadedAt }]) => (loadedAt === undefined ? [key] : [])),
      ...(swapTo === undefined ? {} : { swapTo }),
      cold: cold.toSorted((a, b) => b.waitedMs - a.waitedMs),
    };
  }

  get #now(): number {
    return this.#options.ambient.mono();
  }

  get capacity(): MemoryCapacity {
    return this.#memory.capacity;
  }

  /** True when it answers without a load. */
  isLoaded(model: string): boolean {
    return this.#loaded.has(model) || this.#remote.has(model);
  }

  /** Returns false for a task that would evict a model that runs: its claim was on the way when that began. */
  admits(model: string): boolean {
    if (this.#headsRefused || this.isLoaded(model)) return true;
    const running = [...this.#loaded.keys()].filter((key) => this.#runningOf(key) > 0);
    return this.#memory.holds(model, running);
  }

  /** Mono ms since which a task of a model waits; undefined when none is known to. */
  waitingSince(model: string): number | undefined {
    return this.#waiting.waitingSince(model);
  }

  /** Mono ms at which the wait bound of a model is reached. @param since mono ms since which its task waits */
  dueAt(model: string, since: number): number {
    return Math.max(since, this.#waiting.movedAt(model)) + this.#times.waitMs(model);
  }

  /**
   * Returns the models that may be claimed now. Undefined when there is no choice: one model only, or all are loaded.
   * @param models all that the backend has
   * @param open the models whose tasks may be claimed
   * @param turn count of the claims so far
   */
  plan(models: readonly ModelCard[], open: readonly ModelCard[], turn: number): PlacementPlan | undefined {
    if (this.#headsRefused || models.length < 2 || models.every(({ key }) => this.isLoaded(key))) {
      // Queue heads grow old where none is read any more.
      if (this.#plan !== undefined) this.#waiting.clear();
      this.#plan = undefined;
      return undefined;
    }
    const openKeys = new Set(open.map(({ key }) => key));
    this.#waiting.keepOpen(openKeys);
    const placeable = models.map((card) => this.#placeable(card, openKeys.has(card.key)));
    this.#plan = planPlacement(placeable, this.capacity, { now: this.#now, turn });
    const { swapTo: model } = this.#plan;
    if (model !== undefined) this.#turn = { model, since: this.waitingSince(model) };
    return this.#plan;
  }

  #placeable({ key, size }: ModelCard, open: boolean): PlacementModel {
    const isRemote = this.#remote.has(key);
    // A model that takes no memory keeps no other model out of it.
    const { running, idleAt } = isRemote ? UNUSED : (this.#use.get(key) ?? UNUSED);
    const since = isRemote ? undefined : this.waitingSince(key);
    return {
      key,
      loaded: this.isLoaded(key),
      loadedAt: this.#loaded.get(key)?.loadedAt,
      running,
      idleAt,
      open,
      waitingSince: since,
      queued: !isRemote && this.#waiting.isQueued(key),
      dueAt: since === undefined ? Infinity : this.dueAt(key, since),
      retryAt: this.#failed.get(key) ?? -Infinity,
      residencyMs: this.#times.residencyMs(key),
      lingerMs: this.#times.lingerMs(key),
      bytes: this.#memory.bytesOf(key, size),
    };
  }

  /** Records the queue heads. Returns false when Redis refuses to return them: nothing is placed from then on. */
  heads(heads: readonly QueueHead[], refused: boolean): boolean {
    this.#headsRefused ||= refused;
    this.#waiting.record(heads, (model) => this.#loaded.has(model));
    return !this.#headsRefused;
  }

  /** Records whether a requeued task of the model waits for room here. */
  want(model: string, wanted: boolean): void {
    if (this.#waiting.want(model, wanted)) this.#events.onPlan();
  }

  /** A task of the model runs. Returns true while it loads the model, or waits for its load. */
  entered(model: string): boolean {
    const use = this.#useOf(model);
    use.running += 1;
    const known = this.#loaded.get(model);
    if (known !== undefined) return known.loadedAt === undefined;
    if (this.#remote.has(model)) return false;
    const now = this.#now;
    const before = [...this.#loaded.keys()];
    // Its head is claimed by now.
    const since = this.#turn?.model === model ? this.#turn.since : this.waitingSince(model);
    const gone = this.#makeRoom(model);
    this.#loaded.set(model, { startedAt: now, loadedAt: undefined, before });
    if (gone > 0) this.#swaps += 1;
    if (gone > 0) this.#events.onSwap(model, since === undefined ? 0 : Math.max(0, now - since));
    this.#events.onPlan();
    return true;
  }

  /** Removes the least recently used idle models. Returns their count. */
  #makeRoom(model: string): number {
    const idle = [...this.#loaded.keys()]
      .filter((key) => this.#runningOf(key) === 0)
      .toSorted((a, b) => this.#useOf(a).idleAt - this.#useOf(b).idleAt);
    let gone = 0;
    for (const key of idle) {
      if (this.#memory.holds(model, [...this.#loaded.keys()])) break;
      this.#loaded.delete(key);
      gone += 1;
    }
    return gone;
  }

  /** A task of the model runs no longer. */
  left(model: string): void {
    const use = this.#useOf(model);
    use.running = Math.max(0, use.running - 1);
    use.idleAt = this.#now;
    if (use.running > 0) return;
    const known = this.#loaded.get(model);
    if (known !== undefined && known.loadedAt === undefined) this.#neverLoaded(model, known);
    this.#events.onPlan();
  }

  /** A task of the model was sent and got no answer: its load, if it is under way, is not tried again at once. */
  failed(model: string): void {
    const known = this.#loaded.get(model);
    if (known !== undefined && known.loadedAt === undefined) known.failed = true;
  }

  /**
   * A model never answered: it may not be loaded, and the model that had to go may still be. A task that was not sent,
   * or was refused, does not delay other tasks of its model.
   */
  #neverLoaded(model: string, { failed = false }: Loaded): void {
    this.#loaded.delete(model);
    if (failed) this.#failed.set(model, this.#now + this.#times.waitMs(model));
    this.#events.onMemory();
  }

  /** The first piece of an answer of a model that was being loaded has come. */
  answered(model: string): void {
    const known = this.#loaded.get(model);
    if (known === undefined || known.loadedAt !== undefined) return;
    known.loadedAt = this.#now;
    this.#failed.delete(model);
    this.#times.took(model, known.loadedAt - known.startedAt);
    this.#events.onMemory();
    this.#events.onPlan();
  }

  /** Records the load time that the backend reports with an answer (ms). */
  measured(model: string, loadMs: number): void {
    this.#times.corrected(model, loadMs);
  }

  /** Records the models in memory, as the backend reports them. @param checkedAt mono ms at which the check began */
  seen(cards: readonly ModelCard[], checkedAt: number): void {
    this.#remote = new Set(cards.filter((card) => card.remote === true).map(({ key }) => key));
    const resident = cards.filter((card) => card.resident && card.remote !== true);
    const isLoading = [...this.#loaded.values()].some((known) => (known.loadedAt ?? Infinity) > checkedAt);
    const since = Math.min(this.#now, checkedAt);
    for (const card of resident) this.#memory.sized(card);
    const keys = resident.map(({ key }) => key);
    for (const [key, { loadedAt = Infinity }] of this.#loaded) {
      // A model that runs a task is loaded, or is being loaded. A check shows nothing of a load that ended after it began.
      const isNews = loadedAt <= checkedAt && this.#runningOf(key) === 0;
      if (isNews && !keys.includes(key)) this.#loaded.delete(key);
    }
    this.#forget(new Set(cards.map(({ key }) => key)));
    if (isLoading) return;
    for (const key of keys) {
      if (!this.#loaded.has(key)) this.#loaded.set(key, { startedAt: since, loadedAt: since, before: [] });
    }
    this.#memory.seen(keys, this.#evicted(keys));
    this.#events.onPlan();
  }

  /** Forgets models that the backend no longer has: one that lists other names at each check fills no memory. */
  #forget(listed: ReadonlySet<string>): void {
    const isKept = (key: string): boolean => listed.has(key) || this.#runningOf(key) > 0;
    this.#waiting.keep(isKept);
    for (const table of [this.#failed, this.#use]) {
      for (const key of table.keys()) if (!isKept(key)) table.delete(key);
    }
    this.#times.keep(listed);
    this.#memory.keep(listed);
  }

  /** True when a load has evicted a model that was loaded before it. Reported once. */
  #evicted(resident: readonly string[]): boolean {
    let evicted = false;
    for (const [key, known] of this.#loaded) {
      evicted ||= known.before.some((one) => !resident.includes(one));
      this.#loaded.set(key, { ...known, before: [] });
    }
    return evicted;
  }

  /** The backend does not answer: when it comes back it may have anything in memory. */
  lost(): void {
    for (const key of this.#loaded.keys()) {
      if (this.#runningOf(key) === 0) this.#loaded.delete(key);
    }
  }

  #runningOf(model: string): number {
    return this.#use.get(model)?.running ?? 0;
  }

  #useOf(model: string): Use {
    let use = this.#use.get(model);
    if (use === undefined) this.#use.set(model, (use = { ...UNUSED }));
    return use;
  }
}
