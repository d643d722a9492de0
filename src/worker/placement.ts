import type { PlacementAnnouncement } from "../core/fleet.ts";
import type { ModelCard } from "../core/model.ts";
import { plan } from "../core/placement.ts";
import type { Placeable, Places, Plan } from "../core/placement.ts";
import type { QueueHead } from "../redis/take-placed.ts";
import { LoadTimes } from "./load-times.ts";
import type { LoadLimits } from "./load-times.ts";
import { Memory } from "./memory.ts";

export interface PlacementOptions extends LoadLimits {
  /** Models that fit into a backend's memory at once, as configured; 0 learns it. */
  readonly modelsLoaded: number;
  readonly mono: () => number;
}

/** Events that a placement tells its station. */
export interface PlacementWatch {
  /** The memory of the backend is not known any more, or has just changed: look at the backend. */
  readonly onLook: () => void;
  /** Another model is being loaded, and something had to go. @param waitedMs how long the head of its queue has waited */
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

interface Head {
  readonly entry: string | undefined;
  /** Mono ms; undefined when none waits. */
  readonly since: number | undefined;
  readonly delivered: string;
  /** Mono ms when another worker was last seen to claim. */
  readonly movedAt: number;
}

const UNUSED: Use = { running: 0, idleAt: -Infinity };

/**
 * Knows what one backend has in memory, which tasks wait for it, and what it may be given: the memory of the policy in
 * core/placement.ts. A model whose task is claimed counts as loaded from then on; what the backend itself tells comes
 * seconds later, and corrects it.
 */
export class Placement {
  readonly #options: PlacementOptions;
  readonly #watch: PlacementWatch;
  readonly #loaded = new Map<string, Loaded>();
  readonly #use = new Map<string, Use>();
  readonly #heads = new Map<string, Head>();
  /** Models of which a task waits that was handed back, since when; mono ms. */
  readonly #wanted = new Map<string, number>();
  /** Models whose load failed, and until when they are not loaded unless nothing else is to be done; mono ms. */
  readonly #failed = new Map<string, number>();
  readonly #times: LoadTimes;
  readonly #memory: Memory;
  /** Models that take no memory: other servers answer for the backend. */
  #remote: ReadonlySet<string> = new Set();
  /** Redis does not let this worker ask who waits. */
  #blind = false;
  #swaps = 0;
  #plan: Plan | undefined;
  /** Since when the head of the model has waited whose turn it is; mono ms. */
  #turn: { readonly model: string; readonly since: number | undefined } | undefined;

  constructor(options: PlacementOptions, watch: PlacementWatch) {
    this.#options = options;
    this.#watch = watch;
    this.#times = new LoadTimes(options);
    this.#memory = new Memory(options.modelsLoaded);
  }

