import type { BackendAddress } from "./address.ts";
import { LOCAL_PORTS, probePort } from "./discover.ts";

/** Pause before the first new probe of a port without a backend, ms. */
const FIRST_MS = 2000;
/** Factor by which each pause grows. */
const FACTOR = 1.5;
/** Longest pause, ms. A port with another server is probed rarely, as that server would log each probe. */
const MOST_MS = { nothing: 15_000, other: 300_000 } as const;

export interface PortWatcherOptions {
  /** Adds a backend. After a rejection, the port is probed again. */
  readonly onFound: (address: BackendAddress) => Promise<void>;
  /** URLs of the backends that are known already. */
  readonly known: ReadonlySet<string>;
  /** Ports to probe; absent: the usual ports of LLM servers. */
  readonly ports?: readonly number[];
  /** First pause, ms. */
  readonly firstMs?: number;
}

/**
 * Probes the local ports that had no LLM server when the worker started. Each found backend is inspected by its worker
 * from then on, so its port is not probed again.
 */
export class PortWatcher {
  readonly #options: PortWatcherOptions;
  readonly #timers = new Map<number, NodeJS.Timeout>();
  readonly #probes = new Set<Promise<void>>();
  readonly #stopped = new AbortController();

  constructor(options: PortWatcherOptions) {
    this.#options = options;
  }

  start(): void {
    const { ports = LOCAL_PORTS, known, firstMs = FIRST_MS } = this.#options;
    for (const port of ports) if (!known.has(`http://127.0.0.1:${port}`)) this.#schedule(port, firstMs);
  }

  /** Stops all probes. Resolves when no further backend will be added. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    await Promise.all(this.#probes);
  }

  #schedule(port: number, waitMs: number): void {
    const timer = setTimeout(() => {
      const probe = this.#probe(port, waitMs).finally(() => this.#probes.delete(probe));
      this.#probes.add(probe);
    }, waitMs);
    this.#timers.set(port, timer);
  }

  async #probe(port: number, waitMs: number): Promise<void> {
    const { signal } = this.#stopped;
    const found = await probePort(port, signal);
    if (signal.aborted || (typeof found === "object" && (await this.#isAdded(found)))) return;
    const most = MOST_MS[typeof found === "object" ? "nothing" : found];
    if (!signal.aborted) this.#schedule(port, Math.min(most, waitMs * FACTOR));
  }

  async #isAdded(address: BackendAddress): Promise<boolean> {
    return this.#options.onFound(address).then(
      () => true,
      () => false,
    );
  }
}
