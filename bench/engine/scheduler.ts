/**
 * Models in memory and requests that wait for a load, on simulated time. The rules are Ollama's (`server/sched.go`, as
 * read in November 2026). One request at a time, in order, gets a runner. It may wait for a load, or for an idle runner
 * to be unloaded. Meanwhile all requests behind it wait, for any model. With {@link EngineSpec.overtaking}, requests
 * for loaded models do not wait there.
 */
import type { EngineCounters } from "./counters.ts";
import { needsReload } from "./runner-options.ts";
import type { RunnerOptions } from "./runner-options.ts";
import { SlotPool } from "./slot-pool.ts";
import type { EngineSpec, SimModel } from "./spec.ts";
import type { ScheduledEvent, Timeline } from "./timeline.ts";

/** Why a request got no runner: too many wait, or its model is larger than the memory. */
export type Refusal = "busy" | "memory";

/** A request that needs a runner. */
export interface RunnerRequest {
  readonly model: SimModel;
  readonly options: RunnerOptions;
  /** Time that the model stays afterwards, ms; undefined: unchanged; negative: for ever. */
  readonly keepAliveMs: number | undefined;
  onGrant(runner: Runner): void;
  onRefusal(refusal: Refusal): void;
}

/** A model in memory, or on its way there. */
export interface Runner {
  readonly model: SimModel;
  readonly options: RunnerOptions;
  readonly bytes: number;
  readonly pool: SlotPool;
  /** Requests that hold it: it is not unloaded meanwhile. */
  readonly holders: Set<RunnerRequest>;
  /** Requests that came while it was loading and that need not wait in order. */
  readonly joiners: RunnerRequest[];
  /** Its load, while that lasts, and who asked for it: the load ends with that request. */
  load: { readonly timer: ScheduledEvent; readonly by: RunnerRequest } | undefined;
  keepAliveMs: number;
  expiry: ScheduledEvent | undefined;
  /** When its last request ended, and when it will expire; simulated ms. */
  usedAtMs: number;
  expiresAtMs: number;
}

interface Head {
  readonly ask: RunnerRequest;
  left: boolean;
}

export class Scheduler {
  readonly #spec: EngineSpec;
  readonly #timeline: Timeline;
  readonly #counters: EngineCounters;
  readonly #loaded = new Map<string, Runner>();
  readonly #pending: RunnerRequest[] = [];
  /** The one that is being brought to a runner. When its client leaves, its turn still lasts until an unload. */
  #head: Head | undefined;
  /** Ended unloads and loads, for which the first request may wait. */
  #turns = 0;
  #isPumping = false;

  constructor(spec: EngineSpec, timeline: Timeline, counters: EngineCounters) {
    this.#spec = spec;
    this.#timeline = timeline;
    this.#counters = counters;
  }

  /** Models in memory, those that are loading included. */
  get runners(): readonly Runner[] {
    return [...this.#loaded.values()];
  }

  /** Requests without a runner. */
  get waiting(): number {
    const joining = this.runners.reduce((sum, { joiners }) => sum + joiners.length, 0);
    return this.#pending.length + (this.#head === undefined ? 0 : 1) + joining;
  }

  /** Bytes in use. */
  get usedBytes(): number {
    return this.runners.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Finds a runner for a request, now or later; each ends with one {@link leave}, unless it is refused. */
  ask(ask: RunnerRequest): void {
    const runner = this.#loaded.get(ask.model.name);
    if (this.#spec.overtaking && runner !== undefined && !needsReload(runner.options, ask.options)) {
      if (runner.load === undefined) this.#grant(runner, ask);
      else runner.joiners.push(ask);
    } else if (this.#head !== undefined && this.#pending.length >= this.#spec.maxQueue) {
      this.#counters.refused += 1;
      ask.onRefusal("busy");
    } else {
      this.#pending.push(ask);
      if (this.#head === undefined) this.#pump();
    }
  }

  /** A request has ended, or its client has left. */
  leave(ask: RunnerRequest): void {
    const at = this.#pending.indexOf(ask);
    if (at >= 0) this.#pending.splice(at, 1);
    if (this.#head?.ask === ask) this.#head.left = true;
    const before = this.#turns;
    for (const runner of this.runners) this.#leaveRunner(runner, ask);
    if (this.#turns !== before) this.#pump();
  }

  /** Unloads a model, once it is idle. */
  expire(name: string): void {
    const runner = this.#loaded.get(name);
    const before = this.#turns;
    if (runner !== undefined) this.#expire(runner, "expirations");
    if (this.#turns !== before) this.#pump();
  }

  #leaveRunner(runner: Runner, ask: RunnerRequest): void {
    const joined = runner.joiners.indexOf(ask);
    if (joined >= 0) runner.joiners.splice(joined, 1);
    if (!runner.holders.delete(ask)) return;
    runner.usedAtMs = this.#timeline.nowMs;
    if (runner.load !== undefined) this.#abortLoad(runner);
    else if (runner.holders.size === 0) this.#rest(runner);
  }

  #abortLoad(runner: Runner): void {
    runner.load?.timer.cancel();
    runner.load = undefined;
    this.#counters.abortedLoads += 1;
    this.#turns += 1;
    this.#loaded.delete(runner.model.name);
    this.#pending.push(...runner.joiners);
  }

  /** Unloads a runner without requests, at once or when its `keep_alive` is over. */
  #rest(runner: Runner): void {
    if (runner.keepAliveMs === 0) {
      this.#unload(runner);
      return;
    }
    if (runner.keepAliveMs < 0) return;
    runner.expiresAtMs = this.#timeline.nowMs + runner.keepAliveMs;
    runner.expiry = this.#timeline.after(runner.keepAliveMs, () => {
      this.#counters.expirations += 1;
      this.#unload(runner);
      this.#pump();
    });
  }

  #expire(runner: Runner, cause: "expirations" | "evictions" | "reloads"): void {
    if (runner.keepAliveMs !== 0 || runner.holders.size === 0) this.#counters[cause] += 1;
    runner.keepAliveMs = 0;
    runner.expiry?.cancel();
    if (runner.holders.size === 0) this.#unload(runner);
  }

