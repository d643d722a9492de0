import type { RedisReading } from "../core/fleet.ts";
import { Fault } from "../core/fault.ts";
import type { Connection } from "./connection.ts";
import { asText } from "./replies.ts";

/** How long Redis has been up, ms (whole seconds). 0 when it does not tell. */
export async function uptimeMs(connection: Connection): Promise<number> {
  const info = await connection.command("INFO", "server").catch(() => "");
  const seconds = /^uptime_in_seconds:(\d+)/m.exec(asText(info))?.[1];
  return Number(seconds ?? 0) * 1000;
}

/** Oldest major version that has all commands used (BLMPOP). */
const OLDEST_MAJOR = 7;

/** What INFO tells of the program. */
export interface ServerProgram {
  /** E.g. "Redis 7.0.15" or "Valkey 8.1.1". */
  readonly name: string;
  /** False for one that is too old; true also for one that does not tell. */
  readonly supported: boolean;
}

/** Reads the text of INFO. A Valkey names, besides its own version, the one of Redis that it stands for. */
export function programOf(info: string): ServerProgram {
  const version = (of: string): string | undefined =>
    new RegExp(`^${of}_version:(\\S+)`, "m").exec(info)?.[1];
  const redis = version("redis");
  const valkey = version("valkey");
  const name = valkey === undefined ? `Redis ${redis ?? "of unknown version"}` : `Valkey ${valkey}`;
  return { name, supported: redis === undefined || Number.parseInt(redis, 10) >= OLDEST_MAJOR };
}

/** Rejects with `internal` and a sentence when Redis is too old: it would fail at the first request. */
export async function requireSupported(connection: Connection): Promise<void> {
  const info = await connection.command("INFO", "server").catch(() => "");
  const { name, supported } = programOf(asText(info));
  if (!supported)
    throw new Fault("internal", `${name} is too old: Redis 7.0 or later, or a Valkey, is needed.`);
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
