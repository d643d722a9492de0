import assert from "node:assert/strict";
import { RedisCluster } from "../rig/redis/redis-cluster.ts";
import { SwappingOllama } from "../rig/backends/swapping-ollama.ts";
import type { SwappingOptions } from "../rig/backends/swapping-ollama.ts";
import { journey } from "../rig/fleet/fleet.ts";
import type { Fleet, FleetPlan } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";

/** Quick, and of the same proportions as a server that loads in a second. */
const SHAPE = { places: 1, loadMs: 200, answerMs: 50, parallel: 4 };
const WAIT_MS = 800;
const RESIDENCY_MS = 400;
/** Patience that a busy machine does not take for a delay of its own. */
const PATIENT = { SGNET_SWAP_WAIT_MS: "6000", SGNET_SWAP_RESIDENCY_MS: "3000" };
const ENV = { SGNET_SWAP_WAIT_MS: String(WAIT_MS), SGNET_SWAP_RESIDENCY_MS: String(RESIDENCY_MS) };

interface Scene {
  readonly ollama: SwappingOllama;
  /** The longest of all waits for an answer so far, by model; ms. */
  readonly longest: Map<string, number>;
  ask(model: string, more?: object): Promise<void>;
  /** So many clients ask again and again, until the signal. */
  clients(model: string, count: number, signal: AbortSignal): Promise<void>;
}

async function sceneOf(
  fleet: Fleet,
  options: SwappingOptions,
  env: Readonly<Record<string, string>> = ENV,
): Promise<Scene> {
  const ollama = await SwappingOllama.start(options);
  await fleet.addBareWorker({ SGNET_BACKENDS: `ollama+${ollama.url}`, SGNET_SLOTS: "4", ...env });
  for (const model of options.models) await fleet.known(model);
  const longest = new Map<string, number>();
  const ask = async (model: string, more: object = {}): Promise<void> => {
    const from = performance.now();
    const body = JSON.stringify({ model, messages: [{ role: "user", content: "say yes" }], ...more });
    const reply = await fetch(`${fleet.gateway.url}/api/chat`, { method: "POST", body });
    assert.equal(reply.status, 200, await reply.clone().text());
    await reply.text();
    longest.set(model, Math.max(longest.get(model) ?? 0, performance.now() - from));
  };
  const clients = async (model: string, count: number, signal: AbortSignal): Promise<void> => {
    const client = async (): Promise<void> => {
      while (!signal.aborted) await ask(model);
    };
    await Promise.all(Array.from({ length: count }, client));
  };
  return { ollama, longest, ask, clients };
}

