import { unlessMistyped } from "./connection.ts";
import type { Connection } from "./connection.ts";
import { asText } from "./replies.ts";

/**
 * Workers listen on no port, and gateway processes that share one cannot be asked each: they leave their metrics in
 * Redis, and a gateway shows them.
 */

/** A report is valid for this long, ms: as long as an announcement. */
const REPORT_LIFE_MS = 15_000;

/** How often a process reports, ms. */
export const REPORT_MS = 5000;

/**
 * @param key of the reporting process
 * @param report JSON text, see docs/protocol.md
 */
export async function reportMetrics(connection: Connection, key: string, report: string): Promise<void> {
  await connection.command("SET", key, report, "PX", String(REPORT_LIFE_MS));
}

export async function forgetMetrics(connection: Connection, key: string): Promise<void> {
  await connection.command("DEL", key);
}

/**
 * The parsed reports of these processes, by id, unchecked; those without one, or with one that is no JSON, are left
 * out.
 */
export async function readReports(
  connection: Connection,
  keyOf: (id: string) => string,
  ids: readonly string[],
): Promise<Map<string, unknown>> {
  const texts = await Promise.all(
    ids.map(async (id) => unlessMistyped(connection.command("GET", keyOf(id)))),
  );
  const found = ids.map((id, index) => [id, parse(asText(texts[index]))] as const);
  return new Map(found.filter(([, report]) => report !== undefined));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
