import { setTimeout as delay } from "node:timers/promises";
import type { Log } from "../telemetry/log.ts";

import { explain } from "./explain.ts";

/** One run of something that can end by itself. */
export interface Run {
  /** Resolves when it works; rejects when it ended before. */
  readonly ready: Promise<void>;
  /** Resolves when it has ended, however. */
  readonly exited: Promise<void>;
  /** Ends it in order, within a limit of its own. Idempotent. */
  stop(): Promise<void>;
  /** Ends it at once, without waiting. */
  kill(): void;
}

export interface SupervisedOptions {
  readonly name: string;
  readonly launch: () => Run;
  readonly log: Log;
  /** Ms before the first restart; doubles with each one up to 64 times that. */
  readonly firstDelayMs: number;
}

const MAX_DOUBLINGS = 6;

/** A run of this many first delays counts as healthy: the next restart waits the first delay again. */
const HEALTHY_DELAYS = 128;

/** Keeps something running: started once by hand, then again whenever it ends by itself. */
export class Supervised {
  readonly #options: SupervisedOptions;
  readonly #stopping = new AbortController();
  #run: Run | undefined;
  #guard: Promise<void> = Promise.resolve();

  constructor(options: SupervisedOptions) {
    this.#options = options;
  }

  /** Resolves when the first run is ready; rejects, without another try, when it fails. */
  async start(): Promise<void> {
    const run = this.#launch();
    await run.ready;
    this.#guard = this.#watch(run);
  }

  /** Idempotent; allowed before and during start. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#run?.stop();
    await this.#guard;
  }

  kill(): void {
    this.#stopping.abort();
    this.#run?.kill();
  }

  #launch(): Run {
    this.#run = this.#options.launch();
    return this.#run;
  }

  async #watch(first: Run): Promise<void> {
    const { signal } = this.#stopping;
    let restarts = 0;
    let since = performance.now();
    for (let run = first; ; run = this.#launch()) {
      await run.ready.catch((error: unknown) => {
        this.#options.log.error(`${this.#options.name} did not start`, { reason: explain(error) });
      });
      await run.exited;
      if (signal.aborted) return;
      if (performance.now() - since > HEALTHY_DELAYS * this.#options.firstDelayMs) restarts = 0;
      await this.#pause(restarts);
      if (signal.aborted) return;
      restarts += 1;
      since = performance.now();
    }
  }

  async #pause(restarts: number): Promise<void> {
    const { name, log, firstDelayMs } = this.#options;
    const delayMs = firstDelayMs * 2 ** Math.min(restarts, MAX_DOUBLINGS);
    log.error(`${name} ended by itself: it is started again`, { delayMs });
    await delay(delayMs, undefined, { signal: this.#stopping.signal }).catch(() => {});
  }
}
