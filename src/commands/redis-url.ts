import { join } from "node:path";
import { ask } from "../admin/redis-probe.ts";
import { redisSocket } from "../admin/redis-child.ts";
import type { Settings } from "../config/settings.ts";
import { Fault, toFault } from "../core/fault.ts";
import { accessOf, withoutUser } from "../redis/access.ts";
import { connect } from "../redis/connect.ts";
import type { Connection } from "../redis/connection.ts";
import { refusalOf } from "../redis/refusal.ts";
import { replyErrorIn } from "../redis/reply-error.ts";

const NO_ACCESS = {
  redisUsername: "",
  redisPassword: "",
  redisPasswordFile: "",
  redisCaFile: "",
  redisCertFile: "",
  redisKeyFile: "",
  redisServerName: "",
} as const;

const LOCAL_REDIS = "redis://127.0.0.1:6379";

/** The folder of the Redis that `sgnet up` runs. */
export function ownRedisDir(settings: Pick<Settings, "stateDir">): string {
  return join(settings.stateDir, "redis");
}

/**
 * The settings with the Redis that a command other than `up` uses: the one that is named, else the one that a
 * running `sgnet up` has in the same state folder, else the usual one on this machine.
 */
export async function withRedis(settings: Settings): Promise<Settings> {
  if (settings.redisUrl !== "") return settings;
  const own = redisSocket(ownRedisDir(settings));
  const redisUrl = (await ask(own, "PING")) === undefined ? LOCAL_REDIS : `unix://${own}`;
  return withOwnRedis(settings, redisUrl);
}

/** The settings with a Redis that nobody named: what is set for getting into another one is not for it. */
export function withOwnRedis(settings: Settings, redisUrl: string): Settings {
  return Object.freeze({ ...settings, ...NO_ACCESS, redisUrl });
}

/**
 * Runs `work` with a connection to the Redis of {@link withRedis}, which is closed afterwards.
 * @param name of the command, for Redis's CLIENT LIST
 * Rejects with a sentence for people when there is no Redis.
 */
export async function withConnection<Result>(
  given: Settings,
  name: string,
  work: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const settings = await withRedis(given);
  const { redisUrl } = settings;
  const connection = await startWithRedis(given, redisUrl, async () =>
    connect(redisUrl, `sgnet-${name}`, accessOf(settings)),
  );
  try {
    return await work(connection);
  } catch (error) {
    throw refusedWork(redisUrl, error);
  } finally {
    connection.close();
  }
}

/**
 * Starts a service that needs the Redis at `redisUrl`, found for the settings `given`.
 * Rejects with a sentence for people when there is no Redis, else as `start` does.
 */
export async function startWithRedis<Started>(
  given: Settings,
  redisUrl: string,
  start: () => Promise<Started>,
): Promise<Started> {
  try {
    return await start();
  } catch (error) {
    throw toFault(error).code === "redis_down" ? noRedis(given, redisUrl, error) : error;
  }
}

/** A command that Redis refused, as a sentence for people; any other error as it is. */
function refusedWork(redisUrl: string, cause: unknown): unknown {
  const reply = replyErrorIn(cause);
  if (reply === undefined || (cause instanceof Error && TOLD.has(cause))) return cause;
  const place = withoutUser(redisUrl);
  const refusal = refusalOf(cause);
  const sentence =
    refusal === undefined
      ? `The Redis at ${place} answered ${reply.command} with an error (${reply.reply}): sgnet doctor looks at it.`
      : `The Redis at ${place} cannot be used for ${reply.command}: ${refusal}`;
  return told(sentence, cause);
}

/** Faults that are sentences for people already. */
const TOLD = new WeakSet<Error>();

function told(sentence: string, cause: unknown): Fault {
  const fault = new Fault("redis_down", sentence, { cause });
  TOLD.add(fault);
  return fault;
}

function noRedis(given: Settings, redisUrl: string, cause: unknown): Error {
  const refusal = refusalOf(cause);
  const place = withoutUser(redisUrl);
  if (refusal !== undefined) return told(`The Redis at ${place} cannot be used: ${refusal}`, cause);
  const hint =
    given.redisUrl === ""
      ? "is sgnet up running, in this folder? Else set REDIS_URL."
      : "check REDIS_URL, and that Redis runs there.";
  return told(`There is no Redis at ${place}: ${hint}`, cause);
}
