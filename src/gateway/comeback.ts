import type { Connection } from "../redis/connection.ts";

export interface ComebackOptions {
  readonly connection: Connection;
  /** One in the slot of this gateway's replies. */
  readonly key: string;
  /** What a reconnect asks for; resolves with true when Redis knows all that it may have lost. */
  readonly mend: () => Promise<boolean>;
}

/**
 * Knows which run of Redis has been told all that this gateway removed. A master that has just taken over, or a server
 * that lost its power, may offer tasks that were answered: workers run none of this gateway's before it says that it
 * has removed them there again.
 */
export class Comeback {
  readonly #options: ComebackOptions;
  #told: string | undefined;
  #cut = false;
  #onTold: (() => void) | undefined;

  constructor(options: ComebackOptions) {
    this.#options = options;
    options.connection.onReconnect(() => {
      this.#cut = true;
      void this.#mend();
    });
  }

  /** For this gateway's announcement, see there. */
  get server(): string | undefined {
    const server = this.#now;
    // Before the first cut nothing can have been lost.
    if (!this.#cut) this.#told = server;
    return server === undefined || server === this.#told ? server : "";
  }

  /** Called when {@link server} has another name. */
  onTold(listener: () => void): void {
    this.#onTold = listener;
  }

  get #now(): string | undefined {
    const { connection, key } = this.#options;
    return connection.serverOf(key);
  }

  async #mend(): Promise<void> {
    const server = this.#now;
    const done = await this.#options.mend();
    if (!done || server !== this.#now || server === this.#told) return;
    this.#told = server;
    this.#onTold?.();
  }
}
