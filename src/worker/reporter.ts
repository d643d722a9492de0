import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { REPORT_MS, forgetMetrics, reportMetrics } from "../redis/worker-metrics.ts";
import type { WorkerMetrics } from "../telemetry/worker-metrics.ts";

export interface ReporterOptions {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly worker: string;
  readonly metrics: WorkerMetrics;
}

/** Leaves this worker's metrics in Redis, where gateways find them: a worker has no port to be scraped at. */
export class Reporter {
  readonly #options: ReporterOptions;
  #timer: NodeJS.Timeout | undefined;
  #reporting: Promise<void> | undefined;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  start(): void {
    this.#reporting = this.#report();
    this.#timer = setInterval(() => {
      this.#reporting = this.#report();
    }, REPORT_MS);
  }

  /** A report under way ends first, so that it cannot outlive the worker's leaving. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#reporting;
    const { connection, keys, worker } = this.#options;
    await forgetMetrics(connection, keys, worker).catch(() => undefined);
  }

  async #report(): Promise<void> {
    const { connection, keys, worker, metrics } = this.#options;
    try {
      await reportMetrics(connection, keys, worker, await metrics.report());
    } catch {
      // Redis is away: the next report says all that this one would have.
    }
  }
}
