import type { Connection } from "./connection.ts";
import type { Keys } from "./keys.ts";
import { asText } from "./replies.ts";

/** Workers listen on no port: they leave their metrics in Redis, and a gateway shows them. */

/** A report is valid for this long, ms: as long as an announcement. */
const REPORT_LIFE_MS = 15_000;

/** How often a worker reports, ms. */
export const REPORT_MS = 5000;

/** @param report JSON text, see docs/protocol.md */
export async function reportMetrics(
  connection: Connection,
  keys: Keys,
  worker: string,
  report: string,
): Promise<void> {
  await connection.command("SET", keys.workerMetrics(worker), report, "PX", String(REPORT_LIFE_MS));
}

export async function forgetMetrics(connection: Connection, keys: Keys, worker: string): Promise<void> {
  await connection.command("DEL", keys.workerMetrics(worker));
}

/** The parsed reports of these workers, unchecked; those without one, or with one that is no JSON, are left out. */
export async function readReports(
  connection: Connection,
  keys: Keys,
  workers: readonly string[],
): Promise<Map<string, unknown>> {
  const texts = await Promise.all(
    workers.map(async (worker) => connection.command("GET", keys.workerMetrics(worker))),
  );
  const found = workers.map((worker, index) => [worker, parse(asText(texts[index]))] as const);
  return new Map(found.filter(([, report]) => report !== undefined));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
