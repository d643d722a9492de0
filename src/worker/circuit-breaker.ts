import type { Ambient } from "../core/ambient.ts";
import type { CircuitState } from "../core/fleet.ts";
import type { Endpoint } from "../core/task.ts";
import { BusyLimit } from "./busy-limit.ts";
import { OwnRequestPace } from "./own-request-pace.ts";
import { Streak } from "./streak.ts";
import type { Evidence } from "./streak.ts";

/** Default count of failures in a row that open a circuit: more than one task alone can cause. */
const FAILURES = 5;

/** Time that a circuit stays open: at first, and at most after several failed probes (ms). */
const OPEN_MIN_MS = 1000;
const OPEN_MAX_MS = 10_000;

/** Pause of the last backend of a model after a failure: the first and the longest (ms). */
const PACE_MIN_MS = 500;
const PACE_MAX_MS = 2000;

/** Interval at which an open circuit checks whether it may stay open (ms). */
const RECONSIDER_MS = 1000;

/** Longest Retry-After that is believed (ms). After it the backend gets one task. */
const RETRY_AFTER_MAX_MS = 60_000;

export interface CircuitBreakerOptions {
  /** Failures in a row that open the circuit. */
  readonly failures?: number;
  readonly ambient: Pick<Ambient, "mono" | "random">;
}

/** Events of a circuit breaker. */
export interface CircuitBreakerEvents {
  /** Tasks may pass again, or it is time to check whether they may. */
  readonly onRoom: () => void;
  /** Called once for each change. */
  readonly onState: (state: CircuitState) => void;
  /**
   * Asks for the worker's own request, since all failures may come from one client. Its result comes back by
   * {@link CircuitBreaker.ownSucceeded}, {@link CircuitBreaker.failed} or {@link CircuitBreaker.ownUnclear}. Absent:
   * every failure is believed.
   */
  readonly onDoubtful?: (endpoint: Endpoint | undefined) => void;
  /** An open circuit may be probed from now on, and before any task is. */
  readonly onProbeTime?: (endpoint: Endpoint | undefined) => void;
  /** Returns false when the model would have too few backends without this one. Absent: always true. */
  readonly mayOpen?: () => boolean;
}

/**
 * Lets tasks of one model through to one backend. It learns from the ends of attempts:
 *
 * - A backend that fails several times in a row opens the circuit. Failures are: no connection, a broken reply, 5xx. No
 *   task passes for a while, then a single one as a probe. The first bytes of a streamed answer close it, and so does
 *   any other success. A failed probe opens it for longer. {@link Streak} decides what failures prove: failures of a
 *   single client prove nothing before the worker's own request fails, too.
 * - A circuit is paced, and not opened, when the model cannot do without the backend: single tasks, with pauses.
 * - A backend that is busy (429, 503) works. It gets no more tasks than it has taken. It gets none while it takes none,
 *   or has asked to wait. That never opens the circuit.
 *
 * Each attempt carries the generation in which it began. An attempt of an earlier generation is no news.
 */
export class CircuitBreaker {
  readonly #options: CircuitBreakerOptions;
  readonly #events: CircuitBreakerEvents;
  readonly #streak = new Streak();
  readonly #busyLimit: BusyLimit;
  readonly #ownRequests: OwnRequestPace;
  #generation = 0;
  #running = 0;
  /** Endpoint of the latest failure. */
  #endpoint: Endpoint | undefined;
  /** The circuit is not closed, and the model cannot do without this backend. */
  #paced = false;
  /** Times in a row that the circuit opened; 0 when it is closed. */
  #openings = 0;
  /** Tasks on their way through an open circuit: one at most. */
  #probes = 0;
  /** Mono ms before which nothing passes. */
  #shutUntil: number = -Infinity;
  #timer: NodeJS.Timeout | undefined;
  /** The state that was reported last. */
  #reported: CircuitState = "closed";

  constructor(options: CircuitBreakerOptions, events: CircuitBreakerEvents) {
    this.#options = options;
    this.#events = events;
    this.#busyLimit = new BusyLimit(options.ambient);
    this.#ownRequests = new OwnRequestPace(options.ambient);
  }

