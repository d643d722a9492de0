import assert from "node:assert/strict";
import test from "node:test";
import { Fault } from "../../src/core/fault.ts";
import type { Connection } from "../../src/redis/connection/connection.ts";
import { Keys } from "../../src/redis/keys.ts";
import { TAKE, TAKE_PLACED } from "../../src/redis/scripts.ts";
import { openStores } from "../../src/redis/stores.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { Claimer } from "../../src/worker/claimer.ts";
import type { ClaimerOptions, ClaimLink } from "../../src/worker/claimer.ts";
import type { BackendSlots } from "../../src/worker/backend-slots.ts";
import { until } from "../rig/until.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import { idleBackendSlots, TINY_CARD } from "./idle-backend.ts";

const log = openLog({ level: "error", format: "json" });

function linkOf(connection: Connection, keys = new Keys("test")): ClaimLink {
  const stores = openStores(connection, keys);
  return { connection, stores, doorbells: stores.doorbells, name: "w1.0", worker: "w1" };
}

/** Lets every task run. */
const UNGUARDED: ClaimerOptions["failoverGuard"] = {
  watch: () => {},
  settleMs: () => 0,
  filterRunnable: async (_connection, tasks) => Promise.resolve(tasks),
};

interface Rig {
  readonly claimer: Claimer;
  readonly connection: FakeConnection;
  readonly ran: string[];
  lost: number;
}

/** Redis has one task, and gives it `delayMs` after it was asked, as the claimer's clock sees it. */
function rigOf(delayMs: number): Rig {
  const connection = new FakeConnection();
  const backendSlots = idleBackendSlots(1);
  const keys = new Keys("test");
  let clock = 0;
  connection.answer = (command) => {
    if (!command.startsWith("XREADGROUP")) return null;
    clock += delayMs;
    return [[Buffer.from(keys.queue("tiny")), [[Buffer.from("5-0"), [Buffer.from("t"), Buffer.from("x")]]]]];
  };
  const ran: string[] = [];
  const rig: Rig = {
    connection,
    ran,
    lost: 0,
    claimer: new Claimer({
      backendSlots,
      link: linkOf(connection),
      leaseMs: 1000,
      log,
      ambient: { mono: () => clock, random: () => 0.5 },
      failoverGuard: UNGUARDED,
      sweeper: {
        findOrphans: () => {
          rig.lost += 1;
          backendSlots.failed();
        },
      },
      deliveries: {
        start: (_backendSlots, task) => {
          ran.push(task.entry);
          backendSlots.failed();
        },
      },
    }),
  };
  return rig;
}

test("a task that comes in time is run", async () => {
  const rig = rigOf(1000);
  rig.claimer.start();
  await until("a run", () => rig.ran.length > 0);
  await rig.claimer.stop();
  assert.deepEqual(rig.ran, ["5-0"]);
  assert.equal(rig.lost, 0);
});

test("a task that comes so late that another worker may have it is not run, but looked for", async () => {
  const rig = rigOf(4000);
  rig.claimer.start();
  await until("a search", () => rig.lost > 0);
  await rig.claimer.stop();
  assert.deepEqual(rig.ran, []);
});

test("after a cut connection the answer to a claim may be lost", () => {
  const rig = rigOf(0);
  rig.connection.cut();
  rig.connection.mend();
  assert.equal(rig.lost, 1);
});

test("a backend that is held while its claimer waits gets nothing that comes then", async (t) => {
  const redis = await openRedisRig();
  t.after(() => redis.close());
  const { keys, connection: bells } = redis;
  const ran: string[] = [];
  const backendSlots = idleBackendSlots(1);
  const claimer = new Claimer({
    backendSlots,
    link: { ...linkOf(await redis.connect(), redis.keys), doorbells: redis.stores.doorbells },
    leaseMs: 1000,
    log,
    ambient: { mono: () => 0, random: () => 1 },
    failoverGuard: UNGUARDED,
    sweeper: { findOrphans: () => {} },
    deliveries: { start: (_backendSlots, task) => void ran.push(task.entry) },
  });
  await redis.stores.queue.ensureGroup("tiny");
  claimer.start();
  await until("a wait", async () => /blocked_clients:1/.test(String(await bells.command("INFO", "clients"))));
  backendSlots.hold(true);
  await claimer.interrupt();
  await redis.stores.queue.add("tiny", Buffer.from("x"));
  await redis.stores.doorbells.ring("tiny", 1);
  await claimer.stop();
  assert.deepEqual(ran, []);
  assert.equal(await bells.command("LLEN", keys.doorbell("tiny")), 1, "the token is left to others");
});