function total(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

const PLANS: Readonly<Record<string, FleetPlan>> = {
  "": { posts: [] },
  ", in a Redis Cluster": { posts: [], redis: (dir) => RedisCluster.start(dir) },
};

for (const [where, plan] of Object.entries(PLANS)) {
  journey(
    `two models of a server that holds one are not thrown in and out${where}`,
    plan,
    async (fleet, t) => {
      const scene = await sceneOf(fleet, { ...SHAPE, models: ["red", "blue"] });
      t.after(() => scene.ollama.stop());
      const over = AbortSignal.timeout(6000);
      await Promise.all(["red", "blue"].map((model) => scene.clients(model, 12, over)));
      const { loads, answers } = scene.ollama;
      t.diagnostic(
        `${total(answers)} answers, ${loads.length} loads, waits ${JSON.stringify([...scene.longest])}`,
      );
      // One swap each 0.8 s or so; without a choice 25 to 47 loads and 53 to 73 answers.
      assert.ok(loads.length <= 12, `${loads.length} loads`);
      assert.ok(total(answers) >= 130, `${total(answers)} answers`);
      const bound = WAIT_MS + (RESIDENCY_MS + SHAPE.loadMs) * 2;
      for (const [model, wait] of scene.longest) assert.ok(wait < bound + 500, `${model} waited ${wait} ms`);
    },
  );
}

journey(
  "a model of an idle server is loaded at once, whatever was loaded before",
  { posts: [] },
  async (fleet, t) => {
    const scene = await sceneOf(fleet, { ...SHAPE, models: ["red", "blue", "green"] }, PATIENT);
    t.after(() => scene.ollama.stop());
    for (const model of ["red", "blue", "green", "red"]) {
      const from = performance.now();
      await scene.ask(model);
      const took = performance.now() - from;
      assert.ok(took < 2000, `${model} took ${took} ms`);
    }
    assert.deepEqual(scene.ollama.loads, ["red", "blue", "green", "red"]);
  },
);

journey("a rare model beside a busy one waits no longer than its bound", { posts: [] }, async (fleet, t) => {
  const scene = await sceneOf(fleet, { ...SHAPE, models: ["busy", "rare"] });
  t.after(() => scene.ollama.stop());
  const over = new AbortController();
  const busy = scene.clients("busy", 12, over.signal);
  const served = (): number => scene.ollama.answers.get("busy") ?? 0;
  for (let n = 0; n < 3; n += 1) {
    const before = served();
    await until("the busy model", () => served() > before + 8);
    await scene.ask("rare");
  }
  over.abort();
  await busy;
  const bound = WAIT_MS + RESIDENCY_MS + SHAPE.loadMs;
  const wait = scene.longest.get("rare") ?? 0;
  t.diagnostic(`${wait} ms, loads ${scene.ollama.loads.join(" ")}`);
  assert.ok(wait < bound + 200, `it waited ${wait} ms`);
  assert.equal(scene.ollama.loads.filter((model) => model === "rare").length, 3);
});

journey(
  "models that fit beside each other stay loaded, once that is known",
  { posts: [] },
  async (fleet, t) => {
    const scene = await sceneOf(fleet, { ...SHAPE, places: 2, models: ["red", "blue"] });
    t.after(() => scene.ollama.stop());
    const over = AbortSignal.timeout(4000);
    await Promise.all(["red", "blue"].map((model) => scene.clients(model, 6, over)));
    t.diagnostic(`${total(scene.ollama.answers)} answers, waits ${JSON.stringify([...scene.longest])}`);
    assert.deepEqual(scene.ollama.loads.toSorted(), ["blue", "red"]);
    for (const count of scene.ollama.answers.values()) assert.ok(count > 60, `${count} answers`);
  },
);

journey("two servers that share two models do not both throw theirs out", { posts: [] }, async (fleet, t) => {
  const shape = { ...SHAPE, models: ["red", "blue"] };
  const scene = await sceneOf(fleet, shape);
  const other = await SwappingOllama.start(shape);
  t.after(async () => Promise.all([scene.ollama.stop(), other.stop()]));
  await scene.ask("red");
  await fleet.addBareWorker({ SGNET_BACKENDS: `ollama+${other.url}`, SGNET_SLOTS: "4", ...ENV });
  await fleet.workers(2);
  const over = AbortSignal.timeout(6000);
  // Each model has more clients than one server answers within the bound.
  await Promise.all(["red", "blue"].map((model) => scene.clients(model, 90, over)));
  const loads = [...scene.ollama.loads, "|", ...other.loads];
  t.diagnostic(`${loads.join(" ")}; waits ${JSON.stringify([...scene.longest])}`);
  assert.ok(loads.length <= 6, loads.join(" "));
});

journey(
  "a model that does not load does not keep its neighbour from its work",
  { posts: [] },
  async (fleet, t) => {
    const broken = new Set(["bad"]);
    const scene = await sceneOf(fleet, { ...SHAPE, models: ["good", "bad"], broken });
    t.after(() => scene.ollama.stop());
    const over = new AbortController();
    const good = scene.clients("good", 8, over.signal);
    await until("the good model", () => (scene.ollama.answers.get("good") ?? 0) > 8);
    const body = JSON.stringify({ model: "bad", messages: [{ role: "user", content: "say yes" }] });
    const replies = await Promise.all(
      Array.from({ length: 3 }, () => fetch(`${fleet.gateway.url}/api/chat`, { method: "POST", body })),
    );
    const served = scene.ollama.answers.get("good") ?? 0;
    await until("the good model again", () => (scene.ollama.answers.get("good") ?? 0) > served + 20);
    over.abort();
    await good;
    assert.deepEqual(
      replies.map(({ status }) => status),
      [500, 500, 500],
    );
    t.diagnostic(scene.ollama.loads.join(" "));
    assert.ok(
      scene.ollama.loads.filter((model) => model === "bad").length <= 6,
      scene.ollama.loads.join(" "),
    );
  },
);

journey("a server that was started anew gets tasks as before", { posts: [] }, async (fleet, t) => {
  const scene = await sceneOf(fleet, { ...SHAPE, models: ["red", "blue"] });
  t.after(() => scene.ollama.stop());
  await scene.ask("red");
  scene.ollama.forget();
  await Promise.all([scene.ask("red"), scene.ask("red"), scene.ask("blue")]);
  assert.ok(scene.ollama.loads.length <= 4, scene.ollama.loads.join(" "));
});

journey("clients with contexts of their own share a loaded model", { posts: [] }, async (fleet, t) => {
  const scene = await sceneOf(fleet, { ...SHAPE, models: ["red"] });
  t.after(() => scene.ollama.stop());
  const asked = [4096, 8192, undefined, 4096, 8192, undefined, 2000];
  for (const size of asked) {
    const more = size === undefined ? {} : { options: { num_ctx: size, temperature: 0 } };
    await Promise.all([scene.ask("red", more), scene.ask("red", more)]);
  }
  const sent = scene.ollama.asked.map(
    ({ options }) => (options as { num_ctx?: number } | undefined)?.num_ctx,
  );
  assert.deepEqual(scene.ollama.loads, ["red", "red"], `it was sent ${sent.join(" ")}`);
  const chat = { model: "red", messages: [{ role: "user", content: "say yes" }], stream: false };
  const reply = await fetch(`${fleet.gateway.url}/api/chat`, {
    method: "POST",
    body: JSON.stringify({ ...chat, options: { num_ctx: 5 }, keep_alive: "1s" }),
  });
  await reply.text();
  assert.equal(reply.headers.get("x-sgnet-dropped"), "num_ctx, keep_alive");
  assert.deepEqual(scene.ollama.asked.at(-1)?.["keep_alive"], 300);
  const completion = await fetch(`${fleet.gateway.url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify(chat),
  });
  assert.equal(completion.status, 200, await completion.text());
  assert.deepEqual(scene.ollama.loads, ["red", "red"], "other dialects are fitted, too");
});

journey(
  "a model is unloaded for an admin, and stays for others",
  { posts: [], env: { SGNET_ADMIN_KEY: "chief" } },
  async (fleet, t) => {
    const scene = await sceneOf(fleet, { ...SHAPE, models: ["red"] });
    t.after(() => scene.ollama.stop());
    await scene.ask("red");
    const unload = async (headers: Record<string, string>): Promise<unknown> => {
      const body = JSON.stringify({ model: "red", keep_alive: 0, stream: false });
      const reply = await fetch(`${fleet.gateway.url}/api/generate`, { method: "POST", body, headers });
      return ((await reply.json()) as { done_reason?: string }).done_reason;
    };
    assert.equal(await unload({}), "unload");
    assert.equal(await unload({ authorization: "Bearer other" }), "unload");
    assert.equal(scene.ollama.asked.length, 1, "its server was not asked");
    await unload({ authorization: "Bearer chief" });
    assert.equal(scene.ollama.asked.at(-1)?.["keep_alive"], 0);
  },
);

journey(
  "a request that is cancelled while its model loads leaves nothing behind",
  { posts: [] },
  async (fleet, t) => {
    const scene = await sceneOf(fleet, { ...SHAPE, models: ["red", "blue"] });
    t.after(() => scene.ollama.stop());
    await scene.ask("red");
    const gone = new AbortController();
    const body = JSON.stringify({ model: "blue", messages: [{ role: "user", content: "say yes" }] });
    const left = fetch(`${fleet.gateway.url}/api/chat`, { method: "POST", body, signal: gone.signal });
    await until("a load", () => scene.ollama.loads.includes("blue"));
    gone.abort();
    await assert.rejects(left);
    await scene.ask("red");
    await scene.ask("blue");
  },
);
