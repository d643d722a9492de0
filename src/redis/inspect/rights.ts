import type { Connection } from "../connection/connection.ts";
import type { Keys } from "../keys.ts";
import { asText } from "../connection/resp.ts";

/** Roles of Redis users. */
export type Role = "gateway" | "worker" | "observer";

export const ROLES: readonly Role[] = ["gateway", "worker", "observer"];

/** A command with arguments, as a {@link Role} sends it. */
export type SampleCommand = readonly [command: string, ...args: string[]];

const MODEL = "doctor";
const TAG = "gdoctor";
const TASK = `${TAG}.1`;
const WORKER = "wdoctor";
const TENANT = "doctor";
const DAY = "20260101";

/** Samples of every role. The last four are for a Redis Cluster or Sentinel. */
const EVERY_ROLE: readonly SampleCommand[] = [
  ["PING"],
  ["INFO"],
  ["TIME"],
  ["CLIENT", "SETNAME", "doctor"],
  ["ROLE"],
  ["ASKING"],
  ["CLUSTER", "INFO"],
  ["CLUSTER", "SLOTS"],
];

/**
 * One sample of every command that a role sends, for each key and channel it is sent to.
 * docs/redis-users.acl grants these. Redis checks them by ACL DRYRUN: they are never run.
 */
export function samplesOf(role: Role, keys: Keys): readonly SampleCommand[] {
  return [...EVERY_ROLE, ...SAMPLES[role](keys)];
}

/** Name of the Redis user of a connection. Rejects where ACL commands are not allowed. */
export async function userOf(connection: Connection): Promise<string> {
  return asText(await connection.command("ACL", "WHOAMI"));
}

/** Samples of a role that a user may not send. Rejects where ACL commands are not allowed. */
export async function missingRights(
  connection: Connection,
  keys: Keys,
  asked: { readonly user: string; readonly role: Role },
): Promise<readonly SampleCommand[]> {
  const samples = samplesOf(asked.role, keys);
  const answers = await Promise.all(
    samples.map(async (sample) => connection.command("ACL", "DRYRUN", asked.user, ...sample)),
  );
  const missing = samples.filter((_sample, index) => asText(answers[index]) !== "OK");
  const scripts = await Promise.all(
    missing.map(async (sample) => mayRunScript(connection, asked.user, sample)),
  );
  return missing.filter((_sample, index) => scripts[index] !== true);
}

/** True when the user may run scripts: it then needs no right to call functions. */
async function mayRunScript(
  connection: Connection,
  user: string,
  [command, ...args]: SampleCommand,
): Promise<boolean> {
  if (command !== "FCALL") return false;
  const answers = await Promise.all(
    ["EVAL", "EVALSHA"].map(async (name) => connection.command("ACL", "DRYRUN", user, name, ...args)),
  );
  return answers.every((answer) => asText(answer) === "OK");
}

const SAMPLES: Readonly<Record<Role, (keys: Keys) => readonly SampleCommand[]>> = {
  gateway,
  worker,
  observer,
};

function gateway(keys: Keys): readonly SampleCommand[] {
  const { queue, bell, reply, body } = keysOfTask(keys);
  return [
    ["FCALL", "", "1", reply],
    ["XADD", reply, "0-1", "m", "1"],
    ["EXISTS", reply],
    ["PEXPIRE", reply, "1"],
    ["XREAD", "STREAMS", reply, "0"],
    ["XTRIM", reply, "MINID", "1-1"],
    ["UNLINK", reply],
    ["SET", body, ""],
    ["UNLINK", body],
    ["XADD", queue, "*", "t", ""],
    ["XDEL", queue, "1"],
    ["XRANGE", queue, "-", "+"],
    ["XREVRANGE", queue, "+", "-"],
    ["UNLINK", queue],
    ["RPUSH", bell, "1"],
    ["LPOP", bell],
    ["UNLINK", bell],
    ["XDEL", keys.dead(MODEL), "1-1"],
    ["GET", keys.deadBody(MODEL, TASK)],
    ["UNLINK", keys.deadBody(MODEL, TASK)],
    ["FCALL", "", "1", keys.letterLock(MODEL, "1-1")],
    ["GET", keys.letterLock(MODEL, "1-1")],
    ["SET", keys.letterLock(MODEL, "1-1"), ""],
    ["DEL", keys.letterLock(MODEL, "1-1")],
    ["ZADD", keys.deads(), "0", MODEL],
    ["ZREM", keys.deads(), MODEL],
    ["SET", keys.gateway(TAG), ""],
    ["DEL", keys.gateway(TAG)],
    ["SET", keys.gatewayMetrics(TAG), ""],
    ["GET", keys.gatewayMetrics(TAG)],
    ["DEL", keys.gatewayMetrics(TAG)],
    ...rates(keys),
    ["ZADD", keys.gateways(), "0", TAG],
    ["ZREM", keys.gateways(), TAG],
    ["EXISTS", keys.worker(WORKER)],
    ["ZREM", keys.workers(), WORKER],
    ["ZREM", keys.models(), MODEL],
    ["GET", keys.workerMetrics(WORKER)],
    ...use(keys),
    ["FCALL", "", "1", keys.log()],
    ["XADD", keys.log(), "*", "s", ""],
    ...administration(keys),
    ["PUBLISH", keys.control(WORKER), ""],
    ["PUBLISH", keys.controlAll(), ""],
    ["PUBLISH", keys.fleet(), ""],
    ...slots(keys),
    ["SUBSCRIBE", keys.channel(TAG)],
    ["SUBSCRIBE", keys.fleet()],
    ["UNSUBSCRIBE"],
    ["SSUBSCRIBE", keys.channel(TAG)],
    ["SUNSUBSCRIBE"],
    ...fleet(keys),
  ];
}

