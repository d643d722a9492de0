import assert from "node:assert/strict";
import { runCommand } from "../rig/command.ts";
import type { Refusal } from "../rig/backends/stand-in.ts";
import { type Fleet, journey, MODEL } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";

/** Blame: a failure that one client causes is never a backend's, and no backend stays shut for nothing. */

const KEYS = { SGNET_API_KEY: "first-key,second-key" };
const POISON = "POISON";
const BROKEN: Refusal = { status: 500, message: "the runner has terminated" };

/** Long enough for one that should not wait, on a loaded machine. */
const AT_ONCE_MS = 2500;

interface Asking {
  readonly key?: string;
  readonly prompt?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function ask(
  fleet: Fleet,
  { key = "first-key", prompt = "hi", headers = {} }: Asking = {},
): Promise<number> {
  const response = await fetch(`${fleet.gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}`, ...headers },
    body: JSON.stringify({
      model: MODEL,
      stream: true,
      max_tokens: 3,
      messages: [{ role: "user", content: prompt }],
    }),
  });
  await response.text();
  return response.status;
}

/** One after the other. */
async function askTimes(fleet: Fleet, times: number, asking: Asking): Promise<readonly number[]> {
  const statuses: number[] = [];
  for (let n = 0; n < times; n += 1) statuses.push(await ask(fleet, asking));
  return statuses;
}

async function assertServedAtOnce(fleet: Fleet, asking: Asking): Promise<void> {
  const from = performance.now();
  assert.equal(await ask(fleet, asking), 200);
  const ms = performance.now() - from;
  assert.ok(ms < AT_ONCE_MS, `another client waited ${Math.round(ms)} ms`);
}

function refusePoison(body: Record<string, unknown>): Refusal | undefined {
  return JSON.stringify(body).includes(POISON) ? BROKEN : undefined;
}

async function circuitOf(fleet: Fleet): Promise<number> {
  const page = await (await fetch(`${fleet.gateway.url}/metrics/fleet`)).text();
  const values = page.matchAll(/^sgnet_model_circuit\{.*\} (\S+)$/gm);
  return Math.max(...Array.from(values, ([, value]) => Number(value)));
}

const CIRCUIT = /fails again and again/;

journey(
  "a client's own short timeout is its own affair: no circuit opens, nothing runs twice, others are served at once",
  { posts: [{ slots: 4 }, { slots: 4 }], env: KEYS },
  async (fleet) => {
    const standIns = fleet.posts.map(({ standIn }) => standIn);
    for (const { behaviour } of standIns) behaviour.firstTokenMs = 1500;
    const headers = { "x-sgnet-timeouts": "first-token=100" };
    const statuses = await Promise.all(Array.from({ length: 10 }, () => ask(fleet, { headers })));
    assert.deepEqual(new Set(statuses), new Set([504]));
    assert.equal(standIns.flatMap(({ requests }) => requests).length, 10, "each ran once");
    for (const { behaviour } of standIns) behaviour.firstTokenMs = 0;
    await assertServedAtOnce(fleet, { key: "second-key" });
    assert.doesNotMatch(fleet.story, CIRCUIT);
    assert.match(fleet.story, /"message":"attempt failed".*"cause":"client"/);
  },
);

journey(
  "one client's requests that break every backend open no circuit, and others are served at once",
  { posts: [{ slots: 4 }, { slots: 4 }], env: KEYS },
  async (fleet) => {
    for (const { standIn } of fleet.posts) standIn.behaviour.refuseIf = refusePoison;
    const statuses = await askTimes(fleet, 14, { prompt: POISON });
    assert.deepEqual(new Set(statuses), new Set([500]));
    await assertServedAtOnce(fleet, { key: "second-key" });
    assert.doesNotMatch(fleet.story, CIRCUIT);
    assert.match(fleet.story, /"message":"request".*"cause":"request"/, "two backends failed with it");
  },
);

