/**
 * Measures rate limits: four gateways' slices in one process, on one real Redis, with one key. It prints what was
 * offered and admitted, and the most in any window. It also prints the calls to Redis, their time there, and own time.
 *
 *   node bench/sharing/rates.ts [--seconds 60]
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { KeyLimits } from "../../src/core/access/key-limits.ts";
import { burstOf } from "../../src/core/access/key-limits.ts";
import type { Principal } from "../../src/core/access/principal.ts";
import { RateSlices } from "../../src/gateway/access/rate-slices.ts";
import { startRedis } from "../../src/local-redis/redis-child.ts";
import { RateLimits } from "../../src/redis/access/rate-limits.ts";
import type { UnitRequest } from "../../src/redis/access/rate-limits.ts";
import { connect } from "../../src/redis/connection/connect.ts";
import type { Connection } from "../../src/redis/connection/connection.ts";
import { Keys } from "../../src/redis/keys.ts";

interface Case {
  readonly name: string;
  readonly limits: KeyLimits;
  /** Requests per minute as a part of the limit. */
  readonly offered: number;
  /** Tokens of each request. */
  readonly tokens?: number;
}

const CASES: readonly Case[] = [
  { name: "6,000/min, 250 %", limits: { rpm: 6000 }, offered: 2.5 },
  { name: "6,000/min, 90 %", limits: { rpm: 6000 }, offered: 0.9 },
  { name: "60/min, 250 %", limits: { rpm: 60 }, offered: 2.5 },
  { name: "60,000/min, 250 %", limits: { rpm: 60_000 }, offered: 2.5 },
  {
    name: "6,000/min and tokens, 90 %",
    limits: { rpm: 6000, itpm: 3e6, otpm: 3e6 },
    offered: 0.9,
    tokens: 500,
  },
];

/** Gateways of ten requests: 70, 10, 10 and 10 %. */
const SPLIT = [0, 0, 1, 0, 0, 2, 0, 0, 3, 0];

interface Rig {
  readonly connection: Connection;
  readonly keys: Keys;
}

