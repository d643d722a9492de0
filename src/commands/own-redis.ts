import { startRedis } from "../admin/redis-child.ts";
import type { RedisChild } from "../admin/redis-child.ts";
import type { Log } from "../telemetry/log.ts";
import type { Run } from "./supervised.ts";

export interface OwnRedisOptions {
  readonly dir: string;
  readonly log: Log;
  /** Told where Redis listens before `ready` resolves. */
  readonly onUrl: (url: string) => void;
}

/** Runs a Redis of this machine's own as a child process. */
export function launchRedis({ dir, log, onUrl }: OwnRedisOptions): Run {
  let redis: RedisChild | undefined;
  const start = async (): Promise<void> => {
    redis = await startRedis({ dir, log });
    onUrl(redis.url);
  };
  const ready = start();
  const settled = ready.catch(() => {});
  return {
    ready,
    exited: settled.then(async () => void (await redis?.exited)),
    stop: () => settled.then(async () => redis?.stop()),
    kill: () => redis?.kill(),
  };
}
