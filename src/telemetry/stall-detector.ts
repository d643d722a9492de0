import { systemAmbient } from "../core/ambient.ts";

/** Interval of the timer that checks the event loop, ms. */
const TICK_MS = 200;

/** Delay of the timer that counts as a stall, ms. Shorter delays occur on any busy machine. */
const LEAST_MS = 500;

/** Most remembered stalls. With the shortest pause between two, they cover a minute or more. */
const MOST_KEPT = 128;

/** Shortest stall that breaks connections, ms. */
const BREAKING_MS = 3000;
/** Longest time until broken connections are open again, ms. */
const RECONNECT_MS = 5000;

interface Stall {
  /** Mono ms. */
  readonly from: number;
  readonly to: number;
}

/**
 * Measures the stalls of this process: one long piece of work, a stopped process, a machine that swaps. A stalled
 * process misses the signs of life of others, so it must not judge their silence by that time.
 *
 * Its timer and each of its methods check for a stall, so the first call after a stall notices it.
 */
export class StallDetector {
  readonly #mono: () => number;
  readonly #listeners = new Set<(ms: number) => void>();
  readonly #stalls: Stall[] = [];
  /** Last time at which the loop was seen running, mono ms. */
  #seenAt: number;
  #total = 0;
  /** Last value of the awake clock, which never goes back. */
  #awake = Number.NEGATIVE_INFINITY;

  /** @param options.ticks false: no timer checks for stalls; for tests with their own clock */
  constructor(options: { readonly mono: () => number; readonly ticks: boolean }) {
    this.#mono = options.mono;
    this.#seenAt = this.#mono();
    if (options.ticks) setInterval(() => this.tick(), TICK_MS).unref();
  }

  /** Called by the timer: the loop is running. */
  tick(): void {
    this.#measure();
    this.#seenAt = this.#mono();
  }

  /** Monotonic ms without the stalls of this process. Use it for differences only. */
  readonly awake = (): number => {
    const now = this.#measure();
    this.#awake = Math.max(this.#awake, now - this.#total);
    return this.#awake;
  };

  /** Total length of the stalls since a time, ms. @param mono mono ms */
  since(mono: number): number {
    this.#measure();
    return this.#stalls.reduce((sum, { from, to }) => sum + Math.max(0, to - Math.max(from, mono)), 0);
  }

  /** Length of the latest stall, ms; 0 when it ended longer ago than `withinMs`. */
  latest(withinMs: number): number {
    const now = this.#measure();
    const stall = this.#stalls.at(-1);
    return stall !== undefined && now - stall.to < withinMs ? stall.to - stall.from : 0;
  }

  /**
   * Length of the latest stall, ms, when it explains a connection that breaks now: the peer closed the connection, or
   * the answer came too late. Else 0.
   */
  get connectionBreakingMs(): number {
    const ms = this.latest(RECONNECT_MS);
    return ms >= BREAKING_MS ? ms : 0;
  }

  /**
   * Calls the listener with the length of each stall, ms, before any timer that expired meanwhile. Returns a function
   * that removes the listener.
   */
  onStall(listener: (ms: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Like AbortSignal.timeout, but stalls of this process do not count. */
  signal(ms: number): AbortSignal {
    const abort = new AbortController();
    const till = this.awake() + ms;
    const wait = (left: number): void => {
      const timer = setTimeout(() => {
        const rest = till - this.awake();
        if (rest > 1) wait(rest);
        else abort.abort(new DOMException("The operation was aborted due to timeout", "TimeoutError"));
      }, left);
      timer.unref();
    };
    wait(ms);
    return abort.signal;
  }

  /**
   * Resolves with true when `work` is over within so many ms, else with false. Stalls of this process do not count.
   * Rejects as the work does.
   */
  async within(ms: number, work: Promise<unknown>): Promise<boolean> {
    const late = Promise.withResolvers<boolean>();
    this.signal(ms).addEventListener("abort", () => {
      late.resolve(false);
    });
    // The timer of the signal alone would let the process end before.
    const stay = setInterval(() => {}, ms);
    try {
      return await Promise.race([work.then(() => true), late.promise]);
    } finally {
      clearInterval(stay);
    }
  }

  #measure(): number {
    const now = this.#mono();
    const from = this.#seenAt + TICK_MS;
    if (now - from < LEAST_MS) return now;
    this.#seenAt = now - TICK_MS;
    this.#total += now - from;
    this.#stalls.push({ from, to: now });
    if (this.#stalls.length > MOST_KEPT) this.#stalls.shift();
    for (const listener of this.#listeners) listener(now - from);
    return now;
  }
}

/** The stalls of this process. */
export const processStalls: StallDetector = new StallDetector({ mono: systemAmbient.mono, ticks: true });