interface Result {
  readonly offered: number;
  readonly admitted: readonly number[];
  readonly calls: number;
  readonly seconds: number;
  /** Microseconds of Redis per call. */
  readonly redisMicros: number;
  /** Microseconds of this process per request. */
  readonly ownMicros: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { seconds: { type: "string", default: "60" } } });
  const dir = await mkdtemp(join(tmpdir(), "sgnet-rates-"));
  const redis = await startRedis({ dir, persistent: false });
  const connection = await connect(redis.url, "bench");
  console.log(
    "| case | offered | admitted | of what may be | most in a window | calls/s | us of Redis per call | us here per request |",
  );
  console.log("| - | - | - | - | - | - | - | - |");
  try {
    for (const limits of [1, 3, 6]) await timeLeases(connection, limits);
    await timeCharges();
    for (const each of CASES) {
      const result = await run({ connection, keys: new Keys("bench") }, each, Number(values.seconds));
      console.log(rowOf(each, result));
    }
  } finally {
    connection.close();
    await redis.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

/** Prints the time of calls in Redis that come one after the other, each of so many limits. */
async function timeLeases(connection: Connection, count: number): Promise<void> {
  const rates = new RateLimits(connection, new Keys("lease"));
  const limit = { perMinute: 6e6, burst: 1e6, need: 1, want: 10, holdMs: 500, settle: -1 };
  const requests = Array.from({ length: count }, (_none, index) => ({ ...limit, field: `k:${index}` }));
  await rates.lease("t", requests);
  await connection.command("CONFIG", "RESETSTAT");
  for (let round = 0; round < 200; round += 1) {
    await Promise.all(Array.from({ length: 100 }, async () => rates.lease("t", requests)));
  }
  console.error(`a LEASE of ${count} limits: ${(await microsPerCall(connection)).toFixed(1)} us of Redis`);
}

/** Prints the time of a charge that its slices cover, and of its settlement. */
async function timeCharges(): Promise<void> {
  const rates = {
    ready: true,
    lease: async (_tenant: string, requests: readonly UnitRequest[]) =>
      requests.map(({ want }) => ({ granted: want, lack: 0 })),
  };
  for (const limits of [{}, { rpm: 6e9 }, { rpm: 6e9, itpm: 6e12, otpm: 6e12 }]) {
    const slices = new RateSlices({ rates, mono: () => performance.now(), onCall: () => {} });
    const request = { principal: principalOf("t", limits), model: "m", inputTokens: 1, outputTokens: 1 };
    const count = 1_000_000;
    const from = performance.now();
    let waited = 0;
    for (let n = 0; n < count; n += 1) {
      const charge = slices.charge(request);
      if (charge instanceof Promise) {
        waited += 1;
        (await charge).settle(undefined);
      } else charge?.settle(undefined);
    }
    const micros = ((performance.now() - from) * 1000) / count;
    console.error(
      `a charge of ${Object.keys(limits).length} limits: ${micros.toFixed(2)} us, ${waited} waited`,
    );
  }
}

async function run(rig: Rig, { limits, offered, tokens = 0, name }: Case, seconds: number): Promise<Result> {
  let calls = 0;
  const host = {
    rates: new RateLimits(rig.connection, rig.keys),
    mono: () => performance.now(),
    onCall: () => (calls += 1),
  };
  const gateways = Array.from({ length: 4 }, () => new RateSlices(host));
  await rig.connection.command("CONFIG", "RESETSTAT");
  const admitted: number[] = [];
  const principal = principalOf(`t${CASES.findIndex((one) => one.name === name)}`, limits);
  const ask = async (gateway: RateSlices): Promise<void> => {
    const request = { principal, model: "m", inputTokens: tokens, outputTokens: tokens };
    try {
      const charge = await gateway.charge(request);
      admitted.push(performance.now());
      charge?.settle({ promptTokens: tokens, completionTokens: tokens });
    } catch {
      // It was refused.
    }
  };
  const perMs = (offered * (limits.rpm ?? 0)) / 60_000;
  const from = performance.now();
  const cpu = process.cpuUsage();
  let asked = 0;
  while (performance.now() - from < seconds * 1000) {
    for (const due = (performance.now() - from) * perMs; asked < due; asked += 1) {
      const gateway = gateways[SPLIT[asked % SPLIT.length] ?? 0];
      if (gateway !== undefined) void ask(gateway);
    }
    await new Promise((resolve) => setTimeout(resolve, 1)); // the pace of the offered load
  }
  const { user, system } = process.cpuUsage(cpu);
  const elapsed = (performance.now() - from) / 1000;
  for (const gateway of gateways) await gateway.stop();
  const redisMicros = await microsPerCall(rig.connection);
  return {
    offered: asked,
    admitted,
    calls,
    seconds: elapsed,
    redisMicros,
    ownMicros: (user + system) / asked,
  };
}

function principalOf(tenant: string, limits: KeyLimits): Principal {
  const record = { id: "kbench", name: "bench", tenant, digest: "", hint: "", models: ["*"], created: 0 };
  return { role: "client", key: { ...record, role: "client", ...limits } };
}

async function microsPerCall(connection: Connection): Promise<number> {
  const stats = String(await connection.command("INFO", "commandstats"));
  let [calls, micros] = [0, 0];
  for (const [, name = "", count, spent] of stats.matchAll(/cmdstat_(\w+):calls=(\d+),usec=(\d+)/g)) {
    if (!name.startsWith("eval")) continue;
    calls += Number(count);
    micros += Number(spent);
  }
  return micros / calls;
}

function rowOf(
  { name, limits }: Case,
  { offered, admitted, calls, seconds, redisMicros, ownMicros }: Result,
): string {
  const { rpm = 0 } = limits;
  const may = burstOf(limits, "rpm") + (rpm * seconds) / 60;
  const window = Math.min(60, seconds);
  const most = mostWithin(admitted, window * 1000);
  const bound = burstOf(limits, "rpm") + (rpm * window) / 60;
  const part = ((100 * admitted.length) / Math.min(offered, may)).toFixed(1);
  return `| ${[
    name,
    offered,
    admitted.length,
    `${part} % of ${Math.floor(Math.min(offered, may))}`,
    `${most} of ${Math.floor(bound)} in ${window.toFixed(0)} s`,
    (calls / seconds).toFixed(0),
    redisMicros.toFixed(1),
    ownMicros.toFixed(1),
  ].join(" | ")} |`;
}

function mostWithin(times: readonly number[], spanMs: number): number {
  let [most, first] = [0, 0];
  for (const [index, time] of times.entries()) {
    for (; (times[first] ?? time) < time - spanMs; first += 1);
    most = Math.max(most, index - first + 1);
  }
  return most;
}

await main();
