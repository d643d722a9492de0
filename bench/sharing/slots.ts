/**
 * L2: bounds on open requests hold while gateways, workers and Redis are killed and clients leave at each phase. After a
 * lease without requests no slot is taken, and each key gets all of its slots again.
 */
import { setTimeout as delay } from "node:timers/promises";
import { asArray, asText } from "../../src/redis/connection/resp.ts";
import { MODEL } from "../../test/rig/fleet/fleet.ts";
import { until } from "../../test/rig/until.ts";
import type { Claim, MeasureOptions, Part } from "./claim.ts";
import { Stage } from "./stage.ts";

/** Life of the slots of a dead gateway, and a margin, ms. */
const QUIET_MS = 20_000;

/** Bounds of the keys of one tenant, and of the tenant. */
const OF_KEYS = [2, 4, 8];
const OF_TENANT = 10;

const GATEWAYS = 3;
const CLIENTS = 24;

interface Size {
  readonly requests: number;
  /** Requests between two kills. */
  readonly perKill: number;
}

const LONG: Size = { requests: 10_000, perKill: 900 };
const SHORT: Size = { requests: 1500, perKill: 300 };

/** A moment at which a client leaves: before its task is queued, while it waits, while it streams, near its end. */
const LEAVES_AFTER_MS = [0, 1, 5, 20, 60, undefined, undefined, undefined];

/** Ends of the requests, as their clients saw them. */
interface Tally {
  asked: number;
  answered: number;
  refused: number;
  left: number;
  /** Any other end: a gateway or Redis was away. */
  lost: number;
  /** Refusals without a time to come back. */
  untold: number;
}

/** One client's request; it leaves in the middle when `leaveMs` says so. */
async function request(url: string, key: string, tally: Tally, leaveMs: number | undefined): Promise<void> {
  tally.asked += 1;
  const leaving = new AbortController();
  const timer = leaveMs === undefined ? undefined : setTimeout(() => leaving.abort(), leaveMs);
  try {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify({ model: MODEL, stream: true, messages: [{ role: "user", content: "hi" }] }),
      signal: leaving.signal,
    });
    if (response.status === 429 && response.headers.get("retry-after") === null) tally.untold += 1;
    await response.arrayBuffer();
    if (response.status === 200) tally.answered += 1;
    else if (response.status === 429) tally.refused += 1;
    else tally.lost += 1;
  } catch {
    if (leaving.signal.aborted) tally.left += 1;
    else tally.lost += 1;
  } finally {
    clearTimeout(timer);
  }
}

/** Kills one part after the other, and starts it again. */
class Killer {
  readonly #stage: Stage;
  #count = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  get count(): number {
    return this.#count;
  }

  async kill(): Promise<void> {
    const { fleet } = this.#stage;
    const turn = this.#count % 3;
    this.#count += 1;
    if (turn === 0) {
      const [victim] = fleet.gateways.splice(0, 1);
      await victim?.kill();
      await fleet.addGateway();
    } else if (turn === 1) {
      const [victim] = fleet.posts.splice(0, 1);
      await victim?.worker.kill();
      if (victim !== undefined) await fleet.addWorker(victim.standIn);
    } else {
      await fleet.redis.kill();
      await fleet.redis.startAgain({ empty: false });
    }
  }
}

/** Slots that Redis has, over all keys and tenants. */
async function slotsLeft({ fleet }: Stage): Promise<number> {
  const found = (await fleet.probe.everywhere("KEYS", `${fleet.keys.prefix}:kc:*`)).flatMap(asArray);
  let slots = 0;
  for (const key of found.map(asText)) {
    const values = asArray(await fleet.probe.command("HVALS", key)).map(asText);
    for (const value of values) slots += Number.parseInt(value, 10);
  }
  return slots;
}

/** Most generations at once that ran for the keys, as the LLM servers see them. */
function running(stage: Stage): number {
  const standIns = new Set(stage.fleet.posts.map(({ standIn }) => standIn));
  return [...standIns].reduce((sum, standIn) => sum + standIn.running, 0);
}

/** Asks for one request more than the bound at once, over all gateways. Returns how many were admitted. */
async function admitted(stage: Stage, key: string, bound: number): Promise<number> {
  const gate = Promise.withResolvers<void>();
  for (const { standIn } of stage.fleet.posts) standIn.behaviour.gate = gate.promise;
  const tally: Tally = { asked: 0, answered: 0, refused: 0, left: 0, lost: 0, untold: 0 };
  const all = Array.from({ length: bound + 1 }, async (_, index) => {
    const { url } = stage.fleet.gateways[index % stage.fleet.gateways.length] ?? stage.fleet.gateway;
    await request(url, key, tally, undefined);
  });
  await until("a refusal", () => tally.refused + tally.lost > 0);
  for (const { standIn } of stage.fleet.posts) standIn.behaviour.gate = undefined;
  gate.resolve();
  await Promise.all(all);
  return tally.answered;
}

async function storm(
  stage: Stage,
  keys: readonly string[],
  size: Size,
): Promise<{ tally: Tally; kills: number }> {
  const tally: Tally = { asked: 0, answered: 0, refused: 0, left: 0, lost: 0, untold: 0 };
  const killer = new Killer(stage);
  let killing = Promise.resolve();
  const client = async (): Promise<void> => {
    while (tally.asked < size.requests) {
      const { asked } = tally;
      const { url } = stage.fleet.gateways[asked % stage.fleet.gateways.length] ?? stage.fleet.gateway;
      if (asked > 0 && asked % size.perKill === 0) killing = killing.then(() => killer.kill());
      await request(
        url,
        keys[asked % keys.length] ?? "",
        tally,
        LEAVES_AFTER_MS[asked % LEAVES_AFTER_MS.length],
      );
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  await killing;
  return { tally, kills: killer.count };
}

async function measure({ quick }: MeasureOptions): Promise<readonly Claim[]> {
  const stage = await Stage.open({
    gateways: GATEWAYS,
    posts: [
      { tokens: 6, tokenMs: 8 },
      { tokens: 6, tokenMs: 8 },
    ],
  });
  try {
    await stage.sgnet("tenants", "create", "lab", "--max-open", String(OF_TENANT));
    const keys: string[] = [];
    for (const bound of OF_KEYS) {
      keys.push(await stage.createKey(`l2-${bound}`, "--tenant", "lab", "--max-open", String(bound)));
    }
    const { tally, kills } = await storm(stage, keys, quick ? SHORT : LONG);
    await until("the end of all generations", () => running(stage) === 0);
    await delay(QUIET_MS);
    const left = await slotsLeft(stage);
    const again: Claim[] = [];
    for (const [index, bound] of OF_KEYS.entries()) {
      const value = await admitted(stage, keys[index] ?? "", bound);
      again.push({
        text: `open requests of a key with a bound of ${bound}, afterwards`,
        value,
        least: bound,
        most: bound,
      });
    }
    return [
      { text: "requests", value: tally.asked },
      { text: "killed gateways, workers and Redis", value: kills, least: 3 },
      { text: "answers", value: tally.answered, least: 1 },
      { text: "refusals", value: tally.refused, least: 1 },
      { text: "refusals without a time to come back", value: tally.untold, least: 0, most: 0 },
      { text: "clients that left", value: tally.left, least: 1 },
      { text: "slots in Redis 20 s after the last request", value: left, least: 0, most: 0 },
      ...again,
    ];
  } finally {
    await stage.close();
  }
}

export const OPEN_REQUESTS: Part = {
  name: "l2",
  title: "Open requests are bounded, and no slot leaks",
  measure,
};
