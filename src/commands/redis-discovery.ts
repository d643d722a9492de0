import { join } from "node:path";
import { sendCommand } from "../local-redis/redis-probe.ts";
import { redisSocket } from "../local-redis/redis-child.ts";
import type { Settings } from "../config/settings.ts";
import { Fault, toFault } from "../core/fault.ts";
import { accessOf, withoutUser } from "../redis/connection/access.ts";
import { connect } from "../redis/connection/connect.ts";
import type { Connection } from "../redis/connection/connection.ts";
import { refusalOf } from "../redis/connection/refusal.ts";
import { replyErrorIn } from "../redis/connection/reply-error.ts";

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

/** The data folder of the Redis that `sgnet up` runs. */
export function localRedisDir(settings: Pick<Settings, "stateDir">): string {
  return join(settings.stateDir, "redis");
}

/**
 * The settings with the Redis for a command other than `up`. The order is: the configured one, that of a running `sgnet
 * up` with the same state folder, the default address on this machine.
 */
export async function withRedis(settings: Settings): Promise<Settings> {
  if (settings.redisUrl !== "") return settings;
  const own = redisSocket(localRedisDir(settings));
  const redisUrl = (await sendCommand(own, "PING")) === undefined ? LOCAL_REDIS : `unix://${own}`;
  return withLocalRedis(settings, redisUrl);
}

/**
 * The settings with a Redis that was not configured. The configured credentials are for another Redis, so they are
 * removed.
 */
export function withLocalRedis(settings: Settings, redisUrl: string): Settings {
  return Object.freeze({ ...settings, ...NO_ACCESS, redisUrl });
}

/**
 * Runs `work` with a connection to the Redis of {@link withRedis}, and closes it afterwards. Rejects with a sentence
 * for people when there is no Redis.
 * @param name name of the command for Redis's CLIENT LIST
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
 * Starts a service that needs the Redis at `redisUrl`, which was found for the settings `given`. Rejects with a
 * sentence for people when there is no Redis, else as `start` does.
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

/** An error as a sentence for people when Redis refused the command; other errors unchanged. */
function refusedWork(redisUrl: string, cause: unknown): unknown {
  const reply = replyErrorIn(cause);
  if (reply === undefined || (cause instanceof Error && EXPLAINED.has(cause))) return cause;
  const place = withoutUser(redisUrl);
  const refusal = refusalOf(cause);
  const sentence =
    refusal === undefined
      ? `The Redis at ${place} answered ${reply.command} with an error (${reply.reply}): run sgnet doctor.`
      : `The Redis at ${place} cannot be used for ${reply.command}: ${refusal}`;
  return explained(sentence, cause);
}

/** Faults whose message is a sentence for people already. */
const EXPLAINED = new WeakSet<Error>();

function explained(sentence: string, cause: unknown): Fault {
  const fault = new Fault("redis_down", sentence, { cause });
  EXPLAINED.add(fault);
  return fault;
}

function noRedis(given: Settings, redisUrl: string, cause: unknown): Error {
  const refusal = refusalOf(cause);
  const place = withoutUser(redisUrl);
  if (refusal !== undefined) return explained(`The Redis at ${place} cannot be used: ${refusal}`, cause);
  const hint =
    given.redisUrl === ""
      ? "run sgnet up in this folder, or set REDIS_URL."
      : "check REDIS_URL, and that Redis runs there.";
  return explained(`There is no Redis at ${place}: ${hint}`, cause);
}
