/** Steady load is judged by about this much of the past, ms. */
const MEMORY_MS = 60_000;

/** Longest wait a client is told, s: nobody knows more than five minutes ahead. */
const LONGEST_WAIT_S = 300;

/**
 * How much of something bounded is in use (tasks, bytes), and when there will be room again.
 *
 * Free while there is plenty: the rate at which things end is measured from the moment more than half is in use. Those
 * that are refused get places one behind the other, so that they do not all come back at once.
 */
export class Allowance {
  readonly #limit: number;
  readonly #mono: () => number;
  #used = 0;
  /** Given back since {@link #measuredFrom} (mono ms). */
  #freed = 0;
  #measuredFrom: number;
  /** Mono ms when, at the measured rate, there is room for the last of those that were refused. */
  #roomAt = 0;

  /** @param limit most that may be in use; one alone may be larger */
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

  /** For one that was refused: whole seconds until there will be room for it, by what has ended lately. */
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
