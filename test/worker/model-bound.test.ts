import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Backend } from "../../src/backends/backend.ts";
import { BLANK_CARD } from "../../src/core/announcement.ts";
import type { ModelCard } from "../../src/core/model.ts";
import { Keys } from "../../src/redis/keys.ts";
import { openStores } from "../../src/redis/stores.ts";
import { boundState, MOST_CARD_BYTES, MOST_MODELS } from "../../src/worker/model-bound.ts";
import { WorkerAnnouncer } from "../../src/worker/announcer.ts";
import { HealthMonitor } from "../../src/worker/health-monitor.ts";
import { QueueGroups } from "../../src/worker/queue-groups.ts";
import { systemAmbient } from "../../src/core/ambient.ts";
import { BackendSlots } from "../../src/worker/backend-slots.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";

function cards(count: number, more: (index: number) => Partial<ModelCard> = () => ({})): ModelCard[] {
  return Array.from({ length: count }, (_, index) => {
    const name = `m${index}`;
    return { ...BLANK_CARD, key: name, name, ...more(index) };
  });
}

function backendSlotsOf(name: string, models: readonly ModelCard[]): BackendSlots {
  const backend: Backend = {
    name,
    kind: "openai",
    url: "",
    inspect: () => Promise.resolve({ models, slots: 1 }),
    run: () => Promise.reject(new Error("nothing was to be run")),
    close: () => Promise.resolve(),
  };
  return new BackendSlots(backend, 1);
}

describe("a backend that lists very many models", () => {
  let rig: RedisRig;
  let monitor: HealthMonitor | undefined;
  let announcer: WorkerAnnouncer | undefined;
  before(async () => {
    rig = await openRedisRig();
  });
  after(async () => {
    monitor?.stop();
    await announcer?.stop();
    await rig.close();
  });

  it("shuts out neither its neighbours nor itself, and is named", async () => {
    const warnings: [string, unknown][] = [];
    const keys = new Keys("bound");
    const allBackendSlots = [
      backendSlotsOf("many", cards(100_000)),
      backendSlotsOf(
        "small",
        cards(1, () => ({ key: "s", name: "s" })),
      ),
    ];
    const quiet = { info() {}, debug() {}, error() {}, with: () => quiet };
    const log = {
      ...quiet,
      warn: (text: string, fields: unknown) => void warnings.push([text, fields]),
      with: () => log,
    };
    const { connection } = rig;
    const stores = openStores(connection, keys);
    const ambient = systemAmbient;
    const metrics = { loaded() {}, circuitChanged() {}, redisAnswered() {} };
    const about = { worker: "w1", version: "1", startupMs: 0 };
    announcer = new WorkerAnnouncer({ stores, ...about, allBackendSlots, metrics, ambient });
    const groups = new QueueGroups(stores);
    monitor = new HealthMonitor({ connection, log, allBackendSlots, announcer, groups, metrics, ambient });
    for (const backendSlots of allBackendSlots) await monitor.check(backendSlots);
    for (const backendSlots of allBackendSlots) await monitor.check(backendSlots);
    await announcer.announce(true);
    const [worker] = await stores.registry.listWorkers();
    const counts = worker?.backends.map(({ name, models }) => [name, models.length]);
    assert.deepEqual(counts, [
      ["many", MOST_MODELS],
      ["small", 1],
    ]);
    const fields = {
      backend: "many",
      served: MOST_MODELS,
      leftOut: 100_000 - MOST_MODELS,
      first: `m${MOST_MODELS}`,
    };
    assert.deepEqual(warnings, [
      ["backend lists more models than are served: the last ones are left out", fields],
    ]);
  });

  it("has no more than a thousand ability queues: the last models lose theirs", () => {
    const laned = cards(1200, (index) => (index % 2 === 0 ? { endpoints: ["a", "b"] } : {}));
    const { models } = boundState({ models: laned, slots: 1 }, 1).state;
    assert.equal(models.length, 1200);
    assert.equal(models.flatMap(({ endpoints = [] }) => endpoints).length, 1000);
    assert.deepEqual([models[998]?.endpoints, models[1000]?.endpoints], [["a", "b"], undefined]);
  });

  it("keeps what is in memory, wherever it is listed", () => {
    const { state, left } = boundState(
      { models: cards(5000, (index) => ({ resident: index === 4999 })), slots: 1 },
      1,
    );
    assert.equal(state.models.length, MOST_MODELS);
    assert.equal(state.models.at(-1)?.name, "m4999");
    assert.equal(left.length, 5000 - MOST_MODELS);
  });

  it("is bounded by bytes too, by those of texts, and by those of all of its worker", () => {
    const long = {
      name: "x".repeat(600),
      family: "f".repeat(1e6),
      capabilities: Array.from({ length: 1e5 }, () => "tools"),
    };
    const models = cards(3000, (index) => ({ ...long, key: `k${index}` }));
    for (const backends of [1, 100]) {
      const { state, left } = boundState({ models, slots: 1 }, backends);
      const bytes = Buffer.byteLength(JSON.stringify(state.models));
      assert.ok(
        bytes <= Math.min(MOST_CARD_BYTES, (8 * MOST_CARD_BYTES) / backends) + state.models.length,
        `${bytes}`,
      );
      assert.ok(state.models.length > 10);
      assert.equal(state.models.length + left.length, 3000);
    }
  });
});
