import type { GateState } from "../core/fleet.ts";
import type { Endpoint } from "../core/task.ts";
import { Streak } from "./streak.ts";
import type { Evidence } from "./streak.ts";

/** Failures in a row that open a circuit, when nothing else is said: more than one task alone can cause. */
const FAILURES = 5;

/** How long a circuit stays open: at first, and at most after several failed probes; ms. */
const OPEN_MIN_MS = 1000;
const OPEN_MAX_MS = 10_000;

/** How long the last backend of a model gets nothing after a failure: at first, and at most; ms. */
const PACE_MIN_MS = 500;
const PACE_MAX_MS = 2000;

/** How long the worker asks nothing of its own after an own request was answered: at first, and at most; ms. */
const DOUBT_MIN_MS = 2000;
const DOUBT_MAX_MS = 30_000;

/** How often an open circuit looks whether it may stay so, ms. */
const RECONSIDER_MS = 1000;

/** How long a busy backend is asked for no more than it has taken: at first, and at most; ms. */
const QUIET_MIN_MS = 1000;
const QUIET_MAX_MS = 30_000;

/** Longest time that it is left alone while it takes nothing and has not said for how long, ms. */
const PAUSE_MAX_MS = 5000;

/** A longer Retry-After is not believed, ms: the backend is then asked again with one task. */
const MOST_ASKED_MS = 60_000;

export interface GateOptions {
  /** Failures in a row that open the circuit. */
  readonly failures?: number;
  readonly mono: () => number;
  readonly random: () => number;
}

/** What a gate tells its station. */
export interface GateWatch {
  /** Tasks may pass again, or it is time to look whether they may. */
  readonly onRoom: () => void;
  /** Each change, once. */
  readonly onState: (state: GateState) => void;
  /**
   * Failures may all be one client's doing: the worker is to ask the backend itself, and to tell {@link Gate.ownWorked},
   * {@link Gate.failed} or {@link Gate.ownUnclear}. Absent: every failure is believed.
   */
  readonly onDoubt?: (endpoint: Endpoint | undefined) => void;
  /** An open circuit may be probed from now on, and before any task is. */
  readonly onProbeTime?: (endpoint: Endpoint | undefined) => void;
  /** False when the model would have too few backends without this one. Absent: always true. */
  readonly mayEject?: () => boolean;
}

/**
 * Lets tasks of one model through to one backend. It learns from how attempts end:
 *
 * - A backend that fails (cannot be reached, breaks off, answers 5xx) several times in a row opens the circuit: no
 *   task passes for a while, then a single one as a probe. The first bytes of a streamed answer close it, and so does
 *   any other success; a failed probe opens it for longer. {@link Streak} tells what failures prove: those of a
 *   single client prove nothing before the worker's own request fails, too.
 * - The circuit of a backend that the model cannot do without is not opened but paced: single tasks, with pauses.
 * - A backend that is busy (429, 503) works: it is given no more tasks than those it has taken, and none at all
 *   while it takes none or has asked to wait. That never opens the circuit.
 *
 * Attempts carry the era they began in, so that those which began before the last change do not count as news.
 */
export class Gate {
  readonly #options: GateOptions;
  readonly #watch: GateWatch;
  #era = 0;
  #running = 0;
  readonly #streak = new Streak();
  /** The endpoint of the latest failure. */
  #endpoint: Endpoint | undefined;
  /** True while the worker's own request is under way that was asked for by doubt. */
  #asking = false;
  /** Mono ms; no doubt asks before. */
  #askAgainAt: number = -Infinity;
  #doubtMs = 0;
  /** The circuit is not closed, and the model cannot do without this backend. */
  #paced = false;
  /** Times in a row that the circuit opened; 0 when it is closed. */
  #openings = 0;
  /** Tasks on their way through an open circuit: one at most. */
  #probes = 0;
  /** Mono ms; nothing passes before. */
  #shutUntil: number = -Infinity;
  /** Most tasks at once. */
  #limit: number = Infinity;
  #busyAt: number = -Infinity;
  #quietMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #told: GateState = "closed";

  constructor(options: GateOptions, watch: GateWatch) {
    this.#options = options;
    this.#watch = watch;
  }

