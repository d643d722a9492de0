/**
 * L3: a request that is refused for open requests, for its budget or for the queue costs the rates nothing. A key with many
 * such refusals gets as many answers out of its burst as a key without any.
 */
import { until } from "../../test/rig/until.ts";
import type { Claim, MeasureOptions, Part } from "./claim.ts";
import { Stage } from "./stage.ts";
import type { AskOptions, Reply } from "./stage.ts";

/** Open requests that a gateway allows for a model, and slots of its worker. */
const MAX_QUEUE = 4;
const SLOTS = 2;

/** Rates whose bursts give some hundred answers; both refill slowly. */
const RATES: Readonly<Record<string, readonly string[]>> = {
  requests: ["--rpm", "60", "--rpm-burst", "100"],
  tokens: ["--itpm", "300", "--itpm-burst", "600"],
};

/** Answers that a burst may differ by, as a share: it refills while it is used. */
const LEAST_SHARE = 0.9;

/** Limits that refuse everything at a given time, and no more at another. */
interface Refusal {
  readonly name: string;
  /** Further options of the key. */
  readonly limits: readonly string[];
  readonly code: string;
  /** Brings the key to its limit, refuses `count` of its requests, and ends that. */
  refuse(scene: Scene, count: number): Promise<void>;
}

interface Scene {
  readonly stage: Stage;
  readonly name: string;
  readonly key: string;
  /** A key without limits, which takes places in the queue. */
  readonly bystander: string;
  readonly code: string;
}

const REFUSALS: readonly Refusal[] = [
  {
    name: "open requests",
    limits: ["--max-open", String(SLOTS)],
    code: "concurrency_limited",
    refuse: async (scene, count) => {
      await whileHeld(scene.stage, { key: scene.key, count: SLOTS }, async () => {
        for (let asked = 0; asked < count; asked += 1) await refused(scene);
      });
    },
  },
  {
    name: "budget",
    limits: ["--budget-day", "1"],
    code: "insufficient_quota",
    refuse: async (scene, count) => {
      const { stage, name, key, code } = scene;
      await until("a budget that is used up", async () => (await stage.ask({ key })).code === code);
      for (let asked = 0; asked < count; asked += 1) await refused(scene);
      await stage.sgnet("keys", "set", name, "--budget-day", "1000000000");
      await until("a budget that was raised", async () => (await stage.ask({ key })).status === 200);
    },
  },
  {
    name: "a full queue",
    limits: [],
    code: "server_busy",
    refuse: async (scene, count) => {
      await whileHeld(scene.stage, { key: scene.bystander, count: MAX_QUEUE }, async () => {
        for (let asked = 0; asked < count; asked += 1) await refused(scene);
      });
    },
  },
  {
    name: "a wait that was too long",
    limits: [],
    code: "queue_timeout",
    refuse: async (scene, count) => {
      await whileHeld(scene.stage, { key: scene.bystander, count: SLOTS }, async () => {
        const each = MAX_QUEUE - SLOTS;
        for (let asked = 0; asked < count; asked += each) {
          await Promise.all(Array.from({ length: each }, () => refused(scene, { timeouts: "queue=20" })));
        }
      });
    },
  },
];

async function refused({ stage, key, code }: Scene, options: AskOptions = {}): Promise<void> {
  const reply = await stage.ask({ ...options, key });
  if (reply.code !== code) throw new Error(`${JSON.stringify(reply)} instead of ${code}`);
}

/** Runs `work` while some requests of a key are open. */
async function whileHeld(
  stage: Stage,
  { key, count }: { readonly key: string; readonly count: number },
  work: () => Promise<void>,
): Promise<void> {
  const gate = Promise.withResolvers<void>();
  const { behaviour } = stage.fleet.post().standIn;
  behaviour.gate = gate.promise;
  const held = Array.from({ length: count }, () => stage.ask({ key }));
  try {
    const { url } = stage.fleet.gateway;
    await until("requests that are held", async () => (await openTasks(url)) === count);
    await work();
  } finally {
    behaviour.gate = undefined;
    gate.resolve();
    await Promise.all(held);
  }
}

async function openTasks(url: string): Promise<number> {
  const page = await (await fetch(`${url}/metrics`)).text();
  return Array.from(page.matchAll(/^sgnet_open_tasks\{[^}]*\} (\d+)$/gm), ([, count]) =>
    Number(count),
  ).reduce((sum, count) => sum + count, 0);
}

/** Asks one after the other until the rate refuses. Returns the number of answers. */
async function exhaust(stage: Stage, key: string): Promise<number> {
  for (let answers = 0; ; answers += 1) {
    const reply: Reply = await stage.ask({ key, maxTokens: 1 });
    if (reply.code === "rate_limit_exceeded") return answers;
    if (reply.status !== 200) throw new Error(JSON.stringify(reply));
  }
}

async function answersAfter(
  stage: Stage,
  refusal: Refusal,
  { rate, count, bystander }: { readonly rate: string; readonly count: number; readonly bystander: string },
): Promise<number> {
  const name = `${rate} ${refusal.name} ${count}`;
  const key = await stage.createKey(name, ...(RATES[rate] ?? []), ...refusal.limits);
  await refusal.refuse({ stage, name, key, bystander, code: refusal.code }, count);
  return exhaust(stage, key);
}

async function measure({ quick }: MeasureOptions): Promise<readonly Claim[]> {
  const stage = await Stage.open({
    posts: [{ slots: SLOTS }],
    env: { SGNET_MAX_QUEUE: String(MAX_QUEUE) },
  });
  try {
    const bystander = await stage.createKey("bystander");
    const count = quick ? 100 : 400;
    const claims: Claim[] = [];
    for (const refusal of REFUSALS) {
      for (const rate of quick && claims.length > 1 ? ["requests"] : Object.keys(RATES)) {
        const never = await answersAfter(stage, refusal, { rate, count: 0, bystander });
        const often = await answersAfter(stage, refusal, { rate, count, bystander });
        const text = `answers out of a burst of ${rate}, after ${count} refusals for ${refusal.name} ÷ after none (${never})`;
        claims.push({ text, value: often / never, least: LEAST_SHARE });
      }
    }
    return claims;
  } finally {
    await stage.close();
  }
}

export const REFUNDS: Part = { name: "l3", title: "Refusals cost no limit anything", measure };
