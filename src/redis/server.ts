import type { Connection } from "./connection.ts";
import { asText } from "./replies.ts";

/** How long Redis has been up, ms (whole seconds). 0 when it does not tell. */
export async function uptimeMs(connection: Connection): Promise<number> {
  const info = await connection.command("INFO", "server").catch(() => "");
  const seconds = /^uptime_in_seconds:(\d+)/m.exec(asText(info))?.[1];
  return Number(seconds ?? 0) * 1000;
}

/** Redis's version, e.g. "7.0.15"; "" when it does not tell. */
export async function redisVersion(connection: Connection): Promise<string> {
  const info = await connection.command("INFO", "server").catch(() => "");
  return /^(?:valkey|redis)_version:(\S+)/m.exec(asText(info))?.[1] ?? "";
}
