import assert from "node:assert/strict";
import { SwappingOllama } from "../swapping-ollama.ts";
import type { SwappingOptions } from "../swapping-ollama.ts";
import { journey } from "./fleet.ts";
import type { Fleet } from "./fleet.ts";
import { until } from "./until.ts";

/** Quick, and of the same proportions as a server that loads in a second. */
const SHAPE = { places: 1, loadMs: 200, answerMs: 50, parallel: 4 };
const WAIT_MS = 800;
const RESIDENCY_MS = 400;
const ENV = { SGNET_SWAP_WAIT_MS: String(WAIT_MS), SGNET_SWAP_RESIDENCY_MS: String(RESIDENCY_MS) };

interface Scene {
  readonly ollama: SwappingOllama;
  /** The longest of all waits for an answer so far, by model; ms. */
  readonly longest: Map<string, number>;
  ask(model: string): Promise<void>;
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
  const ask = async (model: string): Promise<void> => {
    const from = performance.now();
    const body = JSON.stringify({ model, messages: [{ role: "user", content: "say yes" }] });
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

journey(
  "two models of a server that holds one are not thrown in and out",
  { posts: [] },
  async (fleet, t) => {
    const scene = await sceneOf(fleet, { ...SHAPE, models: ["red", "blue"] });
    t.after(() => scene.ollama.stop());
    const over = AbortSignal.timeout(6000);
    await Promise.all(["red", "blue"].map((model) => scene.clients(model, 12, over)));
    const { loads, answers } = scene.ollama;
    // One swap each 1 s or so; without a choice there are twice as many, and half the answers.
    t.diagnostic(
      `${total(answers)} answers, ${loads.length} loads, waits ${JSON.stringify([...scene.longest])}`,
    );
    assert.ok(loads.length <= 10, `${loads.length} loads`);
    assert.ok(total(answers) >= 200, `${total(answers)} answers`);
    const bound = WAIT_MS + (RESIDENCY_MS + SHAPE.loadMs) * 2;
    for (const [model, wait] of scene.longest) assert.ok(wait < bound + 500, `${model} waited ${wait} ms`);
  },
);

journey(
  "a model of an idle server is loaded at once, whatever was loaded before",
  { posts: [] },
  async (fleet, t) => {
    const scene = await sceneOf(fleet, { ...SHAPE, models: ["red", "blue", "green"] });
    t.after(() => scene.ollama.stop());
    for (const model of ["red", "blue", "green", "red"]) {
      const from = performance.now();
      await scene.ask(model);
      const took = performance.now() - from;
      assert.ok(took < SHAPE.loadMs + SHAPE.answerMs + 200, `${model} took ${took} ms`);
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
