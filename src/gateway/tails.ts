import { setTimeout as delay } from "node:timers/promises";

/**
 * Counts replies that are over for whoever gave them, while their last bytes wait for room in their sockets: a server
 * that closes would drop these.
 */
export class Tails {
  #count = 0;
  /** Ends the wait for none. */
  #none: AbortController | undefined;

  begin(): void {
    this.#count += 1;
  }

  end(): void {
    this.#count -= 1;
    if (this.#count === 0) this.#none?.abort();
  }

  /** Resolves when there is none, or after `limitMs`. */
  async none(limitMs: number): Promise<void> {
    if (this.#count === 0) return;
    this.#none = new AbortController();
    await delay(limitMs, undefined, { signal: this.#none.signal }).catch(() => undefined);
  }
}
