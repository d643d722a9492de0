import { readGatewayAnnouncement, readWorkerAnnouncement } from "../core/announcement.ts";
import type { GatewayAnnouncement, WorkerAnnouncement } from "../core/fleet.ts";
import { isObject } from "../core/json.ts";
import { queuesOf } from "../core/ability.ts";
import { unlessMistyped } from "./connection.ts";
import type { Connection } from "./connection.ts";
import type { Keys } from "./keys.ts";
import { asArray, asText } from "./replies.ts";

/** Who is there: workers and gateways announce themselves and are forgotten when they fall silent. */

/** An announcement is valid for this long. */
export const PRESENCE_MS = 15_000;

/** How often a process announces itself. */
export const ANNOUNCE_MS = 3000;

/** A larger announcement is none of ours: a worker's has some 8 MiB of models at the most. */
const MOST_ANNOUNCED_BYTES = 16 * 1024 * 1024;

/** Writes a worker's announcement and, when `news` is true, tells all gateways at once. */
export async function announceWorker(
  connection: Connection,
  keys: Keys,
  worker: WorkerAnnouncement,
  news: boolean,
): Promise<void> {
  const now = String(worker.seenAt);
  const models = [...new Set(worker.backends.flatMap((backend) => backend.models.flatMap(queuesOf)))];
  const commands = [
    connection.command("SET", keys.worker(worker.id), JSON.stringify(worker), "PX", String(PRESENCE_MS)),
    connection.command("ZADD", keys.workers(), now, worker.id),
  ];
  if (models.length > 0) {
    commands.push(connection.command("ZADD", keys.models(), ...models.flatMap((model) => [now, model])));
  }
  if (news) commands.push(connection.command("PUBLISH", keys.fleet(), "worker"));
  await Promise.all(commands);
}

/** Renews what a worker has announced, if it is there still. */
export async function prolongWorker(connection: Connection, keys: Keys, id: string): Promise<void> {
  await connection.command("PEXPIRE", keys.worker(id), String(PRESENCE_MS));
}

export async function forgetWorker(connection: Connection, keys: Keys, id: string): Promise<void> {
  await Promise.all([
    connection.command("DEL", keys.worker(id)),
    connection.command("ZREM", keys.workers(), id),
    connection.command("PUBLISH", keys.fleet(), "worker"),
  ]);
}

export async function announceGateway(
  connection: Connection,
  keys: Keys,
  gateway: GatewayAnnouncement,
): Promise<void> {
  await Promise.all([
    connection.command("SET", keys.gateway(gateway.tag), JSON.stringify(gateway), "PX", String(PRESENCE_MS)),
    connection.command("ZADD", keys.gateways(), String(gateway.seenAt), gateway.tag),
  ]);
}

/** Lets workers run tasks of a tag that is no gateway of the fleet, for as long as an announcement is valid. */
export async function holdTag(connection: Connection, keys: Keys, tag: string): Promise<void> {
  await connection.command("SET", keys.gateway(tag), "{}", "PX", String(PRESENCE_MS));
}

export async function forgetGateway(connection: Connection, keys: Keys, tag: string): Promise<void> {
  await Promise.all([
    connection.command("DEL", keys.gateway(tag)),
    connection.command("ZREM", keys.gateways(), tag),
  ]);
}

/** Of the gateway tags given, those that are alive. */
export async function gatewaysAlive(
  connection: Connection,
  keys: Keys,
  tags: readonly string[],
): Promise<Set<string>> {
  const found = await Promise.all(tags.map(async (tag) => connection.command("EXISTS", keys.gateway(tag))));
  return new Set(tags.filter((_tag, index) => found[index] === 1));
}

/**
 * Of the gateway tags given, those that are alive, with the run of the Redis server that knows all they have removed
 * (`server` of an announcement); undefined for one that does not tell.
 */
export async function serversOfGateways(
  connection: Connection,
  keys: Keys,
  tags: readonly string[],
): Promise<Map<string, string | undefined>> {
  const found = await Promise.all(
    tags.map(async (tag) => unlessMistyped(connection.command("GET", keys.gateway(tag)))),
  );
  return new Map(
    tags.flatMap((tag, index) => {
      const value = found[index];
      return value === null ? [] : [[tag, serverIn(parse(asText(value)))] as const];
    }),
  );
}

function serverIn(announcement: unknown): string | undefined {
  const server = isObject(announcement) ? announcement["server"] : undefined;
  return typeof server === "string" ? server : undefined;
}

/** All live workers. */
export async function listWorkers(connection: Connection, keys: Keys): Promise<WorkerAnnouncement[]> {
  const values = await readMembers(connection, keys.workers(), (id) => keys.worker(id));
  return values.flatMap((value) => readWorkerAnnouncement(value) ?? []);
}

/** All live gateways. */
export async function listGateways(connection: Connection, keys: Keys): Promise<GatewayAnnouncement[]> {
  const values = await readMembers(connection, keys.gateways(), (tag) => keys.gateway(tag));
  return values.flatMap((value) => readGatewayAnnouncement(value) ?? []);
}

/** Model keys that a worker served at or after `since` (ms since 1970). */
export async function rememberedModels(
  connection: Connection,
  keys: Keys,
  since: number,
): Promise<Set<string>> {
  const reply = await connection.command("ZRANGEBYSCORE", keys.models(), String(since), "+inf");
  return new Set(asArray(reply).map(asText));
}

/**
 * Removes from the indexes what reading skips: workers and gateways that fell silent, models that nobody served at or
 * after `since` (ms since 1970) and whose queues are empty. Apart from reading, which then needs no right to write.
 */
export async function tidyRegistry(connection: Connection, keys: Keys, since: number): Promise<void> {
  await Promise.all([
    dropSilent(connection, keys.workers(), (id) => keys.worker(id)),
    dropSilent(connection, keys.gateways(), (tag) => keys.gateway(tag)),
    dropOldModels(connection, keys, since),
  ]);
}

/** One whose queue is not empty is still looked after. A worker that comes back just now enters its models again. */
async function dropOldModels(connection: Connection, keys: Keys, since: number): Promise<void> {
  const reply = await connection.command("ZRANGEBYSCORE", keys.models(), "-inf", `(${since}`);
  const old = asArray(reply).map(asText);
  const lengths = await Promise.all(
    old.map(async (model) => unlessMistyped(connection.command("XLEN", keys.queue(model)))),
  );
  const empty = old.filter((_model, position) => lengths[position] === 0);
  if (empty.length > 0) await connection.command("ZREM", keys.models(), ...empty);
}

async function dropSilent(
  connection: Connection,
  index: string,
  keyOf: (member: string) => string,
): Promise<void> {
  const members = asArray(await connection.command("ZRANGE", index, "0", "-1")).map(asText);
  const found = await Promise.all(members.map(async (member) => connection.command("EXISTS", keyOf(member))));
  const silent = members.filter((_member, position) => found[position] === 0);
  if (silent.length > 0) await connection.command("ZREM", index, ...silent);
}

async function readMembers(
  connection: Connection,
  index: string,
  keyOf: (member: string) => string,
): Promise<unknown[]> {
  const members = asArray(await connection.command("ZRANGE", index, "0", "-1")).map(asText);
  const values = await Promise.all(
    members.map(async (member) => unlessMistyped(connection.command("GET", keyOf(member)))),
  );
  return values
    .filter((value) => Buffer.isBuffer(value))
    .filter(({ length }) => length <= MOST_ANNOUNCED_BYTES)
    .map((value) => parse(asText(value)));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
