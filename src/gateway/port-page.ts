import type { GatewayAnnouncement } from "../core/fleet.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { MetricsReporter } from "../redis/metrics-reporter.ts";
import { readReports } from "../redis/metrics-reports.ts";
import { listGateways } from "../redis/registry.ts";
import { renderReports } from "../telemetry/fleet-metrics.ts";
import type { GatewayMetrics } from "../telemetry/gateway-metrics.ts";

export interface PortPageOptions {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly tag: string;
  readonly metrics: Pick<GatewayMetrics, "report">;
  /** Where this gateway and its siblings listen. */
  readonly address: Pick<GatewayAnnouncement, "host" | "port"> & { readonly listen: string };
}

/**
 * The metrics of all gateway processes that share a port, each with the label `gateway`. The kernel gives a scrape to
 * any of them, so all show the same: what each has last left in Redis, this one too, for a counter must never be seen
 * to go back.
 */
export class PortPage {
  readonly #options: PortPageOptions;
  readonly #reporter: MetricsReporter;

  constructor(options: PortPageOptions) {
    this.#options = options;
    const { connection, keys, tag, metrics } = options;
    this.#reporter = new MetricsReporter({ connection, key: keys.gatewayMetrics(tag), metrics });
  }

  start(): void {
    this.#reporter.start();
  }

  async stop(): Promise<void> {
    await this.#reporter.stop();
  }

  /** In Prometheus' text format; while Redis is away this process's own only. */
  async render(): Promise<string> {
    const { tag, metrics } = this.#options;
    const reports = await this.#ofAll().catch(
      async () => new Map([[tag, JSON.parse(await metrics.report())]]),
    );
    return renderReports("gateway", reports);
  }

  async #ofAll(): Promise<ReadonlyMap<string, unknown>> {
    const { connection, keys, address } = this.#options;
    const gateways = await listGateways(connection, keys);
    const siblings = gateways.filter(
      ({ host, port, listen }) => host === address.host && port === address.port && listen === address.listen,
    );
    return readReports(
      connection,
      (tag) => keys.gatewayMetrics(tag),
      siblings.map(({ tag }) => tag),
    );
  }
}
