import type { RedisReading } from "../core/fleet.ts";
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

/** Redis's memory, clients and health. @param mono ms, monotonic */
export async function readRedis(connection: Connection, mono: () => number): Promise<RedisReading> {
  const from = mono();
  await connection.command("PING");
  const roundTripMs = mono() - from;
  const info = asText(await connection.command("INFO"));
  const field = (name: string): string => new RegExp(`^${name}:(\\S+)`, "m").exec(info)?.[1] ?? "";
  return {
    usedMemoryBytes: Number(field("used_memory")),
    maxMemoryBytes: Number(field("maxmemory")),
    clients: Number(field("connected_clients")),
    uptimeSeconds: Number(field("uptime_in_seconds")),
    persistent: field("aof_last_write_status") !== "err" && field("rdb_last_bgsave_status") !== "err",
    roundTripMs,
  };
}
