import type { RedisReading } from "../core/fleet.ts";
import { Fault } from "../core/fault.ts";
import { least } from "../core/long-lists.ts";
import type { Connection } from "./connection.ts";
import { asText } from "./replies.ts";

/** Of a server that never was a replica, or was never made a master. */
const NEVER_TOOK_OVER = /^master_replid2:0+\s*$/m;

/**
 * For how long Redis has surely served without a break, ms (whole seconds): since the youngest server started. 0 when
 * one does not tell, or once took over from another: nobody knows when.
 */
export async function uptimeMs(connection: Connection): Promise<number> {
  const replies = await connection.everywhere("INFO", "server", "replication").catch(() => []);
  if (replies.length === 0) return 0;
  return least(replies.map((info) => steadyMs(asText(info))));
}

/**
 * Names the run of the server that answers: another after each start of it, and at each server. Undefined when it does
 * not tell, or the connection breaks. Never rejects.
 */
export async function runOf(connection: Pick<Connection, "command">): Promise<string | undefined> {
  const info = await connection.command("INFO", "server").catch(() => "");
  return /^run_id:(\w+)/m.exec(asText(info))?.[1];
}

function steadyMs(info: string): number {
  if (!NEVER_TOOK_OVER.test(info)) return 0;
  return Number(/^uptime_in_seconds:(\d+)/m.exec(info)?.[1] ?? 0) * 1000;
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
  const version = (of: string): string | undefined => fieldOf(info, `${of}_version`);
  const redis = version("redis");
  const valkey = version("valkey");
  const name = valkey === undefined ? `Redis ${redis ?? "of unknown version"}` : `Valkey ${valkey}`;
  return { name, supported: redis === undefined || Number.parseInt(redis, 10) >= OLDEST_MAJOR };
}

/** Why REDIS_URL is not for what it names; keys are what INFO calls it. */
const MISNAMED: Readonly<Record<string, string>> = {
  cluster: "It is a node of a Redis Cluster: REDIS_URL must begin with redis+cluster:// (see docs/redis.md).",
  sentinel: "It is a sentinel: REDIS_URL must begin with redis+sentinel:// (see docs/redis.md).",
};

/** What stands against a server whose INFO is given, as a sentence; undefined when nothing does. */
export function problemOf(info: string, sharded: boolean): string | undefined {
  const { name, supported } = programOf(info);
  if (!supported) return `${name} is too old: Redis 7.0 or later, or a Valkey, is needed.`;
  const mode = /^(?:redis|server)_mode:(\w+)/m.exec(info)?.[1] ?? "";
  return sharded ? undefined : MISNAMED[mode];
}

/** Rejects with `internal` and a sentence when Redis cannot be used: it would fail at the first request. */
export async function requireSupported(connection: Connection): Promise<void> {
  const infos = await connection.everywhere("INFO", "server").catch(() => []);
  const problem = infos.map((info) => problemOf(asText(info), connection.sharded)).find(Boolean);
  if (problem !== undefined) throw new Fault("internal", problem);
}

/**
 * Redis's memory, clients and health. On a Redis Cluster the memory of the master that is nearest to its limit, the
 * clients of all, the shortest uptime. @param mono ms, monotonic
 */
export async function readRedis(connection: Connection, mono: () => number): Promise<RedisReading> {
  const from = mono();
  await connection.everywhere("PING");
  const roundTripMs = mono() - from;
  const servers = (await connection.everywhere("INFO")).map((info) => readServer(asText(info)));
  const [fullest] = servers.toSorted((a, b) => fullness(b) - fullness(a));
  if (fullest === undefined) throw new Fault("redis_down", "Redis is not connected");
  return {
    usedMemoryBytes: fullest.usedMemoryBytes,
    maxMemoryBytes: fullest.maxMemoryBytes,
    clients: servers.reduce((sum, { clients }) => sum + clients, 0),
    uptimeSeconds: least(servers.map(({ uptimeSeconds }) => uptimeSeconds)),
    persistent: servers.every(({ persistent }) => persistent),
    roundTripMs,
  };
}

/** The least that a server's memory is limited to, in bytes; 0 when none is, or none tells. Never rejects. */
export async function maxMemoryOf(connection: Connection): Promise<number> {
  const infos = await connection.everywhere("INFO", "memory").catch(() => []);
  const limits = infos.map((info) => readServer(asText(info)).maxMemoryBytes).filter((bytes) => bytes > 0);
  return limits.length === 0 ? 0 : least(limits);
}

function readServer(info: string): Omit<RedisReading, "roundTripMs"> {
  const field = (name: string): string => fieldOf(info, name) ?? "";
  return {
    usedMemoryBytes: Number(field("used_memory")),
    maxMemoryBytes: Number(field("maxmemory")),
    clients: Number(field("connected_clients")),
    uptimeSeconds: Number(field("uptime_in_seconds")),
    persistent: field("aof_last_write_status") !== "err" && field("rdb_last_bgsave_status") !== "err",
  };
}

/** A field of INFO, up to the first blank; undefined when the text does not have it. */
function fieldOf(info: string, name: string): string | undefined {
  const line = info.split("\n").find((one) => one.startsWith(`${name}:`));
  return line === undefined ? undefined : /^\S+/.exec(line.slice(name.length + 1))?.[0];
}

/** Comparable between servers; those without a limit come last, by what they use. */
function fullness({ usedMemoryBytes, maxMemoryBytes }: Omit<RedisReading, "roundTripMs">): number {
  return usedMemoryBytes / (maxMemoryBytes === 0 ? Number.MAX_SAFE_INTEGER : maxMemoryBytes);
}