  get state(): CircuitState {
    if (this.#openings > 0) return this.#paced ? "paced" : this.#shut ? "open" : "half-open";
    return this.#busyLimit.most < Infinity || this.#shut ? "busy" : "closed";
  }

  /** Most tasks at once; Infinity when the slots of the backend are the only limit. */
  get limit(): number {
    if (this.#shut) return 0;
    return this.#openings > 0 ? 1 : this.#busyLimit.most;
  }

  /** Tasks that may pass now, beside the ones that run. */
  get room(): number {
    return Math.max(0, this.limit - (this.#openings > 0 ? this.#probes : this.#running));
  }

  get #shut(): boolean {
    return this.#shutUntil > this.#options.ambient.mono();
  }

  /** Counts a task that passes. Returns the generation, which belongs to all later reports of the attempt. */
  enter(): number {
    this.#running += 1;
    if (this.#openings > 0) {
      // The probe may come before the timer has reported that it may.
      this.#report();
      this.#probes += 1;
    }
    return this.#generation;
  }

  /** The attempt is over, however it ended. */
  leave(generation: number): void {
    this.#running -= 1;
    if (this.#openings > 0 && generation === this.#generation) this.#probes -= 1;
  }

  /** True while the circuit is not closed: a task that passes is a probe. */
  get probing(): boolean {
    return this.#openings > 0;
  }

  /** An answer has begun: proof enough for a probe, whose other tokens may take minutes. */
  firstToken(generation: number): void {
    if (this.#openings > 0 && generation === this.#generation) this.#close();
  }

  /** The backend has answered: with an answer, or with a refusal that is about the request. @param slots its slots */
  succeeded(generation: number, slots: number): void {
    // The common case costs three comparisons.
    if (this.#streak.isEmpty && this.#busyLimit.most === Infinity && this.#openings === 0) return;
    if (this.#openings > 0 && generation !== this.#generation) return;
    this.#streak.clear();
    if (this.#openings > 0) this.#close();
    if (!this.#busyLimit.raise(slots)) return;
    this.#report();
    this.#events.onRoom();
  }

  /** The backend is broken, as far as one attempt shows. */
  failed(generation: number, evidence: Evidence = { strength: "hard" }): void {
    const isOwn = evidence.strength === "own";
    if (isOwn) this.#ownRequests.failed();
    if (generation !== this.#generation) return;
    if (!isOwn) this.#endpoint = evidence.endpoint;
    this.#streak.add(evidence);
    const finding = this.#streak.find(this.#openings > 0 ? 1 : this.#failures);
    if (finding === "too few") return;
    if (finding === "proven" || this.#events.onDoubtful === undefined) this.#open();
    else if (this.#ownRequests.begin()) this.#events.onDoubtful(this.#endpoint);
  }

  /** The worker's own request was answered: the clients of the earlier failures caused them. */
  ownSucceeded(generation: number, slots: number): void {
    this.#ownRequests.answered();
    this.succeeded(generation, slots);
  }

  /** The worker's own request could not be made, or was stopped. */
  ownUnclear(): void {
    this.#ownRequests.unclear();
  }

  /**
   * Closes a circuit that no task has probed, since the backend seems to be well. One failure opens it again.
   */
  settle(generation: number): void {
    if (this.#openings === 0 || generation !== this.#generation || this.#shut) return;
    this.#close();
    this.#streak.prime(this.#failures);
  }

  /** Counts the changes of the circuit: reports of attempts from before a change are no news. */
  get generation(): number {
    return this.#generation;
  }

  get #failures(): number {
    return this.#options.failures ?? FAILURES;
  }

  #open(): void {
    this.#paced = !(this.#events.mayOpen?.() ?? true);
    const [least, most] = this.#paced ? [PACE_MIN_MS, PACE_MAX_MS] : [OPEN_MIN_MS, OPEN_MAX_MS];
    const jitter = 0.75 + this.#options.ambient.random() / 2;
    const waitMs = Math.min(most, least * 2 ** this.#openings) * jitter;
    this.#openings += 1;
    this.#generation += 1;
    this.#probes = 0;
    this.#ownRequests.reset();
    this.#streak.clear();
    this.#shutFor(waitMs);
    this.#report();
  }

  /** Paces an open circuit whose model has lost its other backends. */
  #reconsider(): void {
    if (this.#openings === 0 || this.#paced || !this.#shut || this.#events.mayOpen?.() !== false) return;
    this.#paced = true;
    this.#shutUntil = Math.min(this.#shutUntil, this.#options.ambient.mono() + PACE_MIN_MS);
    this.#report();
  }

  /** The backend is full or not ready. @param retryAfterMs the wait that it asked for (ms); 0 for none */
  busy(generation: number, retryAfterMs: number): void {
    const isNews = generation === this.#generation;
    if (this.#openings > 0) {
      if (!isNews) return;
      this.#reset();
    }
    this.#streak.clear();
    const pauseMs = this.#busyLimit.lower(this.#running - 1, isNews);
    if (isNews) this.#generation += 1;
    this.#shutFor(Math.max(pauseMs, Math.min(retryAfterMs, RETRY_AFTER_MAX_MS)));
    this.#report();
  }

  /** The backend came back: an open circuit takes a probe at once. */
  recovered(): void {
    if (this.#openings === 0) return;
    this.#shutUntil = -Infinity;
    this.#report();
    this.#passable();
  }

  /**
   * Asks for probes. The own request comes first where the circuit is open: the probe should be no client's task. Tasks
   * come first where it is paced: no other backend would answer them, and each is to get its answer or its fault.
   */
  #passable(): void {
    if (this.#paced) this.#events.onRoom();
    if (this.#openings > 0) this.#events.onProbeTime?.(this.#endpoint);
    if (!this.#paced) this.#events.onRoom();
  }

  /** Reports a change once; time alone may bring one. */
  #report(): void {
    const { state } = this;
    if (state === this.#reported) return;
    this.#reported = state;
    this.#events.onState(state);
  }

  #close(): void {
    this.#reset();
    this.#report();
    this.#events.onRoom();
  }

  #reset(): void {
    this.#openings = 0;
    this.#paced = false;
    this.#streak.clear();
    this.#shutUntil = -Infinity;
    this.#generation += 1;
  }

  /** Lets nothing through for this time (ms), or for a longer time that was set before. */
  #shutFor(waitMs: number): void {
    if (waitMs <= 0) return;
    this.#shutUntil = Math.max(this.#shutUntil, this.#options.ambient.mono() + waitMs);
    this.#planEnd();
  }

  #planEnd(): void {
    clearTimeout(this.#timer);
    // A timer may be early by a fraction of a millisecond.
    const leftMs = Math.ceil(this.#shutUntil - this.#options.ambient.mono()) + 1;
    const isLong = this.#events.mayOpen !== undefined && leftMs > RECONSIDER_MS;
    this.#timer = setTimeout(
      () => {
        if (isLong) {
          this.#reconsider();
          this.#planEnd();
          return;
        }
        this.#report();
        this.#passable();
      },
      isLong ? RECONSIDER_MS : leftMs,
    );
    this.#timer.unref();
  }
}