test("slots that are lent while a claimer waits bring no tasks", async (t) => {
  const redis = await openRedisRig();
  t.after(() => redis.close());
  const { connection: bells } = redis;
  const backendSlots = idleBackendSlots(4);
  let ran = 0;
  const claimer = new Claimer({
    backendSlots,
    link: { ...linkOf(await redis.connect(), redis.keys), doorbells: redis.stores.doorbells },
    failoverGuard: UNGUARDED,
    leaseMs: 1000,
    log,
    ambient: { mono: () => 0, random: () => 1 },
    sweeper: { findOrphans: () => {} },
    deliveries: {
      start: () => {
        ran += 1;
        backendSlots.occupy("tiny");
      },
    },
  });
  await redis.stores.queue.ensureGroup("tiny");
  backendSlots.occupy("tiny");
  claimer.start();
  await until("a wait", async () => /blocked_clients:1/.test(String(await bells.command("INFO", "clients"))));
  assert.ok(backendSlots.borrow());
  assert.ok(backendSlots.borrow());
  for (let n = 0; n < 3; n += 1) await redis.stores.queue.add("tiny", Buffer.from("x"));
  await redis.stores.doorbells.ring("tiny", 3);
  await until("a task", () => ran > 0);
  assert.deepEqual([ran, backendSlots.busy], [1, 4]);
  backendSlots.returnSlot();
  await until("another task", () => ran > 1);
  await claimer.stop();
  assert.deepEqual([ran, backendSlots.busy], [2, 4]);
});

test("a Redis that refuses is not asked in a hurry", async () => {
  const rig = rigOf(0);
  rig.connection.answer = () => Promise.reject(new Fault("redis_down", "LOADING"));
  const from = performance.now();
  rig.claimer.start();
  await until("three claims", () => rig.connection.arrived.length >= 6);
  assert.ok(performance.now() - from > 350, "two pauses at least");
  await rig.claimer.stop();
});

test("a backend with one model, or with all models loaded, claims as if there were no choice", async () => {
  for (const keys of [["tiny"], ["tiny", "big"]]) {
    const connection = new FakeConnection();
    connection.answer = () => new Promise((resolve) => setImmediate(resolve, null));
    const limits = { swapWaitMs: 0, swapResidencyMs: 0, modelsLoaded: 0, ambient: { mono: () => 0 } };
    const backendSlots = idleBackendSlots(1, { placement: limits });
    const models = keys.map((key) => ({ ...TINY_CARD, key, resident: keys.length > 1 }));
    Object.assign(backendSlots.backend, { loadsOnDemand: true });
    backendSlots.update({ models, slots: 1 });
    const claimer = claimerOf(connection, backendSlots);
    claimer.start();
    await until("three claims", () => connection.arrived.length >= 6);
    backendSlots.failed();
    await claimer.stop();
    const sent = connection.arrived.filter((command) => !/^(?:RPUSH|PEXPIRE)/.test(command));
    const usual =
      keys.length === 1 ? /^(?:BLMPOP|XREADGROUP) / : new RegExp(`^(?:BLMPOP |EVALSHA ${TAKE.sha1} )`);
    for (const command of sent) assert.match(command, usual);
  }
});

test("while a loaded model is served, the queue heads of the others are not read with each claim", async () => {
  const connection = new FakeConnection();
  connection.answer = () => new Promise((resolve) => setImmediate(resolve, []));
  const limits = { swapWaitMs: 0, swapResidencyMs: 0, modelsLoaded: 0, ambient: { mono: () => 0 } };
  const backendSlots = idleBackendSlots(2, { placement: limits });
  const models = [
    { ...TINY_CARD, resident: true },
    { ...TINY_CARD, key: "big", resident: false },
  ];
  Object.assign(backendSlots.backend, { loadsOnDemand: true });
  backendSlots.update({ models, slots: 2 });
  backendSlots.occupy("tiny");
  // Its clock stands still: a read stays a read of just now.
  const claimer = claimerOf(connection, backendSlots);
  claimer.start();
  await until("ten claims", () => connection.arrived.length >= 20);
  backendSlots.failed();
  await claimer.stop();
  const reads = connection.arrived.filter((command) => command.startsWith(`EVALSHA ${TAKE_PLACED.sha1} `));
  assert.equal(reads.length, 1);
});

function claimerOf(connection: FakeConnection, backendSlots: BackendSlots): Claimer {
  return new Claimer({
    backendSlots,
    link: linkOf(connection),
    leaseMs: 1000,
    log,
    ambient: { mono: () => 0, random: () => 0.5 },
    failoverGuard: UNGUARDED,
    sweeper: { findOrphans: () => {} },
    deliveries: { start: () => {} },
  });
}
