import type { Connection } from "../../redis/connection/connection.ts";
import { readRedis } from "../../redis/connection/server.ts";
import type { Inspection } from "../../redis/inspect/inspection.ts";
import type { Stores } from "../../redis/stores.ts";
import { renderFleetMetrics } from "../../telemetry/fleet-metrics.ts";
import type { Catalogue } from "../fleet/catalogue.ts";

export interface FleetMetricsPageOptions {
  readonly connection: Connection;
  readonly stores: Pick<Stores, "letters" | "registry">;
  readonly inspection: Pick<Inspection, "queues" | "workerMetrics">;
  readonly catalogue: Catalogue;
  readonly mono: () => number;
}

/** The metrics of the fleet. They are the same at every gateway, so that one scrape target is enough. */
export class FleetMetricsPage {
  readonly #options: FleetMetricsPageOptions;
  /** The text that is being made. */
  #pending: Promise<string> | undefined;

  constructor(options: FleetMetricsPageOptions) {
    this.#options = options;
  }

  /**
   * Returns Prometheus' text format. Scrapes at the same time share one reading of Redis.
   * @throws Fault `redis_down`
   */
  async render(): Promise<string> {
    this.#pending ??= this.#make().finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #make(): Promise<string> {
    const { connection, stores, inspection, catalogue, mono } = this.#options;
    const [gateways, workers, dead, redis] = await Promise.all([
      stores.registry.listGateways(),
      stores.registry.listWorkers(),
      stores.letters.models(),
      readRedis(connection, mono),
    ]);
    const models = [...new Set([...catalogue.known, ...dead])];
    const queues = await inspection.queues.read(models);
    const ids = workers.map(({ id }) => id);
    const reports = await inspection.workerMetrics.read(ids);
    return renderFleetMetrics({ gateways, workers, queues, redis, reports });
  }
}
