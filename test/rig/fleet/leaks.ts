import type { Connection } from "../../../src/redis/connection/connection.ts";
import type { Keys } from "../../../src/redis/keys.ts";
import { asArray, asText } from "../../../src/redis/connection/resp.ts";
import type { StandIn } from "../backends/stand-in.ts";
import type { Program } from "./program.ts";

export interface Surroundings {
  readonly redis: Connection;
  readonly keys: Keys;
  readonly gateways: readonly Program[];
  readonly standIns: readonly Pick<StandIn, "running" | "url">[];
}

/** Leftovers of tasks that no client waits for, one sentence each; empty when all is clean. */
export async function findLeaks({ redis, keys, gateways, standIns }: Surroundings): Promise<string[]> {
  const open = await Promise.all(
    gateways.map(async (gateway) => {
      const count = await gaugeOf(gateway, "sgnet_open_tasks");
      return count === 0 ? [] : [`a gateway has ${count} open tasks`];
    }),
  );
  const busy = standIns.filter(({ running }) => running !== 0);
  const generations = busy.map(({ running, url }) => `${running} generations run on ${url}`);
  return [...open.flat(), ...generations, ...(await redisLeaks(redis, keys))];
}

/** The value of a metric without labels (or the sum over all its labels). */
export async function gaugeOf(gateway: Program, name: string): Promise<number> {
  const response = await fetch(`${gateway.url}/metrics`);
  const lines = (await response.text()).split("\n");
  const values = lines.filter((line) => line.startsWith(name) && /^[ {]/.test(line.slice(name.length)));
  return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

async function redisLeaks(redis: Connection, keys: Keys): Promise<string[]> {
  const perMaster = await redis.everywhere("KEYS", `${keys.prefix}:*`);
  const found = perMaster.flatMap(asArray).map(asText);
  const leaks = await Promise.all(found.map((key) => leakAt(redis, keys, key)));
  return leaks.filter((leak) => leak !== undefined);
}

async function leakAt(redis: Connection, keys: Keys, key: string): Promise<string | undefined> {
  const kind = key.slice(keys.prefix.length + 1, key.indexOf(":", keys.prefix.length + 1));
  if (kind === "q") {
    const length = Number(await redis.command("XLEN", key));
    const pending = Number(asArray(await redis.command("XPENDING", key, "w"))[0]);
    return length + pending === 0 ? undefined : `${length} entries, ${pending} of them claimed, in ${key}`;
  }
  if (kind === "t") return `${Number(await redis.command("LLEN", key))} tokens in ${key}`;
  if (kind === "r" || kind === "b") return orphanAt(redis, keys, key);
  return undefined;
}

/** A leftover reply or body. A killed gateway leaves its own to their expiry. */
async function orphanAt(redis: Connection, keys: Keys, key: string): Promise<string | undefined> {
  const tag = /\{(.*)\}/.exec(key)?.[1] ?? "";
  const alive = Number(await redis.command("EXISTS", keys.gateway(tag))) === 1;
  if (alive) return `${key} is left`;
  return Number(await redis.command("PTTL", key)) === -1 ? `${key} never expires` : undefined;
}
