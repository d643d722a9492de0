import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import type { BackendAnnouncement, CircuitState, WorkerAnnouncement } from "../../src/core/fleet.ts";
import { viewFleet } from "../../src/gateway/monitor/fleet-view.ts";
import { Catalogue } from "../../src/gateway/fleet/catalogue.ts";
import { readRedis } from "../../src/redis/connection/server.ts";
import { renderFleetMetrics } from "../../src/telemetry/fleet-metrics.ts";
import { openRedisRig, type RedisRig } from "../rig/redis/redis-rig.ts";
import { FleetReader } from "../../src/redis/inspect/fleet-reader.ts";
import { announcementOf } from "../../src/worker/backend-announcement.ts";
import { idleBackendSlots } from "../worker/idle-backend.ts";
import { openStores } from "../../src/redis/stores.ts";

let redis: RedisRig;

before(async () => {
  redis = await openRedisRig();
});
after(async () => {
  await redis.close();
});

const NOW = Date.now();

interface Plan {
  readonly draining?: boolean;
  readonly backends: readonly Partial<BackendAnnouncement>[];
}

function gated(state: CircuitState): Partial<BackendAnnouncement> {
  return { gates: [{ model: "tiny", state }] };
}

/** Workers and slots of the model `tiny` in each fleet. A backend has 4 slots. */
const FLEETS: readonly (readonly [name: string, workers: number, slots: number, plans: readonly Plan[]])[] = [
  ["one that serves", 1, 4, [{ backends: [{}] }]],
  ["a drained worker", 0, 0, [{ draining: true, backends: [{}] }]],
  ["a drained worker beside one that serves", 1, 4, [{ draining: true, backends: [{}] }, { backends: [{}] }]],
  ["a backend that is down and still listed with its models", 0, 0, [{ backends: [{ healthy: false }] }]],
  ["an open circuit", 0, 0, [{ backends: [gated("open")] }]],
  ["an open circuit beside one that serves", 1, 4, [{ backends: [gated("open"), {}] }]],
  ["a probe", 1, 1, [{ backends: [gated("half-open")] }]],
  ["a paced backend", 1, 1, [{ backends: [gated("paced")] }]],
  ["a busy backend", 1, 4, [{ backends: [gated("busy")] }]],
  ["a worker that has not found a backend", 0, 0, [{ backends: [] }]],
];

function backendOf(name: string, more: Partial<BackendAnnouncement>): BackendAnnouncement {
  return { ...announcementOf(idleBackendSlots(4)), name, healthy: true, ...more };
}

async function announce(plans: readonly Plan[]): Promise<void> {
  const { connection, keys, stores } = redis;
  await connection.command("FLUSHALL");
  for (const [index, { draining = false, backends }] of plans.entries()) {
    const process = { version: "0", host: `h${index}`, pid: 1, startedAt: 0, seenAt: NOW };
    const worker: WorkerAnnouncement = {
      ...process,
      id: `w${index}`,
      draining,
      backends: backends.map((more, at) => backendOf(`b${at}`, more)),
    };
    await stores.registry.announceWorker(worker, false);
  }
  await connection.command("ZADD", keys.models(), String(NOW), "tiny");
}

for (const [name, workers, slots, plans] of FLEETS) {
  it(`${name} is told alike by status, top and page, metrics, and what retries look at`, async () => {
    await announce(plans);
    const { connection, keys } = redis;
    const status = await new FleetReader(connection, keys).read(0);
    const model = status.models.find((one) => one.model === "tiny");
    assert.deepEqual([model?.workers, model?.slots], [workers, slots], "sgnet status");
    const view = viewFleet({ ...status, now: NOW });
    const viewed = view.models.find((one) => one.model === "tiny");
    assert.deepEqual([viewed?.nodes.length, viewed?.slots], [workers, slots], "sgnet top and the live page");
    const picture = {
      ...status,
      queues: status.models,
      redis: await readRedis(connection, () => performance.now()),
      reports: new Map(),
    };
    const metrics = await renderFleetMetrics(picture);
    assert.match(metrics, new RegExp(`^sgnet_model_slots\\{model="tiny"\\} ${slots}$`, "m"));
    assert.match(metrics, new RegExp(`^sgnet_model_workers\\{model="tiny"\\} ${workers}$`, "m"));
    const catalogue = new Catalogue({
      connection,
      stores: openStores(connection, keys),
      tag: "g1",
      now: () => NOW,
      memoryMs: 500,
    });
    await catalogue.refresh();
    assert.deepEqual([...catalogue.offered], workers > 0 ? ["tiny"] : [], "sgnet_models, and retries");
  });
}

it("the slots of the whole fleet are those of backends that take a task of some model", async () => {
  await announce([
    { backends: [{}, gated("open"), gated("paced"), { healthy: false }] },
    { draining: true, backends: [{ busy: 2 }] },
  ]);
  const status = await new FleetReader(redis.connection, redis.keys).read(0);
  const { totals, nodes } = viewFleet({ ...status, now: NOW });
  assert.deepEqual([totals.slots, totals.finishing], [8, 2]);
  const states = nodes.flatMap(({ backends }) => backends.map(({ state }) => state));
  assert.deepEqual(states, ["healthy", "failing", "failing", "down", "draining"]);
});
