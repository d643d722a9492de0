/** The rate at which room becomes free is measured over about this time (ms). */
const MEMORY_MS = 60_000;

/** Longest `Retry-After` that clients get (s): nothing is known beyond five minutes. */
const LONGEST_WAIT_S = 300;

/**
 * Counts the use of a bounded amount (tasks, bytes), and estimates when there will be room again.
 *
 * The rate at which things end is measured from the moment when more than half is in use; below that it costs nothing.
 * Refused requests get waiting times one behind the other, so that they do not all come back at once.
 */
export class ByteQuota {
  readonly #limit: number;
  readonly #mono: () => number;
  #used = 0;
  /** Amount freed since {@link #measuredFrom} (mono ms). */
  #freed = 0;
  #measuredFrom: number;
  /** Mono ms when, at the measured rate, there is room for the last refused request. */
  #roomAt = 0;

  /** @param limit largest amount in use; one alone may be larger */
  constructor(limit: number, mono: () => number) {
    this.#limit = limit;
    this.#mono = mono;
    this.#measuredFrom = mono();
  }

  get used(): number {
    return this.#used;
  }

  fits(amount: number): boolean {
    return this.#used === 0 || this.#used + amount <= this.#limit;
  }

  take(amount: number): void {
    const half = this.#limit / 2;
    const wasBelow = this.#used < half;
    this.#used += amount;
    if (!wasBelow || this.#used < half) return;
    this.#measuredFrom = this.#mono();
    this.#freed = 0;
  }

  give(amount: number): void {
    this.#used -= amount;
    this.#freed += amount;
  }

  /** Returns whole seconds until there is room for a refused amount, at the rate of the last minute. */
  waitFor(amount: number): number {
    const now = this.#mono();
    this.#forget(now);
    const msForOne = (now - this.#measuredFrom) / Math.max(this.#freed, amount);
    const last = now + LONGEST_WAIT_S * 1000;
    this.#roomAt = Math.min(Math.max(now, this.#roomAt) + amount * msForOne, last);
    return Math.max(1, Math.ceil((this.#roomAt - now) / 1000));
  }

  #forget(now: number): void {
    const elapsed = now - this.#measuredFrom;
    if (elapsed <= MEMORY_MS) return;
    this.#freed *= MEMORY_MS / elapsed;
    this.#measuredFrom = now - MEMORY_MS;
  }
}