/** Samples of the use of keys. */
function use(keys: Keys): readonly SampleCommand[] {
  return [
    ["FCALL", "", "2", keys.budgets(TENANT), keys.usage(TENANT, "")],
    ["HINCRBY", keys.usage(TENANT, DAY), "k|m|in", "1"],
    ["HSET", keys.budgets(TENANT), "d|", ""],
    ["HSCAN", keys.budgets(TENANT), "0"],
    ["HDEL", keys.budgets(TENANT), "d|"],
    ["ZADD", keys.usedTenants(), "0", TENANT],
    ["ZREMRANGEBYSCORE", keys.usedTenants(), "-inf", "0"],
  ];
}

/** Samples of the records of keys and tenants, and of the audit log. */
function administration(keys: Keys): readonly SampleCommand[] {
  return [
    ["FCALL", "", "1", keys.accessRecords()],
    ["HDEL", keys.accessRecords(), "k"],
    ["HGETALL", keys.accessRecords()],
    ["HMGET", keys.accessRecords(), "k"],
    ["HSET", keys.accessRecords(), "k", ""],
    ["ZADD", keys.accessVersions(), "0", "k"],
    ["ZCARD", keys.accessVersions()],
    ["ZRANGE", keys.accessVersions(), "0", "-1"],
    ["ZRANGEBYSCORE", keys.accessVersions(), "0", "0"],
    ["ZREM", keys.accessVersions(), "k"],
    ["ZSCORE", keys.accessVersions(), "k"],
    ["HDEL", keys.accessNames(), "k"],
    ["HGET", keys.accessNames(), "k"],
    ["HSET", keys.accessNames(), "k", ""],
    ["HSETNX", keys.accessNames(), "k", ""],
    ["XADD", keys.audit(), "*", "e", ""],
    ["XREVRANGE", keys.audit(), "+", "-"],
  ];
}

/** Samples of the slots for open requests. */
function slots(keys: Keys): readonly SampleCommand[] {
  const ofTenant = keys.openSlots({ tenant: "doctor" });
  return [
    ["FCALL", "", "1", ofTenant],
    ["HGETALL", ofTenant],
    ["HSET", ofTenant, TAG, ""],
    ["HDEL", ofTenant, TAG],
    ["PEXPIRE", ofTenant, "1"],
    ["PUBLISH", keys.slotWishes(), ""],
    ["SUBSCRIBE", keys.slotWishes()],
  ];
}

/** Samples of the rate limits of keys. */
function rates(keys: Keys): readonly SampleCommand[] {
  const limits = keys.rates("doctor");
  return [
    ["FCALL", "", "1", limits],
    ["HGET", limits, "rpm"],
    ["HSET", limits, "rpm", "0 0 1"],
    ["HLEN", limits],
    ["HGETALL", limits],
    ["HDEL", limits, "rpm"],
    ["PTTL", limits],
    ["PEXPIRE", limits, "1"],
  ];
}

