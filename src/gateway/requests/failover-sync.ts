import type { Connection } from "../../redis/connection/connection.ts";
import type { Stores } from "../../redis/stores.ts";
import type { Cleaner } from "./cleaner.ts";
import type { Recovery } from "./recovery.ts";

export interface FailoverSyncOptions {
  readonly connection: Pick<Connection, "onReconnect">;
  readonly stores: { readonly replies: Pick<Stores["replies"], "serverOf"> };
  /** Names this gateway. */
  readonly tag: string;
  readonly recovery: Pick<Recovery, "reconnected">;
  /** It has begun by itself when this is built after it. */
  readonly cleaner: Pick<Cleaner, "settled">;
}

/**
 * Knows which run of Redis has all removals of this gateway. A new master, or a server that lost its power, may offer
 * tasks that were answered. Workers run none of this gateway's tasks there before it announces that run: by then it has
 * removed them again.
 */
export class FailoverSync {
  readonly #options: FailoverSyncOptions;
  /** The run that has all removals. */
  #synced: string | undefined;
  #wasCut = false;
  #onChange: (() => void) | undefined;

  constructor(options: FailoverSyncOptions) {
    this.#options = options;
    options.connection.onReconnect(() => {
      this.#wasCut = true;
      void this.#sync();
    });
  }

  /** The run for this gateway's announcement; empty while it lacks removals, undefined where it is unknown. */
  get server(): string | undefined {
    const server = this.#now;
    // Before the first cut nothing can have been lost.
    if (!this.#wasCut) this.#synced = server;
    return server === undefined || server === this.#synced ? server : "";
  }

  /** Calls when {@link server} has another name. */
  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  get #now(): string | undefined {
    const { stores, tag } = this.#options;
    return stores.replies.serverOf(tag);
  }

  async #sync(): Promise<void> {
    const server = this.#now;
    const { recovery, cleaner } = this.#options;
    const [isDone] = await Promise.all([recovery.reconnected(), cleaner.settled()]);
    if (!isDone || server !== this.#now || server === this.#synced) return;
    this.#synced = server;
    this.#onChange?.();
  }
}