  /** Returns what others are told; undefined for a backend with one model. @param models all that it has */
  announcement(models: readonly ModelCard[]): PlacementAnnouncement | undefined {
    if (this.#blind || models.length < 2) return undefined;
    const now = this.#options.mono();
    const swapTo = this.#plan?.swapTo;
    const cold = models.flatMap(({ key: model }) => {
      const since = this.isLoaded(model) ? undefined : this.waitingSince(model);
      if (since === undefined) return [];
      const dueMs = Math.max(0, Math.round(this.dueAt(model, since) - now));
      return [{ model, waitedMs: Math.max(0, Math.round(now - since)), dueMs }];
    });
    return {
      swaps: this.#swaps,
      places: this.places.models,
      loading: [...this.#loaded].flatMap(([key, { loadedAt }]) => (loadedAt === undefined ? [key] : [])),
      ...(swapTo === undefined ? {} : { swapTo }),
      cold: cold.toSorted((a, b) => b.waitedMs - a.waitedMs),
    };
  }

  get places(): Places {
    return this.#memory.places;
  }

  /** True when it answers without a load. */
  isLoaded(model: string): boolean {
    return this.#loaded.has(model) || this.#remote.has(model);
  }

  /** False for a task that would throw out a model that runs: its claim was on the way when that began. */
  admits(model: string): boolean {
    if (this.#blind || this.isLoaded(model)) return true;
    const running = [...this.#loaded.keys()].filter((key) => this.#runningOf(key) > 0);
    return this.#memory.holds(model, running);
  }

  /** Since when a task of a model waits, mono ms; undefined when none is known to. */
  waitingSince(model: string): number | undefined {
    const since = this.#heads.get(model)?.since;
    const wanted = this.#wanted.get(model);
    return since === undefined || wanted === undefined ? (since ?? wanted) : Math.min(since, wanted);
  }

  /** When the wait bound of a model is reached that waits since then; mono ms. */
  dueAt(model: string, since: number): number {
    return Math.max(since, this.#heads.get(model)?.movedAt ?? -Infinity) + this.#times.waitMs(model);
  }

  /**
   * Returns what may be claimed now. Undefined when there is no choice: one model only, or all are loaded.
   * @param models all that the backend has
   * @param open those whose tasks may be claimed
   * @param turn counts the looks
   */
  plan(models: readonly ModelCard[], open: readonly ModelCard[], turn: number): Plan | undefined {
    if (this.#blind || models.length < 2 || models.every(({ key }) => this.isLoaded(key))) {
      // Queue heads get old where no look renews them.
      if (this.#plan !== undefined) this.#heads.clear();
      this.#plan = undefined;
      return undefined;
    }
    const openKeys = new Set(open.map(({ key }) => key));
    this.#lookAway(openKeys);
    const placeable = models.map((card) => this.#placeable(card, openKeys.has(card.key)));
    this.#plan = plan(placeable, this.places, { now: this.#options.mono(), turn });
    const { swapTo: model } = this.#plan;
    if (model !== undefined) this.#turn = { model, since: this.waitingSince(model) };
    return this.#plan;
  }

  /** Queues that are not looked at are not known: other workers may serve them. */
  #lookAway(open: ReadonlySet<string>): void {
    for (const [key, head] of this.#heads) {
      if (head.entry !== undefined && !open.has(key)) {
        this.#heads.set(key, { ...head, entry: undefined, since: undefined });
      }
    }
  }

  #placeable({ key, size }: ModelCard, open: boolean): Placeable {
    const isRemote = this.#remote.has(key);
    // A model that takes no memory keeps no other model out of it.
    const { running, idleAt } = isRemote ? UNUSED : (this.#use.get(key) ?? UNUSED);
    const head = isRemote ? undefined : this.#heads.get(key);
    const since = isRemote ? undefined : this.waitingSince(key);
    return {
      key,
      loaded: this.isLoaded(key),
      loadedAt: this.#loaded.get(key)?.loadedAt,
      running,
      idleAt,
      open,
      waitingSince: since,
      queued: head?.since !== undefined,
      dueAt: since === undefined ? Infinity : this.dueAt(key, since),
      retryAt: this.#failed.get(key) ?? -Infinity,
      residencyMs: this.#times.residencyMs(key),
      lingerMs: this.#times.lingerMs(key),
      bytes: this.#memory.bytesOf(key, size),
    };
  }

  /** Records the queue heads. Returns false when Redis does not let this worker ask: nothing is placed from then on. */
  heads(heads: readonly QueueHead[], refused: boolean): boolean {
    this.#blind ||= refused;
    const now = this.#options.mono();
    for (const { model, entry, ageMs, delivered } of heads) {
      const before = this.#heads.get(model);
      const isSame = before !== undefined && before.entry === entry;
      const age = entry === undefined ? undefined : now - ageMs;
      const moved = before !== undefined && before.delivered !== delivered && !this.#loaded.has(model);
      this.#heads.set(model, {
        entry,
        // A clock of Redis that steps does not make it older.
        since: isSame ? before.since : age,
        delivered,
        // Others serve it: it does not starve, however long its queue is.
        movedAt: moved ? now : (before?.movedAt ?? -Infinity),
      });
    }
    return !this.#blind;
  }

  /** A task of the model that was handed back waits for room here, or does no longer. */
  want(model: string, wanted: boolean): void {
    if (this.#wanted.has(model) === wanted) return;
    if (wanted) this.#wanted.set(model, this.#options.mono());
    else this.#wanted.delete(model);
    this.#watch.onPlan();
  }

  /** A task of the model runs. Returns true while it loads the model, or waits for its load. */
  entered(model: string): boolean {
    const use = this.#useOf(model);
    use.running += 1;
    const known = this.#loaded.get(model);
    if (known !== undefined) return known.loadedAt === undefined;
    if (this.#remote.has(model)) return false;
    const now = this.#options.mono();
    const before = [...this.#loaded.keys()];
    // Its head is claimed by now.
    const since = this.#turn?.model === model ? this.#turn.since : this.waitingSince(model);
    const gone = this.#makeRoom(model);
    this.#loaded.set(model, { startedAt: now, loadedAt: undefined, before });
    if (gone > 0) this.#swaps += 1;
    if (gone > 0) this.#watch.onSwap(model, since === undefined ? 0 : Math.max(0, now - since));
    this.#watch.onPlan();
    return true;
  }

  /** The least recently used models that are idle go. Returns how many. */
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
    use.idleAt = this.#options.mono();
    if (use.running > 0) return;
    const known = this.#loaded.get(model);
    if (known !== undefined && known.loadedAt === undefined) this.#neverLoaded(model, known);
    this.#watch.onPlan();
  }

  /** A task of the model was sent and got no answer: its load, if it is under way, is not tried again at once. */
  failed(model: string): void {
    const known = this.#loaded.get(model);
    if (known !== undefined && known.loadedAt === undefined) known.failed = true;
  }

  /**
   * It never answered: it is not known to be there, and what had to go may be there still. Tasks that were not sent, or
   * were refused, do not hold up the others of their model.
   */
  #neverLoaded(model: string, { failed = false }: Loaded): void {
    this.#loaded.delete(model);
    if (failed) this.#failed.set(model, this.#options.mono() + this.#times.waitMs(model));
    this.#watch.onLook();
  }

  /** The first piece of an answer of a model that was being loaded has come. */
  answered(model: string): void {
    const known = this.#loaded.get(model);
    if (known === undefined || known.loadedAt !== undefined) return;
    known.loadedAt = this.#options.mono();
    this.#failed.delete(model);
    this.#times.took(model, known.loadedAt - known.startedAt);
    this.#watch.onLook();
    this.#watch.onPlan();
  }

  /** The backend says how long the load took that an answer waited for, ms. */
  measured(model: string, loadMs: number): void {
    this.#times.corrected(model, loadMs);
  }

  /** Records what the backend says it has in memory. @param askedAt mono ms, when it was asked */
  seen(cards: readonly ModelCard[], askedAt: number): void {
    this.#remote = new Set(cards.filter((card) => card.remote === true).map(({ key }) => key));
    const resident = cards.filter((card) => card.resident && card.remote !== true);
    const isLoading = [...this.#loaded.values()].some((known) => (known.loadedAt ?? Infinity) > askedAt);
    const since = Math.min(this.#options.mono(), askedAt);
    for (const card of resident) this.#memory.sized(card);
    const keys = resident.map(({ key }) => key);
    for (const [key, { loadedAt = Infinity }] of this.#loaded) {
      // A model that runs a task is loaded, or is being loaded. The look says nothing of a load that ended after it began.
      const isNews = loadedAt <= askedAt && this.#runningOf(key) === 0;
      if (isNews && !keys.includes(key)) this.#loaded.delete(key);
    }
    this.#forget(new Set(cards.map(({ key }) => key)));
    if (isLoading) return;
    for (const key of keys) {
      if (!this.#loaded.has(key)) this.#loaded.set(key, { startedAt: since, loadedAt: since, before: [] });
    }
    this.#memory.seen(keys, this.#evicted(keys));
    this.#watch.onPlan();
  }

  /** Forgets models that the backend has no more: one whose models have other names at each look fills no memory. */
  #forget(listed: ReadonlySet<string>): void {
    for (const table of [this.#heads, this.#wanted, this.#failed, this.#use]) {
      for (const key of table.keys()) if (!listed.has(key) && this.#runningOf(key) === 0) table.delete(key);
    }
    this.#times.keep(listed);
    this.#memory.keep(listed);
  }

  /** True when a load has thrown out what was loaded before it. Told once. */
  #evicted(resident: readonly string[]): boolean {
    let evicted = false;
    for (const [key, known] of this.#loaded) {
      evicted ||= known.before.some((one) => !resident.includes(one));
      this.#loaded.set(key, { ...known, before: [] });
    }
    return evicted;
  }

  /** The backend is not there: when it comes back it may have anything in memory. */
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
