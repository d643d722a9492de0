import type { GateState } from "../core/fleet.ts";

/** Failures in a row that open a circuit, when nothing else is said: more than one task alone can cause. */
const FAILURES = 5;

/** How long a circuit stays open: at first, and at most after several failed probes; ms. */
const OPEN_MIN_MS = 1000;
const OPEN_MAX_MS = 10_000;

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
}

/**
 * Lets tasks of one model through to one backend. It learns from how attempts end:
 *
 * - A backend that fails (cannot be reached, breaks off, answers 5xx) several times in a row opens the circuit: no
 *   task passes for a while, then a single one as a probe. The first bytes of a streamed answer close it, and so does
 *   any other success; a failed probe opens it for longer.
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
  #failures = 0;
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
    if (this.#openings > 0) return this.#shut ? "open" : "half-open";
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
    if (this.#failures === 0 && this.#limit === Infinity && this.#openings === 0) return;
    if (this.#openings > 0 && era !== this.#era) return;
    this.#failures = 0;
    if (this.#openings > 0) this.#close();
    this.#grow(slots);
  }

  /** The backend is broken, as far as one attempt can tell. */
  failed(era: number): void {
    if (era !== this.#era) return;
    this.#failures += 1;
    if (this.#openings === 0 && this.#failures < (this.#options.failures ?? FAILURES)) return;
    const { random } = this.#options;
    const waitMs = Math.min(OPEN_MAX_MS, OPEN_MIN_MS * 2 ** this.#openings) * (0.75 + random() / 2);
    this.#openings += 1;
    this.#era += 1;
    this.#probes = 0;
    this.#shutFor(waitMs);
    this.#tell();
  }

  /** The backend is full or not ready. @param askedMs how long it asked to be left alone; 0 when it did not say */
  busy(era: number, askedMs: number): void {
    const news = era === this.#era;
    if (this.#openings > 0) {
      if (!news) return;
      this.#mend();
    }
    this.#failures = 0;
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
    this.#watch.onRoom();
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
    this.#failures = 0;
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
    clearTimeout(this.#timer);
    // A timer may be early by a fraction of a millisecond.
    this.#timer = setTimeout(
      () => {
        this.#tell();
        this.#watch.onRoom();
      },
      Math.ceil(this.#shutUntil - now) + 1,
    );
    this.#timer.unref();
  }
}
