import type { Connection } from "./connection.ts";
import type { Keys } from "./keys.ts";
import { asText } from "./replies.ts";

/** What a user of Redis can be for this program. */
export type Role = "gateway" | "worker" | "observer";

export const ROLES: readonly Role[] = ["gateway", "worker", "observer"];

/** A command with its arguments, as {@link Role} sends it in some place. */
export type Sample = readonly [command: string, ...args: string[]];

const MODEL = "doctor";
const TAG = "gdoctor";
const TASK = `${TAG}.1`;
const WORKER = "wdoctor";

/** The last four find the way in a Redis Cluster, or to the master of a Sentinel. */
const EVERYBODY: readonly Sample[] = [
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
 * Every command that a role sends, and every key and channel that it sends it to: one sample each. docs/redis-users.acl
 * grants these. They are for asking Redis whether a user may send them, not for sending them.
 */
export function samplesOf(role: Role, keys: Keys): readonly Sample[] {
  return [...EVERYBODY, ...SAMPLES[role](keys)];
}

/** Who a connection is to Redis. Rejects where that is not told: ACL commands may be off. */
export async function userOf(connection: Connection): Promise<string> {
  return asText(await connection.command("ACL", "WHOAMI"));
}

/** Of the samples of a role, those that a user may not send. Rejects where Redis does not tell. */
export async function missingRights(
  connection: Connection,
  keys: Keys,
  asked: { readonly user: string; readonly role: Role },
): Promise<readonly Sample[]> {
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

/** True when the user may run scripts instead: a user with that right need not call functions. */
async function mayRunScript(
  connection: Connection,
  user: string,
  [command, ...args]: Sample,
): Promise<boolean> {
  if (command !== "FCALL") return false;
  const answers = await Promise.all(
    ["EVAL", "EVALSHA"].map(async (name) => connection.command("ACL", "DRYRUN", user, name, ...args)),
  );
  return answers.every((answer) => asText(answer) === "OK");
}

const SAMPLES: Readonly<Record<Role, (keys: Keys) => readonly Sample[]>> = { gateway, worker, observer };

function gateway(keys: Keys): readonly Sample[] {
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
    ["FCALL", "", "1", keys.deadHold(MODEL, "1-1")],
    ["GET", keys.deadHold(MODEL, "1-1")],
    ["SET", keys.deadHold(MODEL, "1-1"), ""],
    ["DEL", keys.deadHold(MODEL, "1-1")],
    ["ZADD", keys.deads(), "0", MODEL],
    ["ZREM", keys.deads(), MODEL],
    ["SET", keys.gateway(TAG), ""],
    ["DEL", keys.gateway(TAG)],
    ["SET", keys.gatewayMetrics(TAG), ""],
    ["GET", keys.gatewayMetrics(TAG)],
    ["DEL", keys.gatewayMetrics(TAG)],
    ["ZADD", keys.gateways(), "0", TAG],
    ["ZREM", keys.gateways(), TAG],
    ["EXISTS", keys.worker(WORKER)],
    ["ZREM", keys.workers(), WORKER],
    ["ZREM", keys.models(), MODEL],
    ["GET", keys.workerMetrics(WORKER)],
    ["FCALL", "", "1", keys.log()],
    ["XADD", keys.log(), "*", "s", ""],
    ["PUBLISH", keys.control(WORKER), ""],
    ["PUBLISH", keys.controlAll(), ""],
    ["SUBSCRIBE", keys.channel(TAG)],
    ["SUBSCRIBE", keys.fleet()],
    ["UNSUBSCRIBE"],
    ["SSUBSCRIBE", keys.channel(TAG)],
    ["SUNSUBSCRIBE"],
    ...fleet(keys),
  ];
}

function worker(keys: Keys): readonly Sample[] {
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
    ["RPUSH", keys.farewell(`${WORKER}.0`), "1"],
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

function observer(keys: Keys): readonly Sample[] {
  const { queue, reply } = keysOfTask(keys);
  return [...fleet(keys), ["XREVRANGE", queue, "+", "-"], ["XRANGE", reply, "-", "+"], ["EXISTS", reply]];
}

/** What it takes to see the state of the fleet. */
function fleet(keys: Keys): readonly Sample[] {
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
  ];
}

function keysOfTask(keys: Keys): Record<"queue" | "bell" | "reply" | "body", string> {
  const queue = keys.queue(MODEL);
  return { queue, bell: keys.doorbell(MODEL), reply: keys.reply(TASK), body: keys.body(TASK) };
}
