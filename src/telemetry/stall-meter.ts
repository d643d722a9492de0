import { systemAmbient } from "../core/ambient.ts";

/** How often the event loop is looked at, ms. */
const TICK_MS = 200;

/** A loop that is so late stood still, ms; less is a busy machine. */
const LEAST_MS = 500;

/** Stalls that are remembered: with the shortest pause between two, those of the last minute or more. */
const MOST_KEPT = 128;

/** Connections bear the silence of a process for so long, ms, and those that it broke are made again within that time. */
const BREAKING_MS = 3000;
const COMEBACK_MS = 5000;

interface Stall {
  /** Mono ms. */
  readonly from: number;
  readonly to: number;
}

/**
 * Knows when this process itself stood still: one long piece of work, a stopped process, a machine that swaps. The
 * work of others meanwhile was not seen, so no silence of theirs may be judged by time that passed then.
 *
 * It looks at its own timer, and at each question: the first question after a stall is told of it.
 */
export class StallMeter {
  readonly #mono: () => number;
  readonly #listeners = new Set<(ms: number) => void>();
  readonly #stalls: Stall[] = [];
  /** Mono ms when the loop was seen to turn. */
  #seenAt: number;
  #total = 0;
  /** The awake clock never goes back. */
  #awake = Number.NEGATIVE_INFINITY;

  /** @param options.ticks false: nothing but questions makes it look, for tests that turn the clock */
  constructor(options: { readonly mono: () => number; readonly ticks: boolean }) {
    this.#mono = options.mono;
    this.#seenAt = this.#mono();
    if (options.ticks) setInterval(() => this.tick(), TICK_MS).unref();
  }

  /** The loop turns: called by its own timer. */
  tick(): void {
    this.#look();
    this.#seenAt = this.#mono();
  }

  /** Ms, monotonic, of which time in which this process stood still is no part. For differences only. */
  readonly awake = (): number => {
    const now = this.#look();
    this.#awake = Math.max(this.#awake, now - this.#total);
    return this.#awake;
  };

  /** How long this process has stood still since then (mono ms), in ms. */
  since(mono: number): number {
    this.#look();
    return this.#stalls.reduce((sum, { from, to }) => sum + Math.max(0, to - Math.max(from, mono)), 0);
  }

  /** The length of the latest stall, ms, when it ended less than so many ms ago; else 0. */
  latest(withinMs: number): number {
    const now = this.#look();
    const stall = this.#stalls.at(-1);
    return stall !== undefined && now - stall.to < withinMs ? stall.to - stall.from : 0;
  }

  /**
   * The length of the latest stall, ms, when it was so long, and is so short ago, that a connection that breaks now
   * broke by it: the other side hung up, or is asked too late. Else 0.
   */
  get brokeLinks(): number {
    const ms = this.latest(COMEBACK_MS);
    return ms >= BREAKING_MS ? ms : 0;
  }

  /** Called with the length of each stall, ms, before any timer that ran out in it. Returns what ends it. */
  onStall(listener: (ms: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** As AbortSignal.timeout, but only time in which this process was awake counts. */
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

  #look(): number {
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
export const ownStalls: StallMeter = new StallMeter({ mono: systemAmbient.mono, ticks: true });
