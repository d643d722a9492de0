import type { Endpoint } from "../core/task.ts";

/**
 * Strength of a failure as evidence against the backend.
 * - `hard`: no connection could be made. No request can cause that.
 * - `soft`: 5xx, a reply that broke off, a silence beyond the fleet's own limits. The request may be the cause.
 * - `doubtful`: the answer of the backend cannot be read. Most likely the request is the cause.
 * - `own`: the worker's own request failed. No client can cause that.
 */
export type Strength = "hard" | "soft" | "doubtful" | "own";

/** Evidence of one failed attempt on its backend. */
export interface Evidence {
  readonly strength: Strength;
  /** A digest of the client; undefined when it is not known. */
  readonly client?: string | undefined;
  /** Endpoint of the attempt: the worker's own request goes to the same. */
  readonly endpoint?: Endpoint | undefined;
}

/** `proven`: the backend is broken. `doubtful`: enough failures, which may all be one client's doing. */
export type StreakVerdict = "too few" | "doubtful" | "proven";

/** Failures in a row of one backend with one model. Together they prove more than each alone. */
export class Streak {
  #hard = 0;
  #soft = 0;
  #doubtful = 0;
  #own = false;
  /** Clients of the failures, two at most: more prove nothing more. */
  readonly #clients = new Set<string>();

  get isEmpty(): boolean {
    return this.#hard + this.#soft + this.#doubtful === 0 && !this.#own;
  }

  add({ strength, client = "" }: Evidence): void {
    if (strength === "own") this.#own = true;
    else if (strength === "hard") this.#hard += 1;
    else if (strength === "soft") this.#soft += 1;
    else this.#doubtful += 1;
    if (strength === "soft" && this.#clients.size < 2) this.#clients.add(client);
  }

  /** @param limit count of failures that open the circuit */
  find(limit: number): StreakVerdict {
    if (this.#own || this.#hard >= limit) return "proven";
    const counting = this.#hard + this.#soft;
    if (counting >= limit && this.#clients.size > 1) return "proven";
    return counting + this.#doubtful >= limit ? "doubtful" : "too few";
  }

  clear(): void {
    this.#hard = 0;
    this.#soft = 0;
    this.#doubtful = 0;
    this.#own = false;
    this.#clients.clear();
  }

  /** Makes one more failure count as `limit` of them: for a backend that has only seemed to be well. */
  prime(limit: number): void {
    this.clear();
    this.#hard = limit - 1;
  }
}