  get state(): GateState {
    if (this.#openings > 0) return this.#paced ? "paced" : this.#shut ? "open" : "half-open";
    return this.#limit < Infinity || this.#shut ? "busy" : "closed";
  }

  /** Most tasks at once; Infinity when the slots of the backend are the only limit. */
  get limit(): number {
    if (this.#shut) return 0;
    return this.#openings > 0 ? 1 : this.#limit;
  }

  /** How many more tasks may pass now. */
  get room(): number {
    return Math.max(0, this.limit - (this.#openings > 0 ? this.#probes : this.#running));
  }

  get #shut(): boolean {
    return this.#shutUntil > this.#options.mono();
  }

  /** A task passes. Returns the era, which belongs to all that is said of this attempt later. */
  enter(): number {
    this.#running += 1;
    if (this.#openings > 0) {
      // The probe may come before the timer has told that it may.
      this.#tell();
      this.#probes += 1;
    }
    return this.#era;
  }

  /** The attempt is over, whatever became of it. */
  leave(era: number): void {
    this.#running -= 1;
    if (this.#openings > 0 && era === this.#era) this.#probes -= 1;
  }

  /** True while the circuit is not closed: a task that passes is a probe. */
  get probing(): boolean {
    return this.#openings > 0;
  }

  /** An answer has begun: proof enough for a probe, whose rest may take minutes. */
  begun(era: number): void {
    if (this.#openings > 0 && era === this.#era) this.#close();
  }

  /** The backend has answered: with an answer, or with a refusal that is about the request. @param slots its slots */
  worked(era: number, slots: number): void {
    // The common case costs three comparisons.
    if (this.#streak.isEmpty && this.#limit === Infinity && this.#openings === 0) return;
    if (this.#openings > 0 && era !== this.#era) return;
    this.#streak.clear();
    if (this.#openings > 0) this.#close();
    this.#grow(slots);
  }

  /** The backend is broken, as far as one attempt can tell. */
  failed(era: number, evidence: Evidence = { strength: "hard" }): void {
    const isOwn = evidence.strength === "own";
    if (isOwn) this.#asking = false;
    if (era !== this.#era) return;
    if (!isOwn) this.#endpoint = evidence.endpoint;
    this.#streak.add(evidence);
    const finding = this.#streak.find(this.#openings > 0 ? 1 : this.#failures);
    if (finding === "too few") return;
    if (finding === "proven" || this.#watch.onDoubt === undefined) this.#open();
    else this.#doubt(this.#watch.onDoubt);
  }

  /** The worker's own request was answered: what failed before was the doing of those who asked for it. */
  ownWorked(era: number, slots: number): void {
    this.#asking = false;
    this.#doubtMs = Math.min(DOUBT_MAX_MS, Math.max(DOUBT_MIN_MS, 2 * this.#doubtMs));
    this.#askAgainAt = this.#options.mono() + this.#doubtMs;
    this.worked(era, slots);
  }

  /** The worker's own request was not to be had, or was stopped. */
  ownUnclear(): void {
    this.#asking = false;
    this.#askAgainAt = this.#options.mono() + DOUBT_MIN_MS;
  }

  /**
   * Nothing has asked for the model since the circuit may be probed, and the backend seems to be well: it is closed, and
   * one failure opens it again.
   */
  settle(era: number): void {
    if (this.#openings === 0 || era !== this.#era || this.#shut) return;
    this.#close();
    this.#streak.prime(this.#failures);
  }

  /** Belongs to all that happens until the gate's next change. */
  get era(): number {
    return this.#era;
  }

  get #failures(): number {
    return this.#options.failures ?? FAILURES;
  }

  #doubt(ask: (endpoint: Endpoint | undefined) => void): void {
    if (this.#asking || this.#options.mono() < this.#askAgainAt) return;
    this.#asking = true;
    ask(this.#endpoint);
  }

  #open(): void {
    const { random } = this.#options;
    this.#paced = !(this.#watch.mayEject?.() ?? true);
    const [least, most] = this.#paced ? [PACE_MIN_MS, PACE_MAX_MS] : [OPEN_MIN_MS, OPEN_MAX_MS];
    const waitMs = Math.min(most, least * 2 ** this.#openings) * (0.75 + random() / 2);
    this.#openings += 1;
    this.#era += 1;
    this.#probes = 0;
    this.#doubtMs = 0;
    this.#askAgainAt = -Infinity;
    this.#streak.clear();
    this.#shutFor(waitMs);
    this.#tell();
  }

  /** An open circuit whose model has lost its other backends meanwhile is paced from now on. */
  #reconsider(): void {
    if (this.#openings === 0 || this.#paced || !this.#shut || this.#watch.mayEject?.() !== false) return;
    this.#paced = true;
    this.#shutUntil = Math.min(this.#shutUntil, this.#options.mono() + PACE_MIN_MS);
    this.#tell();
  }

  /** The backend is full or not ready. @param askedMs how long it asked to be left alone; 0 when it did not say */
  busy(era: number, askedMs: number): void {
    const news = era === this.#era;
    if (this.#openings > 0) {
      if (!news) return;
      this.#mend();
    }
    this.#streak.clear();
    const { mono, random } = this.#options;
    const others = this.#running - 1;
    this.#limit = Math.max(1, Math.min(this.#limit, others));
    if (news) {
      this.#quietMs = Math.min(QUIET_MAX_MS, Math.max(QUIET_MIN_MS, 2 * this.#quietMs));
      this.#busyAt = mono();
      this.#era += 1;
    }
    // While it works on others of ours, the end of one of them is the time to ask again.
    const pauseMs = Math.min(PAUSE_MAX_MS, this.#quietMs) * (0.75 + random() / 2);
    this.#shutFor(Math.max(others > 0 ? 0 : pauseMs, Math.min(askedMs, MOST_ASKED_MS)));
    this.#tell();
  }

  /** The backend came back: an open circuit takes a probe at once. */
  revive(): void {
    if (this.#openings === 0) return;
    this.#shutUntil = -Infinity;
    this.#tell();
    this.#passable();
  }

  /**
   * Own request first: the probe of an open circuit should be no client's task. Tasks first when it is paced: no one
   * else would answer them, and each is to get its answer or its fault.
   */
  #passable(): void {
    if (this.#paced) this.#watch.onRoom();
    if (this.#openings > 0) this.#watch.onProbeTime?.(this.#endpoint);
    if (!this.#paced) this.#watch.onRoom();
  }

  /** Told once: the state may come by itself, with time. */
  #tell(): void {
    const { state } = this;
    if (state === this.#told) return;
    this.#told = state;
    this.#watch.onState(state);
  }

  #close(): void {
    this.#mend();
    this.#tell();
    this.#watch.onRoom();
  }

  #mend(): void {
    this.#openings = 0;
    this.#paced = false;
    this.#streak.clear();
    this.#shutUntil = -Infinity;
    this.#era += 1;
  }

  /** After a quiet time each success lets one task more through: twice as many with each round. */
  #grow(slots: number): void {
    if (this.#limit === Infinity || this.#options.mono() - this.#busyAt < this.#quietMs) return;
    this.#limit += 1;
    if (this.#limit >= slots) {
      this.#limit = Infinity;
      this.#quietMs = 0;
      this.#tell();
    }
    this.#watch.onRoom();
  }

  /** Lets nothing through for so long, or for longer if that was said before. */
  #shutFor(waitMs: number): void {
    if (waitMs <= 0) return;
    const now = this.#options.mono();
    this.#shutUntil = Math.max(this.#shutUntil, now + waitMs);
    this.#await();
  }

  #await(): void {
    clearTimeout(this.#timer);
    // A timer may be early by a fraction of a millisecond.
    const leftMs = Math.ceil(this.#shutUntil - this.#options.mono()) + 1;
    const isLong = this.#watch.mayEject !== undefined && leftMs > RECONSIDER_MS;
    this.#timer = setTimeout(
      () => {
        if (isLong) {
          this.#reconsider();
          this.#await();
          return;
        }
        this.#tell();
        this.#passable();
      },
      isLong ? RECONSIDER_MS : leftMs,
    );
    this.#timer.unref();
  }
}