  #unload(runner: Runner): void {
    if (runner.holders.size > 0) throw new Error(`${runner.model.name} is in use and cannot be unloaded`);
    runner.expiry?.cancel();
    this.#loaded.delete(runner.model.name);
    this.#counters.unloads += 1;
    this.#turns += 1;
  }

  #grant(runner: Runner, ask: RunnerRequest): void {
    runner.holders.add(ask);
    runner.expiry?.cancel();
    if (ask.keepAliveMs !== undefined) runner.keepAliveMs = ask.keepAliveMs;
    ask.onGrant(runner);
  }

  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    for (;;) {
      this.#head ??= this.#next();
      if (this.#head === undefined) break;
      if (!this.#head.left && !this.#place(this.#head.ask)) break;
      this.#head = undefined;
    }
    this.#isPumping = false;
  }

  #next(): Head | undefined {
    const ask = this.#pending.shift();
    return ask === undefined ? undefined : { ask, left: false };
  }

  /** Brings a request to a runner or refuses it; false while it has to wait for a load or an unload. */
  #place(ask: RunnerRequest): boolean {
    for (;;) {
      if (this.runners.some(({ load }) => load !== undefined)) return false;
      const runner = this.#loaded.get(ask.model.name);
      if (runner !== undefined && !needsReload(runner.options, ask.options)) {
        this.#grant(runner, ask);
        return true;
      }
      const bytes = this.#bytesOf(ask);
      if (bytes > this.#spec.memory) {
        ask.onRefusal("memory");
        return true;
      }
      const victim = runner ?? this.#victimFor(bytes);
      if (victim === undefined) {
        this.#load(ask, bytes);
        return true;
      }
      this.#expire(victim, runner === undefined ? "evictions" : "reloads");
      if (this.#loaded.has(victim.model.name)) return false;
    }
  }

  #bytesOf({ model, options }: RunnerRequest): number {
    return model.bytes + this.#spec.bytesPerToken * options.numCtx * model.slots;
  }

  /**
   * Returns the runner to unload before so many bytes fit; undefined when they do. Idle ones first, then the shortest
   * `keep_alive`, as Ollama has it; among equals, where Ollama goes by names, the least recently used.
   */
  #victimFor(bytes: number): Runner | undefined {
    const { maxLoaded, memory } = this.#spec;
    const isFull = maxLoaded > 0 && this.#loaded.size >= maxLoaded;
    if (!isFull && this.usedBytes + bytes <= memory) return undefined;
    return this.runners.toSorted((a, b) => compare(staying(a), staying(b)))[0];
  }

  #load(ask: RunnerRequest, bytes: number): void {
    const { model, options } = ask;
    const runner: Runner = {
      model,
      options,
      bytes,
      pool: new SlotPool(this.#timeline, model, this.#spec),
      holders: new Set([ask]),
      joiners: [],
      load: { timer: this.#timeline.after(model.loadMs, () => this.#loadEnded(runner)), by: ask },
      keepAliveMs: ask.keepAliveMs ?? this.#spec.keepAliveMs,
      expiry: undefined,
      usedAtMs: this.#timeline.nowMs,
      expiresAtMs: 0,
    };
    this.#loaded.set(model.name, runner);
    this.#counters.loads += 1;
    this.#counters.mostBytes = Math.max(this.#counters.mostBytes, this.usedBytes);
  }

  #loadEnded(runner: Runner): void {
    const by = runner.load?.by;
    runner.load = undefined;
    by?.onGrant(runner);
    for (const ask of runner.joiners.splice(0)) this.#grant(runner, ask);
    this.#pump();
  }
}

/** Returns the keys by which runners stay: the least of all goes first. */
function staying({ holders, keepAliveMs, usedAtMs }: Runner): readonly number[] {
  return [Math.min(1, holders.size), keepAliveMs < 0 ? Infinity : keepAliveMs, usedAtMs];
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at < 0 ? 0 : (a[at] ?? 0) < (b[at] ?? 0) ? -1 : 1;
}
