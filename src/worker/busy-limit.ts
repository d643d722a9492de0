import type { Ambient } from "../core/ambient.ts";

/** Time after a refusal in which a busy backend gets no more tasks than it took: the first and the longest (ms). */
const QUIET_MIN_MS = 1000;
const QUIET_MAX_MS = 30_000;

/** Longest pause for a backend that takes nothing and named no time (ms). */
const PAUSE_MAX_MS = 5000;

/** Bounds the tasks of one model at a backend that answers 429 or 503: no more than it has taken. */
export class BusyLimit {
  readonly #ambient: Pick<Ambient, "mono" | "random">;
  #most: number = Infinity;
  /** Mono ms of the last refusal. */
  #busyAt: number = -Infinity;
  #quietMs = 0;

  constructor(ambient: Pick<Ambient, "mono" | "random">) {
    this.#ambient = ambient;
  }

  /** Most tasks at once; Infinity when the slots of the backend are the only limit. */
  get most(): number {
    return this.#most;
  }

  /**
   * Lowers the limit after a refusal. Returns the pause before the next task (ms).
   * @param others tasks of the model that the backend runs
   * @param isNews false for an attempt that began before the last change of the circuit
   */
  lower(others: number, isNews: boolean): number {
    const { mono, random } = this.#ambient;
    this.#most = Math.max(1, Math.min(this.#most, others));
    if (isNews) {
      this.#quietMs = Math.min(QUIET_MAX_MS, Math.max(QUIET_MIN_MS, 2 * this.#quietMs));
      this.#busyAt = mono();
    }
    // While the backend works on other tasks of this worker, the end of one is the time to try again.
    return others > 0 ? 0 : Math.min(PAUSE_MAX_MS, this.#quietMs) * (0.75 + random() / 2);
  }

  /**
   * Raises the limit by one task for each success after a quiet time, which doubles it with each round. Returns false
   * while it is too early. @param slots slots of the backend: a limit that reaches them is lifted
   */
  raise(slots: number): boolean {
    if (this.#most === Infinity || this.#ambient.mono() - this.#busyAt < this.#quietMs) return false;
    this.#most += 1;
    if (this.#most >= slots) {
      this.#most = Infinity;
      this.#quietMs = 0;
    }
    return true;
  }
}
