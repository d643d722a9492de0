import type { Connection } from "../redis/connection.ts";
import { modelsWithLetters } from "../redis/dead-letters.ts";
import type { Keys } from "../redis/keys.ts";
import { readReports } from "../redis/metrics-reports.ts";
import { readQueues } from "../redis/queue-readings.ts";
import { listGateways, listWorkers } from "../redis/registry.ts";
import { readRedis } from "../redis/server.ts";
import { renderFleetMetrics } from "../telemetry/fleet-metrics.ts";
import type { Catalogue } from "./catalogue.ts";

export interface FleetPageOptions {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly catalogue: Catalogue;
  readonly mono: () => number;
}

/** The metrics of the fleet, the same at every gateway, so that one scrape target can stand for all. */
export class FleetPage {
  readonly #options: FleetPageOptions;
  #making: Promise<string> | undefined;

  constructor(options: FleetPageOptions) {
    this.#options = options;
  }

  /** In Prometheus' text format. Who asks at the same time shares one look. Rejects with `redis_down`. */
  async render(): Promise<string> {
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #make(): Promise<string> {
    const { connection, keys, catalogue, mono } = this.#options;
    const [gateways, workers, dead, redis] = await Promise.all([
      listGateways(connection, keys),
      listWorkers(connection, keys),
      modelsWithLetters(connection, keys),
      readRedis(connection, mono),
    ]);
    const models = [...new Set([...catalogue.known, ...dead])];
    const queues = await readQueues(connection, keys, models);
    const ids = workers.map(({ id }) => id);
    const reports = await readReports(connection, (id) => keys.workerMetrics(id), ids);
    return renderFleetMetrics({ gateways, workers, queues, redis, reports });
  }
}
