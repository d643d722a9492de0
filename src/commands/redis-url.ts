import { join } from "node:path";
import { ask } from "../admin/redis-probe.ts";
import { redisSocket } from "../admin/redis-child.ts";
import type { Settings } from "../config/settings.ts";

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
  return Object.freeze({ ...settings, redisUrl });
}

/** A Redis URL without user and password: fit to be shown. */
export function shownRedisUrl(url: string): string {
  return url.replace(/^(\w+:\/\/)[^/]*@/, "$1");
}
