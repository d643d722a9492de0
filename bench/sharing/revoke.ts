/** L4: a key that is revoked is refused by every gateway within 4 s, also when no message tells of it. */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { MessageFilter } from "../../test/rig/redis/message-filter.ts";
import { RedisServer } from "../../test/rig/redis/redis-server.ts";
import type { FleetRedis } from "../../test/rig/redis/fleet-redis.ts";
import type { Claim, MeasureOptions, Part } from "./claim.ts";
import { listModels, Stage } from "./stage.ts";

const GATEWAYS = 2;
/** Longest time until a change of a key holds everywhere (s). */
const MOST_S = 4;
const GIVE_UP_MS = 20_000;
/** Between two requests of the one who waits (ms). */
const PAUSE_MS = 20;

/** A Redis whose news of keys does not reach the gateways. */
async function deafened(dir: string, filters: MessageFilter[]): Promise<FleetRedis> {
  const server = await RedisServer.start({ dir: join(dir, "server") });
  const filter = await MessageFilter.open(server.port, "sgnet:ev", "keys");
  filters.push(filter);
  return {
    url: server.url,
    settingsOf: (command) => (command === "gateway" ? { REDIS_URL: filter.url } : {}),
    kill: () => server.kill(),
    startAgain: (options) => server.startAgain(options),
    stop: async () => {
      await filter.close();
      await server.stop();
    },
  };
}

/** Seconds from now until each gateway answers as said; infinite when one does not. */
async function secondsUntil(stage: Stage, status: number, key?: string): Promise<number> {
  const from = performance.now();
  const times = stage.fleet.gateways.map(async ({ url }) => {
    while ((await listModels(url, key)) !== status) {
      if (performance.now() - from > GIVE_UP_MS) return Number.POSITIVE_INFINITY;
      await delay(PAUSE_MS);
    }
    return (performance.now() - from) / 1000;
  });
  return Math.max(...(await Promise.all(times)));
}

/** Longest times until all gateways do as a command said (s). */
interface Delays {
  /** Requests without a key are refused, once the first key was made. */
  closed: number;
  /** A revoked key is refused. */
  revoked: number;
}

/** Makes keys and revokes them, one after the other, by the command. */
async function longestDelays(stage: Stage, rounds: number): Promise<Delays> {
  const longest: Delays = { closed: 0, revoked: 0 };
  for (let round = 0; round < rounds; round += 1) {
    const name = `round-${round}`;
    const { secret } = await stage.sgnet("keys", "create", name);
    if (typeof secret !== "string") throw new TypeError("a key without its secret");
    // Later rounds find the door closed: it stays so after the last key was revoked.
    longest.closed = Math.max(longest.closed, await secondsUntil(stage, 401));
    await secondsUntil(stage, 200, secret);
    await stage.sgnet("keys", "revoke", name);
    longest.revoked = Math.max(longest.revoked, await secondsUntil(stage, 401, secret));
  }
  return longest;
}

async function measureOne(
  rounds: number,
  what: string,
  redis: ((dir: string) => Promise<FleetRedis>) | undefined,
): Promise<readonly Claim[]> {
  const stage = await Stage.open({ gateways: GATEWAYS, ...(redis === undefined ? {} : { redis }) });
  try {
    const { closed, revoked } = await longestDelays(stage, rounds);
    const where = `everywhere, ${what} (s)`;
    return [
      { text: `requests without a key are refused ${where}`, value: closed, most: MOST_S },
      { text: `a revoked key is refused ${where}`, value: revoked, most: MOST_S },
    ];
  } finally {
    await stage.close();
  }
}

async function measure({ quick }: MeasureOptions): Promise<readonly Claim[]> {
  const filters: MessageFilter[] = [];
  const rounds = quick ? 1 : 5;
  const deaf = await measureOne(rounds, "messages lost", (dir) => deafened(dir, filters));
  const lost = filters.reduce((sum, filter) => sum + filter.lost, 0);
  const told = quick ? [] : await measureOne(rounds, "messages arrive", undefined);
  return [...deaf, { text: "messages that were lost", value: lost, least: rounds * GATEWAYS }, ...told];
}

export const REVOKE: Part = { name: "l4", title: "A revoked key is refused", measure };
