import type { Metrics } from "../../telemetry/metrics.ts";
import { REPORT_MS } from "./metrics-reports.ts";
import type { MetricsReports } from "./metrics-reports.ts";

export interface MetricsReporterOptions {
  readonly reports: MetricsReports;
  /** Id of this process. */
  readonly id: string;
  readonly metrics: Pick<Metrics, "report">;
}

/** Writes the metrics of this process to Redis, where gateways read them. For processes without a port of their own. */
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

  /** Removes the report. A report under way ends first: it would be written after the removal. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#reporting;
    const { reports, id } = this.#options;
    await reports.forget(id).catch(() => undefined);
  }

  async #report(): Promise<void> {
    const { reports, id, metrics } = this.#options;
    try {
      await reports.put(id, await metrics.report());
    } catch {
      // Redis is down. The next report contains everything that this one would have.
    }
  }
}
