import type { Metrics } from "../telemetry/metrics.ts";
import type { Connection } from "./connection.ts";
import { REPORT_MS, forgetMetrics, reportMetrics } from "./metrics-reports.ts";

export interface MetricsReporterOptions {
  readonly connection: Connection;
  /** Of this process's report. */
  readonly key: string;
  readonly metrics: Pick<Metrics, "report">;
}

/** Leaves this process's metrics in Redis, where gateways find them: it has no port to be scraped at, or shares one. */
export class MetricsReporter {
  readonly #options: MetricsReporterOptions;
  #timer: NodeJS.Timeout | undefined;
  #reporting: Promise<void> | undefined;

  constructor(options: MetricsReporterOptions) {
    this.#options = options;
  }

  start(): void {
    this.#reporting = this.#report();
    this.#timer = setInterval(() => {
      this.#reporting = this.#report();
    }, REPORT_MS);
  }

  /** A report under way ends first, so that it cannot outlive the process's leaving. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#reporting;
    const { connection, key } = this.#options;
    await forgetMetrics(connection, key).catch(() => undefined);
  }

  async #report(): Promise<void> {
    const { connection, key, metrics } = this.#options;
    try {
      await reportMetrics(connection, key, await metrics.report());
    } catch {
      // Redis is away: the next report says all that this one would have.
    }
  }
}