journey(
  "the only backend goes on serving others while it answers 500 to one client",
  { posts: [{ slots: 4 }], env: KEYS },
  async (fleet) => {
    const { standIn, worker } = fleet.post(0);
    standIn.behaviour.refuseIf = refusePoison;
    await askTimes(fleet, 12, { prompt: POISON });
    await assertServedAtOnce(fleet, { key: "second-key" });
    assert.doesNotMatch(worker.story, CIRCUIT);
    assert.match(worker.story, /the worker asked the backend itself.*"answer":"works"/);
  },
);

journey(
  "a backend that is broken for everybody is found out with a single client, and its circuit closes without traffic",
  { posts: [{ slots: 4 }, { slots: 4 }] },
  async (fleet) => {
    const { standIn } = fleet.post(0);
    standIn.behaviour.refuse = BROKEN;
    await until("a circuit that is not closed", async () => {
      await ask(fleet);
      return (await circuitOf(fleet)) > 0;
    });
    assert.equal(await ask(fleet), 200);
    standIn.behaviour.refuse = undefined;
    const from = performance.now();
    await until("a closed circuit", async () => (await circuitOf(fleet)) === 0);
    const ms = performance.now() - from;
    assert.ok(ms < 25_000, `it took ${Math.round(ms)} ms`);
    assert.match(fleet.post(0).worker.story, /serves the model as it should again/);
  },
);

journey(
  "never are all backends of a model shut out: with all of them broken, the first that is mended serves at once",
  { posts: [{ slots: 4 }, { slots: 4 }] },
  async (fleet) => {
    for (const { standIn } of fleet.posts) standIn.behaviour.refuse = BROKEN;
    await until("both known to be broken", async () => {
      await ask(fleet);
      return fleet.posts.every(({ worker }) => CIRCUIT.test(worker.story));
    });
    const last = fleet.posts.find(({ worker }) => /too few others have the model/.test(worker.story));
    assert.ok(last !== undefined, "one of them is paced");
    last.standIn.behaviour.refuse = undefined;
    const from = performance.now();
    await until("an answer", async () => (await ask(fleet)) === 200);
    assert.ok(performance.now() - from < 6000);
  },
);

journey(
  "a request that ran twice tells of both attempts: in its trace, its log line and its worker's lines",
  { posts: [{ slots: 4 }, { slots: 4 }] },
  async (fleet) => {
    const [bad, good] = fleet.posts;
    assert.ok(bad !== undefined && good !== undefined);
    bad.standIn.behaviour.refuse = BROKEN;
    let id = "";
    await until("a request that met the broken one first", async () => {
      id = `mine-${Math.random().toString(36).slice(2)}`;
      assert.equal(await ask(fleet, { headers: { "x-request-id": id } }), 200);
      return bad.worker.story.includes(id);
    });
    const trace = await until("its trace", async () => {
      const told = await runCommand(["trace", id], {
        cwd: import.meta.dirname,
        env: { REDIS_URL: fleet.redisUrl },
      });
      return told.code === 0 && told.stdout;
    });
    const { port } = bad.standIn;
    assert.match(
      trace,
      new RegExp(
        String.raw`attempt 1 +backend_error, status 500, cause backend: w[0-9a-f]{12} on ollama@127\.0\.0\.1:${port}, after`,
      ),
    );
    assert.match(trace, /worker +w[0-9a-f]{12}, in attempt 2\n/);
    assert.match(trace, new RegExp(String.raw`backend +ollama@127\.0\.0\.1:${good.standIn.port}\n`));
    const line = fleet.gateway.story.split("\n").find((one) => one.includes(id)) ?? "";
    assert.match(line, /"attempt":2/);
    assert.match(line, /"tries":"w[0-9a-f]{12} ollama@127\.0\.0\.1:\d+ backend_error backend"/);
    assert.doesNotMatch(trace, /runner has terminated/, "no words of a backend");
  },
);
