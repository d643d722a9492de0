/**
 * L5: two gateways, one real Redis that is killed twice under load, one key. The sums of usage must equal those of all
 * log lines to 0.1 %. No request may count twice. Then the overshoot of a hard budget over both gateways.
 */
import type { Program } from "../../test/rig/fleet/program.ts";
import { Fleet, MODEL } from "../../test/rig/fleet/fleet.ts";
import { until } from "../../test/rig/until.ts";
import { KeyAdministration } from "../../src/redis/access/key-administration.ts";
import { reportUsage } from "../../src/redis/access/usage-report.ts";
import { openStores } from "../../src/redis/stores.ts";
import type { Claim, Part } from "./claim.ts";

const REQUESTS = 100_000;
const QUICK_REQUESTS = 10_000;
const CLIENTS = 64;
const ANSWER_TOKENS = 8;
const KILLS = 2;

/** Tokens of the budget, and the clients that spend it at once. */
const BUDGET = 20_000;
const SPENDERS = 32;

/** Measures both. @param requests number of requests under which Redis dies */
async function measureUsage(requests: number): Promise<readonly Claim[]> {
  const env = { SGNET_LOG_LEVEL: "info", SGNET_LOG_FORMAT: "json" };
  const fleet = await Fleet.start({ env, gateways: 2, posts: [{ slots: 64 }], limitMs: 1_800_000 });
  try {
    return [...(await countThroughKills(fleet, requests)), ...(await overshoot(fleet))];
  } finally {
    await fleet.stop();
  }
}

async function countThroughKills(fleet: Fleet, requests: number): Promise<Claim[]> {
  const key = await createKey(fleet, { name: "load", tenant: "load" });
  let asked = 0;
  let answered = 0;
  const client = async (): Promise<void> => {
    while (asked < requests) {
      asked += 1;
      if ((await ask(fleet, key, asked)) === 200) answered += 1;
    }
  };
  const clients = Promise.all(Array.from({ length: CLIENTS }, client));
  for (let kill = 1; kill <= KILLS; kill += 1) {
    await until("the load", () => asked >= (requests * kill) / (KILLS + 1), 1_800_000);
    await fleet.redis.kill();
    await fleet.redis.startAgain({ empty: false });
  }
  await clients;
  const logged = sumOfLines(fleet.gateways);
  const used = await settledUsage(fleet, "load", logged.ok);
  return [
    { text: `requests answered, of ${requests} through ${KILLS} kills of Redis`, value: answered, least: 1 },
    { text: "answers counted more than the log has", value: used.ok - logged.ok, most: 0 },
    { text: "answers counted, difference from the log (%)", value: off(used.ok, logged.ok), most: 0.1 },
    { text: "input tokens, difference from the log (%)", value: off(used.input, logged.input), most: 0.1 },
    { text: "output tokens, difference from the log (%)", value: off(used.output, logged.output), most: 0.1 },
  ];
}

/** The difference of two sums, as a share of the other one (%). */
function off(one: number, other: number): number {
  return (Math.abs(one - other) / Math.max(1, other)) * 100;
}

/** Spends a budget at two gateways with many clients at once until both refuse. */
async function overshoot(fleet: Fleet): Promise<Claim[]> {
  const key = await createKey(fleet, { name: "spender", tenant: "spender", budgetDay: BUDGET });
  let count = 0;
  const spend = async (): Promise<void> => {
    for (;;) {
      count += 1;
      const retryAfter = await askForRetry(fleet, key, count);
      // A long wait says that the budget is used; a short one that open requests may use the rest.
      if (retryAfter > 60) return;
    }
  };
  await Promise.all(Array.from({ length: SPENDERS }, spend));
  const { input, output } = await settledUsage(fleet, "spender", 1);
  const over = ((input + output - BUDGET) / BUDGET) * 100;
  return [
    {
      text: `overshoot of a budget of ${BUDGET} tokens, ${SPENDERS} clients at two gateways (%)`,
      value: over,
    },
  ];
}

async function createKey(fleet: Fleet, fields: Record<string, string | number>): Promise<string> {
  const { access } = openStores(fleet.probe, fleet.keys);
  const { secret } = await new KeyAdministration(access, Date.now).create(fields);
  const headers = { authorization: `Bearer ${secret}` };
  for (const { url } of fleet.gateways) {
    const lists = async (sent: Record<string, string>): Promise<number> =>
      (await fetch(`${url}/v1/models`, { headers: sent })).status;
    // A gateway that knows no key yet serves everyone.
    await until("the key", async () => (await lists({})) === 401 && (await lists(headers)) === 200);
  }
  return secret;
}

async function post(fleet: Fleet, key: string, count: number): Promise<Response> {
  const url = fleet.gateways[count % fleet.gateways.length]?.url ?? "";
  const messages = [{ role: "user", content: "hi" }];
  return fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ model: MODEL, messages, max_tokens: ANSWER_TOKENS }),
  });
}

async function ask(fleet: Fleet, key: string, count: number): Promise<number> {
  const response = await post(fleet, key, count);
  await response.arrayBuffer();
  return response.status;
}

async function askForRetry(fleet: Fleet, key: string, count: number): Promise<number> {
  const response = await post(fleet, key, count);
  await response.arrayBuffer();
  return Number(response.headers.get("retry-after") ?? 0);
}

interface Sums {
  readonly ok: number;
  readonly input: number;
  readonly output: number;
}

/** The sums of the log lines of all ended tasks. */
function sumOfLines(gateways: readonly Program[]): Sums {
  let [ok, input, output] = [0, 0, 0];
  for (const line of gateways.flatMap(({ lines }) => lines)) {
    if (!line.includes('"message":"request"')) continue;
    const {
      code,
      promptTokens = 0,
      completionTokens = 0,
    } = JSON.parse(line) as Record<string, number | string>;
    if (code === "ok") ok += 1;
    input += Number(promptTokens);
    output += Number(completionTokens);
  }
  return { ok, input, output };
}

/** The usage of a tenant: once two readings agree and have at least `least` answers, or 20 s later. */
async function settledUsage(fleet: Fleet, tenant: string, least: number): Promise<Sums> {
  let before = "";
  let sums: Sums = { ok: 0, input: 0, output: 0 };
  const read = async (): Promise<boolean> => {
    const { total } = await reportUsage(openStores(fleet.probe, fleet.keys), { tenant, from: "yesterday" });
    sums = { ok: total.requests - total.errors, input: total.inputTokens, output: total.outputTokens };
    const same = JSON.stringify(sums) === before;
    before = JSON.stringify(sums);
    return same && sums.ok >= least;
  };
  // A sum that stays too low is a finding: the claims judge it.
  await until("the usage", read, 20_000).catch(() => undefined);
  return sums;
}

/** The part of the bench. */
export const USAGE: Part = {
  name: "l5",
  title: "usage while Redis is killed twice",
  measure: async ({ quick }) => measureUsage(quick ? QUICK_REQUESTS : REQUESTS),
};