function worker(keys: Keys): readonly SampleCommand[] {
  const { queue, bell, reply, body } = keysOfTask(keys);
  return [
    ["XGROUP", "CREATE", queue, "w", "0"],
    ["XGROUP", "DELCONSUMER", queue, "w", WORKER],
    ["XINFO", "CONSUMERS", queue, "w"],
    ["XINFO", "GROUPS", queue],
    ["XRANGE", queue, "-", "+"],
    ["LPOP", bell, "1"],
    ["XREADGROUP", "GROUP", "w", WORKER, "STREAMS", queue, ">"],
    ["FCALL", "", "1", queue],
    ["XLEN", queue],
    ["XPENDING", queue, "w"],
    ["XCLAIM", queue, "w", WORKER, "0", "1"],
    ["XACK", queue, "w", "1"],
    ["XDEL", queue, "1"],
    ["PEXPIRE", queue, "1"],
    ["UNLINK", queue],
    ["BLMPOP", "1", "1", bell, "LEFT"],
    ["RPUSH", keys.interrupt(`${WORKER}.0`), "1"],
    ["PEXPIRE", bell, "1"],
    ["UNLINK", bell],
    ["GET", body],
    ["UNLINK", body],
    ["FCALL", "", "1", reply],
    ["XADD", reply, "1-1", "f", ""],
    ["XREVRANGE", reply, "+", "-"],
    ["XLEN", reply],
    ["PEXPIRE", reply, "1"],
    ["EXISTS", reply],
    ["EXISTS", keys.gateway(TAG)],
    ["XADD", keys.dead(MODEL), "*", "t", ""],
    ["SET", keys.deadBody(MODEL, TASK), ""],
    ["ZADD", keys.deads(), "0", MODEL],
    ["PEXPIRE", keys.worker(WORKER), "1"],
    ["SET", keys.worker(WORKER), ""],
    ["GET", keys.worker(WORKER)],
    ["DEL", keys.worker(WORKER)],
    ["SET", keys.workerMetrics(WORKER), ""],
    ["DEL", keys.workerMetrics(WORKER)],
    ["ZADD", keys.workers(), "0", WORKER],
    ["ZRANGE", keys.workers(), "0", "-1"],
    ["ZREM", keys.workers(), WORKER],
    ["ZADD", keys.models(), "0", MODEL],
    ["PUBLISH", keys.channel(TAG), ""],
    ["SPUBLISH", keys.channel(TAG), ""],
    ["PUBLISH", keys.controlAll(), ""],
    ["PUBLISH", keys.fleet(), ""],
    ["SUBSCRIBE", keys.control(WORKER)],
    ["SUBSCRIBE", keys.controlAll()],
    ["UNSUBSCRIBE"],
  ];
}

function observer(keys: Keys): readonly SampleCommand[] {
  const { queue, reply } = keysOfTask(keys);
  return [
    ...fleet(keys),
    ["XREVRANGE", keys.audit(), "+", "-"],
    ["XREVRANGE", queue, "+", "-"],
    ["XRANGE", reply, "-", "+"],
    ["EXISTS", reply],
  ];
}

/** Samples that read the state of the fleet. */
function fleet(keys: Keys): readonly SampleCommand[] {
  const { queue } = keysOfTask(keys);
  return [
    ["ZRANGE", keys.workers(), "0", "-1"],
    ["ZRANGE", keys.gateways(), "0", "-1"],
    ["ZRANGEBYSCORE", keys.models(), "0", "0"],
    ["GET", keys.worker(WORKER)],
    ["GET", keys.gateway(TAG)],
    ["XLEN", queue],
    ["XINFO", "GROUPS", queue],
    ["XPENDING", queue, "w"],
    ["XRANGE", queue, "-", "+"],
    ["XLEN", keys.dead(MODEL)],
    ["ZRANGE", keys.deads(), "0", "-1"],
    ["XRANGE", keys.log(), "-", "+"],
    ["XREVRANGE", keys.log(), "+", "-"],
    ["HGETALL", keys.budgets(TENANT)],
    ["HGET", keys.budgets(TENANT), "d|"],
    ["HGETALL", keys.usage(TENANT, DAY)],
    ["ZRANGE", keys.usedTenants(), "0", "-1"],
  ];
}

function keysOfTask(keys: Keys): Record<"queue" | "bell" | "reply" | "body", string> {
  const queue = keys.queue(MODEL);
  return { queue, bell: keys.doorbell(MODEL), reply: keys.reply(TASK), body: keys.body(TASK) };
}
