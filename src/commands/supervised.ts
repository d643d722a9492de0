import { setTimeout as delay } from "node:timers/promises";
import type { Log } from "../telemetry/log.ts";

import { explain } from "./explain.ts";

/** One run of a process that can end by itself. */
export interface ProcessRun {
  /** Resolves when the process is ready; rejects when it ended before. */
  readonly ready: Promise<void>;
  /** Resolves when the process has ended, for any reason. */
  readonly exited: Promise<void>;
  /** Stops the process in order, within a time limit. Idempotent. */
  stop(): Promise<void>;
  /** Kills the process, without waiting. */
  kill(): void;
}

export interface SupervisedOptions {
  readonly name: string;
  readonly launch: () => ProcessRun;
  readonly log: Log;
  /** Pause before the first restart, ms. It doubles with each restart, up to 64 times. */
  readonly firstDelayMs: number;
}

const MAX_DOUBLINGS = 6;

/** A run of this many first pauses counts as healthy: the next restart waits the first pause again. */
const HEALTHY_DELAYS = 128;

/** Keeps a process running: it is started again whenever it ends by itself. */
export class Supervised {
  readonly #options: SupervisedOptions;
  readonly #stopping = new AbortController();
  #run: ProcessRun | undefined;
  #guard: Promise<void> = Promise.resolve();

  constructor(options: SupervisedOptions) {
    this.#options = options;
  }

  /** Resolves when the first run is ready. Rejects when it fails, without another try. */
  async start(): Promise<void> {
    const run = this.#launch();
    await run.ready;
    this.#guard = this.#watch(run);
  }

  /** Stops the process. Idempotent; allowed before and during start. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#run?.stop();
    await this.#guard;
  }

  kill(): void {
    this.#stopping.abort();
    this.#run?.kill();
  }

  #launch(): ProcessRun {
    this.#run = this.#options.launch();
    return this.#run;
  }

  async #watch(first: ProcessRun): Promise<void> {
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
