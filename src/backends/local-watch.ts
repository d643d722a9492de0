import type { Address } from "./address.ts";
import { LOCAL_PORTS, lookAt } from "./discover.ts";

/** The first look again at a port at which there is no backend, ms. */
const FIRST_MS = 2000;
/** Each wait is longer than the one before it by this factor. */
const FACTOR = 1.5;
/** The longest: where nothing listens, and where something does that is no backend and would log each look; ms. */
const MOST_MS = { nothing: 15_000, other: 300_000 } as const;

export interface LocalWatchOptions {
  /** Takes a backend on; a rejection is no harm, the port is looked at again. */
  readonly onFound: (address: Address) => Promise<void>;
  /** URLs of the backends that are there already. */
  readonly known: ReadonlySet<string>;
  /** Ports to look at; absent: the usual ones of LLM servers. */
  readonly ports?: readonly number[];
  /** Ms of the first wait. */
  readonly firstMs?: number;
}

/**
 * Looks again and again at those ports of this machine that had no LLM server when the worker started. One that was
 * found once is looked at by its station, gone or not.
 */
export class LocalWatch {
  readonly #options: LocalWatchOptions;
  readonly #timers = new Map<number, NodeJS.Timeout>();
  readonly #looks = new Set<Promise<void>>();
  readonly #stopped = new AbortController();

  constructor(options: LocalWatchOptions) {
    this.#options = options;
  }

  start(): void {
    const { ports = LOCAL_PORTS, known, firstMs = FIRST_MS } = this.#options;
    for (const port of ports) if (!known.has(`http://127.0.0.1:${port}`)) this.#plan(port, firstMs);
  }

  /** Resolves when no further backend will be taken on. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    await Promise.all(this.#looks);
  }

  #plan(port: number, waitMs: number): void {
    const timer = setTimeout(() => {
      const look = this.#look(port, waitMs).finally(() => this.#looks.delete(look));
      this.#looks.add(look);
    }, waitMs);
    this.#timers.set(port, timer);
  }

  async #look(port: number, waitMs: number): Promise<void> {
    const { signal } = this.#stopped;
    const seen = await lookAt(port, signal);
    if (signal.aborted || (typeof seen === "object" && (await this.#takenOn(seen)))) return;
    const most = MOST_MS[typeof seen === "object" ? "nothing" : seen];
    if (!signal.aborted) this.#plan(port, Math.min(most, waitMs * FACTOR));
  }

  async #takenOn(address: Address): Promise<boolean> {
    return this.#options.onFound(address).then(
      () => true,
      () => false,
    );
  }
}
