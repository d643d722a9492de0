import { setTimeout as delay } from "node:timers/promises";
import { until } from "../rig/until.ts";
import { ask } from "./ask.ts";
import type { Asked, ClientKey, Disturbance } from "./history.ts";
import { MAX_OPEN } from "./sharing.ts";
import type { LogLine } from "./story.ts";
import type { World } from "./world.ts";

/** A gateway that died keeps the open requests of its keys for so long, ms. Another second is for kept slots. */
const LEASE_END_MS = 17_000;

/** Usage is in Redis so long after a request at the latest, ms. */
const USAGE_MS = 15_000;

/** So long before its end a gateway may not have written what was used, ms. */
const UNWRITTEN_MS = 3000;

/** Faults after which Redis may lack what it had. */
const LOSING = /^(?:redis-(?:empty|power)|master)/;

/** Faults that end the process of a gateway. */
const ENDING = /^gateway-(?:kill|stop)/;

interface Told {
  readonly asked: readonly Asked[];
  readonly disturbances: readonly Disturbance[];
}

/** Places that keys have lost, and usage that was lost or counted twice: a sentence each. None without keys. */
export async function sharingLeaks(world: World, told: Told): Promise<string[]> {
  if (world.clientKeys.length === 0) return [];
  const usage = await Promise.all(world.clientKeys.map((key) => usageLeaks(world, key, told)));
  await delay(LEASE_END_MS);
  const places = await Promise.all(world.clientKeys.map((key) => placesOf(world, key)));
  return [...usage.flat(), ...places.flat()];
}

/** Each key gets all of its places again, at both gateways at once. */
async function placesOf(world: World, key: ClientKey): Promise<string[]> {
  const asked = Array.from({ length: MAX_OPEN }, (_, index) => probe(world, key, index));
  await Promise.all(asked.map((one) => ask(one, world.gateways[one.seat]?.program?.url ?? "", false)));
  const refused = asked.filter(({ ending }) => ending !== "complete");
  return refused.map(
    ({ status, detail }) => `a place of key ${key.id} of ${key.tenant} is lost: ${status} ${detail}`,
  );
}

/** A request that is open for longer than all of them need to begin. */
function probe(world: World, key: ClientKey, index: number): Asked {
  return {
    wish: {
      id: `place-${key.id}-${index}`,
      dialect: "openai-chat",
      stream: false,
      tokens: 1,
      firstTokenMs: 1000,
      tokenMs: 0,
      padding: 0,
      ballast: 0,
      readPauseMs: 0,
    },
    key,
    seat: index % world.gateways.length,
    sentAt: performance.now(),
    reused: false,
    status: 0,
    firstTokenAt: undefined,
    tokens: 0,
    deviation: undefined,
    ending: undefined,
    endedAt: Number.POSITIVE_INFINITY,
    detail: "",
    code: undefined,
  };
}

/** Bounds of the requests and tokens that Redis must have for a key, by the lines of the gateways' logs. */
interface Bounds {
  readonly leastRequests: number;
  readonly mostRequests: number;
  readonly leastTokens: number;
}

async function usageLeaks(world: World, key: ClientKey, told: Told): Promise<string[]> {
  const bounds = boundsOf(key, told, world.logLines());
  const look = async (): Promise<string[]> => {
    const { requests, tokens } = await world.usageOf(key);
    const { leastRequests, mostRequests, leastTokens } = bounds;
    return [
      ...(requests < leastRequests ? [`${requests} requests of ${leastRequests} were counted`] : []),
      ...(requests > mostRequests ? [`${requests} requests were counted, there were ${mostRequests}`] : []),
      ...(tokens < leastTokens ? [`${tokens} tokens of ${leastTokens} were counted`] : []),
    ];
  };
  let wrong = await look();
  await until(
    "usage that is complete",
    async () => {
      wrong = await look();
      return wrong.length === 0;
    },
    USAGE_MS,
    200,
  ).catch(() => undefined);
  return wrong.map((what) => `usage of key ${key.id} of ${key.tenant}: ${what}`);
}

interface RequestLine {
  readonly request?: string;
  readonly totalMs?: number;
  readonly attempt?: number;
  readonly promptTokens?: number;
  readonly completionTokens?: number;
}

function boundsOf(key: ClientKey, { asked, disturbances }: Told, lines: readonly LogLine[]): Bounds {
  const own = new Map(asked.filter((one) => one.key?.id === key.id).map((one) => [one.wish.id, one]));
  let [ended, unclear, tokens, unsafe, unsafeTokens] = [0, 0, 0, 0, 0];
  const heard = new Set<string>();
  for (const line of lines.flatMap(readLine)) {
    const one = own.get(line.request ?? "");
    if (one === undefined) continue;
    heard.add(one.wish.id);
    // A request that was refused at once has a line, too, and is not counted.
    if (line.totalMs === 0 && line.attempt === undefined) {
      unclear += 1;
      continue;
    }
    const sum = (line.promptTokens ?? 0) + (line.completionTokens ?? 0);
    ended += 1;
    tokens += sum;
    if (!mayBeLost(one, disturbances)) continue;
    unsafe += 1;
    unsafeTokens += sum;
  }
  // The line of a request may be lost with its gateway, when Redis has its usage already.
  const silent = [...own.values()].filter(
    (one) => !heard.has(one.wish.id) && mayBeLost(one, disturbances),
  ).length;
  return {
    leastRequests: ended - unsafe,
    mostRequests: ended + unclear + silent,
    leastTokens: tokens - unsafeTokens,
  };
}

/** True for the last moments of a gateway that ended, and for anything that Redis may have lost. */
function mayBeLost({ seat, endedAt }: Asked, disturbances: readonly Disturbance[]): boolean {
  const hasLost = disturbances.some(({ fault }) => LOSING.test(fault));
  return disturbances.some(({ fault, target, from, to }) => {
    if (fault === "redis-empty") return endedAt < to + UNWRITTEN_MS;
    if (!ENDING.test(fault) || target !== seat) return false;
    return endedAt <= to + UNWRITTEN_MS && (hasLost || endedAt >= from - UNWRITTEN_MS);
  });
}

function readLine({ line }: LogLine): RequestLine[] {
  if (!line.includes('"message":"request"')) return [];
  try {
    return [JSON.parse(line) as RequestLine];
  } catch {
    return [];
  }
}
