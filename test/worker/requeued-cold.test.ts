import assert from "node:assert/strict";
import test from "node:test";
import type { Backend } from "../../src/backends/backend.ts";
import { systemAmbient } from "../../src/core/ambient.ts";
import { openStores } from "../../src/redis/stores.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { Claimer } from "../../src/worker/claimer.ts";
import { BackendSlots } from "../../src/worker/backend-slots.ts";
import { until } from "../rig/until.ts";
import { forAllTests } from "./lease-rig.ts";
import type { LeaseRig } from "./lease-rig.ts";
import { TINY_CARD } from "./idle-backend.ts";

let rig: LeaseRig;
forAllTests((opened) => {
  rig = opened;
});

const log = openLog({ level: "error", format: "json" });

test("a requeued task is run as soon as time alone lets its cold model in", async (t) => {
  let shift = 0;
  const mono = (): number => systemAmbient.mono() + shift;
  const backend: Backend = {
    name: "two",
    kind: "ollama",
    url: "",
    loadsOnDemand: true,
    inspect: () => Promise.reject(new Error("no check was due")),
    run: () => Promise.reject(new Error("nothing was to be run")),
    close: () => Promise.resolve(),
  };
  const placement = { swapWaitMs: 60_000, swapResidencyMs: 1, modelsLoaded: 0, ambient: { mono } };
  const backendSlots = new BackendSlots(backend, 4, { placement });
  const cold = { ...TINY_CARD, resident: false };
  backendSlots.update({ models: [{ ...cold, key: "other", name: "other" }, cold], slots: 4 });
  const other = backendSlots.occupy("other");
  shift += 1000;
  other.loaded();
  await rig.silent("g.9");
  const { keys } = rig.redis;
  const { doorbells } = rig.redis.stores;
  const connection = await rig.redis.connect();
  await rig.redis.stores.queue.ensureGroup("other");
  const claimer = new Claimer({
    backendSlots,
    link: { connection, stores: openStores(connection, keys), doorbells, name: "w1.0", worker: "w1" },
    leaseMs: 60_000,
    log,
    ambient: { mono, random: () => 0.5 },
    failoverGuard: {
      watch: () => {},
      settleMs: () => 0,
      filterRunnable: async (_connection, tasks) => Promise.resolve(tasks),
    },
    sweeper: { findOrphans: () => {} },
    deliveries: { start: () => {} },
  });
  t.after(() => claimer.stop());
  const ran: string[] = [];
  const sweeper = rig.sweeperOf("cold", ran, { backendSlots });
  claimer.start();
  await sweeper.sweepModel("tiny");
  assert.deepEqual(ran, [], "the loaded model runs");
  other.release();
  assert.equal(backendSlots.roomFor("tiny"), 0, "it has only just become idle");
  await until("a run", () => ran.length > 0);
});
