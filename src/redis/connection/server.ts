import type { RedisReading } from "../../core/fleet.ts";
import { Fault } from "../../core/fault.ts";
import { least } from "../../core/long-lists.ts";
import type { Connection } from "./connection.ts";
import { asText } from "./resp.ts";

/** Matches a server that never took over from another: its second replication id is 0. */
const NEVER_TOOK_OVER = /^master_replid2:0+\s*$/m;

/**
 * Time that Redis has certainly served without a break, ms (whole seconds): since the last server started.
 * 0 when a server does not report it, or once took over from another at an unknown time.
 */
export async function uptimeMs(connection: Connection): Promise<number> {
  const replies = await connection.everywhere("INFO", "server", "replication").catch(() => []);
  if (replies.length === 0) return 0;
  return least(replies.map((info) => steadyMs(asText(info))));
}

/**
 * Names the run of the server that answers: another name after each start, and at each server.
 * Undefined when it does not report its run, or the connection breaks. Never rejects.
 */
export async function runOf(connection: Pick<Connection, "command">): Promise<string | undefined> {
  const info = await connection.command("INFO", "server").catch(() => "");
  return /^run_id:(\w+)/m.exec(asText(info))?.[1];
}

function steadyMs(info: string): number {
  if (!NEVER_TOOK_OVER.test(info)) return 0;
  return Number(/^uptime_in_seconds:(\d+)/m.exec(info)?.[1] ?? 0) * 1000;
}

/** Oldest major version that has every command in use (BLMPOP). */
const OLDEST_MAJOR = 7;

/** Name and version of the server program. */
export interface ServerProgram {
  /** E.g. "Redis 7.0.15" or "Valkey 8.1.1". */
  readonly name: string;
  /** False for a version that is too old. True for an unknown version. */
  readonly supported: boolean;
}

/** Reads the text of INFO. A Valkey reports its own version and a compatible version of Redis. */
export function programOf(info: string): ServerProgram {
  const version = (of: string): string | undefined => fieldOf(info, `${of}_version`);
  const redis = version("redis");
  const valkey = version("valkey");
  const name = valkey === undefined ? `Redis ${redis ?? "of unknown version"}` : `Valkey ${valkey}`;
  return { name, supported: redis === undefined || Number.parseInt(redis, 10) >= OLDEST_MAJOR };
}

/** Problems of a REDIS_URL that leads to another kind of server, by the mode that INFO reports. */
const MISNAMED: Readonly<Record<string, string>> = {
  cluster: "It is a node of a Redis Cluster: REDIS_URL must begin with redis+cluster:// (see docs/redis.md).",
  sentinel: "It is a sentinel: REDIS_URL must begin with redis+sentinel:// (see docs/redis.md).",
};

/** The reason that a server cannot be used, as a sentence, from its INFO; undefined when it can. */
export function problemOf(info: string, sharded: boolean): string | undefined {
  const { name, supported } = programOf(info);
  if (!supported) return `${name} is too old: Redis 7.0 or later, or a Valkey, is needed.`;
  const mode = /^(?:redis|server)_mode:(\w+)/m.exec(info)?.[1] ?? "";
  return sharded ? undefined : MISNAMED[mode];
}

/** Rejects with `internal` and a sentence when Redis cannot be used. Otherwise the first request would fail. */
export async function requireSupported(connection: Connection): Promise<void> {
  const infos = await connection.everywhere("INFO", "server").catch(() => []);
  const problem = infos.map((info) => problemOf(asText(info), connection.sharded)).find(Boolean);
  if (problem !== undefined) throw new Fault("internal", problem);
}

/**
 * Reads Redis's memory, clients and health. On a Redis Cluster the memory is of the master nearest to its limit.
 * Clients are the sum of all masters, and the uptime is the shortest.
 * @param mono monotonic clock, ms
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

/** The lowest memory limit of all servers, bytes; 0 when no server reports one. Never rejects. */
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

/** A field of INFO up to the first space; undefined when it is missing. */
function fieldOf(info: string, name: string): string | undefined {
  const line = info.split("\n").find((one) => one.startsWith(`${name}:`));
  return line === undefined ? undefined : /^\S+/.exec(line.slice(name.length + 1))?.[0];
}

/** Share of memory in use, to compare servers. Servers without a limit compare by use and come last. */
function fullness({ usedMemoryBytes, maxMemoryBytes }: Omit<RedisReading, "roundTripMs">): number {
  return usedMemoryBytes / (maxMemoryBytes === 0 ? Number.MAX_SAFE_INTEGER : maxMemoryBytes);
}
