import { systemAmbient } from "../../core/ambient.ts";
import type { GatewayAnnouncement } from "../../core/fleet.ts";
import type { Inspection } from "../../redis/inspect/inspection.ts";
import { MetricsReporter } from "../../redis/inspect/metrics-reporter.ts";
import type { Stores } from "../../redis/stores.ts";
import { renderReports } from "../../telemetry/fleet-metrics.ts";
import type { GatewayMetrics } from "../../telemetry/gateway-metrics.ts";
import { FleetMetricsPage } from "./fleet-metrics-page.ts";
import type { FleetMetricsPageOptions } from "./fleet-metrics-page.ts";

/** The pages that Prometheus scrapes; each text is made when it is requested. */
export interface MetricsPages {
  /** Returns the metrics of this process, or of all that share its port. */
  gateway(): Promise<string>;
  fleet(): Promise<string>;
  /** Removes the metrics of this process from Redis. */
  stop(): Promise<void>;
}

/** A port that several gateway processes share. */
interface SharedPort {
  readonly stores: Pick<Stores, "registry">;
  readonly inspection: Pick<Inspection, "gatewayMetrics">;
  readonly tag: string;
  readonly metrics: GatewayMetrics;
  /** The address that this gateway and the others of its port listen on. */
  readonly address: Pick<GatewayAnnouncement, "host" | "port"> & { readonly listen: string };
}

export interface MetricsPagesOptions
  extends Omit<SharedPort, "stores" | "inspection">, Omit<FleetMetricsPageOptions, "mono" | "inspection"> {
  readonly inspection: SharedPort["inspection"] & FleetMetricsPageOptions["inspection"];
  readonly sharePort: boolean;
}

export function openMetricsPages(options: MetricsPagesOptions): MetricsPages {
  const { metrics, sharePort, inspection, tag } = options;
  const fleetPage = new FleetMetricsPage({ ...options, mono: systemAmbient.mono });
  const fleet = async (): Promise<string> => fleetPage.render();
  if (!sharePort) return { gateway: async () => metrics.render(), fleet, stop: async () => {} };
  const reporter = new MetricsReporter({ reports: inspection.gatewayMetrics, id: tag, metrics });
  reporter.start();
  return { gateway: async () => renderSharedPort(options), fleet, stop: async () => reporter.stop() };
}

/**
 * Returns the metrics of all gateway processes that share a port, each with the label `gateway`; while Redis is away,
 * those of this process alone. The kernel passes a scrape to any of the processes, so all show the same: the reports
 * that each has left in Redis. This process shows its own report, too, because a counter must never go back.
 */
async function renderSharedPort(port: SharedPort): Promise<string> {
  const { tag, metrics } = port;
  const reports = await reportsOf(port).catch(
    async () => new Map([[tag, JSON.parse(await metrics.report())]]),
  );
  return renderReports("gateway", reports);
}

async function reportsOf({ stores, inspection, address }: SharedPort): Promise<ReadonlyMap<string, unknown>> {
  const gateways = await stores.registry.listGateways();
  const siblings = gateways.filter(
    ({ host, port, listen }) => host === address.host && port === address.port && listen === address.listen,
  );
  return inspection.gatewayMetrics.read(siblings.map(({ tag }) => tag));
}
