import { systemAmbient } from "../core/ambient.ts";
import type { GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { Catalogue } from "./catalogue.ts";
import { FleetPage } from "./fleet-page.ts";
import { PortPage } from "./port-page.ts";
import type { PortPageOptions } from "./port-page.ts";

/** What is shown to Prometheus; each text is made when asked for. */
export interface MetricsPages {
  /** This process, or all that share its port. */
  gateway(): Promise<string>;
  fleet(): Promise<string>;
  /** Leaves nothing of this process in Redis. */
  stop(): Promise<void>;
}

export interface MetricsPagesOptions extends PortPageOptions {
  readonly metrics: GatewayMetrics;
  readonly catalogue: Catalogue;
  readonly sharePort: boolean;
}

export function openMetricsPages(options: MetricsPagesOptions): MetricsPages {
  const { connection, keys, catalogue, metrics, sharePort } = options;
  const fleetPage = new FleetPage({ connection, keys, catalogue, mono: systemAmbient.mono });
  const fleet = async (): Promise<string> => fleetPage.render();
  if (!sharePort) return { gateway: async () => metrics.render(), fleet, stop: async () => {} };
  const portPage = new PortPage(options);
  portPage.start();
  return { gateway: async () => portPage.render(), fleet, stop: async () => portPage.stop() };
}
