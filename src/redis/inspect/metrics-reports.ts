import { unlessMistyped } from "../connection/connection.ts";
import type { Connection } from "../connection/connection.ts";
import type { Keys } from "../keys.ts";
import { asJson } from "../connection/resp.ts";

/** Life of a report, ms: that of an announcement. */
const REPORT_LIFE_MS = 15_000;

/** Interval between two reports of a process, ms. */
export const REPORT_MS = 5000;

/**
 * Metrics reports of the workers, or of the gateway processes, in Redis.
 * A scraper cannot reach a worker, which has no port, or one of several gateway processes that share a port.
 * A gateway shows their reports instead.
 */
export class MetricsReports {
  readonly #connection: Connection;
  readonly #keyOf: (id: string) => string;

  constructor(connection: Connection, keyOf: (id: string) => string) {
    this.#connection = connection;
    this.#keyOf = keyOf;
  }

  static ofWorkers(connection: Connection, keys: Keys): MetricsReports {
    return new MetricsReports(connection, (id) => keys.workerMetrics(id));
  }

  static ofGateways(connection: Connection, keys: Keys): MetricsReports {
    return new MetricsReports(connection, (tag) => keys.gatewayMetrics(tag));
  }

  /**
   * @param id id of the reporting process
   * @param report JSON text, see docs/protocol.md
   */
  async put(id: string, report: string): Promise<void> {
    await this.#connection.command("SET", this.#keyOf(id), report, "PX", String(REPORT_LIFE_MS));
  }

  async forget(id: string): Promise<void> {
    await this.#connection.command("DEL", this.#keyOf(id));
  }

  /**
   * Reads the reports of these processes, by id, parsed but unchecked.
   * Processes without a report, or with one that is no JSON, are left out.
   */
  async read(ids: readonly string[]): Promise<Map<string, unknown>> {
    const texts = await Promise.all(
      ids.map(async (id) => unlessMistyped(this.#connection.command("GET", this.#keyOf(id)))),
    );
    const found = ids.map((id, index) => [id, asJson(texts[index])] as const);
    return new Map(found.filter(([, report]) => report !== undefined));
  }
}
