import assert from "node:assert/strict";
import test from "node:test";
import { Fault } from "../../src/core/fault.ts";
import { Keys } from "../../src/redis/keys.ts";
import { TAKE, TAKE_PLACED } from "../../src/redis/scripts.ts";
import { enqueue, ensureGroup, ring } from "../../src/redis/task-stream.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { Acknowledger } from "../../src/worker/acknowledger.ts";
import { Claimer } from "../../src/worker/claimer.ts";
import type { Station } from "../../src/worker/station.ts";
import { until } from "../journey/until.ts";
import { FakeConnection } from "../redis/fake-connection.ts";
import { openRedisRig } from "../redis/rig.ts";
import { idleStation, TINY_CARD } from "./station-rig.ts";

const log = openLog({ level: "error", format: "json" });

const CREDULOUS = { look: () => Promise.resolve(true) };

interface Rig {
  readonly claimer: Claimer;
  readonly connection: FakeConnection;
  readonly ran: string[];
  lost: number;
}

/** Redis has one task, and gives it `delayMs` after it was asked, as the claimer's clock sees it. */
function rigOf(delayMs: number): Rig {
  const connection = new FakeConnection();
  const station = idleStation(1);
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
      station,
      connection,
      bells: connection,
      farewell: keys.farewell("w1.0"),
      keys,
      consumer: "w1",
      leaseMs: 1000,
      log,
      mono: () => clock,
      random: () => 0.5,
      acknowledger: new Acknowledger({ connection, keys, mono: () => clock }),
      trust: CREDULOUS,
      onLost: () => {
        rig.lost += 1;
        station.failed();
      },
      run: (_station, task) => {
        ran.push(task.entry);
        station.failed();
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
  await until("a look", () => rig.lost > 0);
  await rig.claimer.stop();
  assert.deepEqual(rig.ran, []);
});

test("after a cut connection the answer to a claim may be lost", () => {
  const rig = rigOf(0);
  rig.connection.cut();
  rig.connection.mend();
  assert.equal(rig.lost, 1);
});

test("a station that is held while its claimer waits gets nothing that comes then", async (t) => {
  const redis = await openRedisRig();
  t.after(() => redis.close());
  const { keys, connection: bells } = redis;
  const ran: string[] = [];
  const station = idleStation(1);
  const run = (_station: unknown, task: { readonly entry: string }): unknown => ran.push(task.entry);
  const claimer = new Claimer({
    station,
    connection: await redis.connect(),
    bells,
    farewell: keys.farewell("w1.0"),
    keys,
    consumer: "w1",
    leaseMs: 1000,
    log,
    mono: () => 0,
    random: () => 1,
    acknowledger: new Acknowledger({ connection: bells, keys, mono: () => 0 }),
    trust: CREDULOUS,
    onLost: () => {},
    run,
  });
  await ensureGroup(bells, keys, "tiny");
  claimer.start();
  await until("a wait", async () => /blocked_clients:1/.test(String(await bells.command("INFO", "clients"))));
  station.hold(true);
  await claimer.interrupt();
  await enqueue(bells, keys, "tiny", Buffer.from("x"));
  await ring(bells, keys, "tiny", 1);
  await claimer.stop();
  assert.deepEqual(ran, []);
  assert.equal(await bells.command("LLEN", keys.doorbell("tiny")), 1, "the token is left to others");
});

test("slots that are lent while a claimer waits bring no tasks", async (t) => {
  const redis = await openRedisRig();
  t.after(() => redis.close());
  const { keys, connection: bells } = redis;
  const station = idleStation(4);
  let ran = 0;
  const claimer = new Claimer({
    station,
    connection: await redis.connect(),
    bells,
    farewell: keys.farewell("w1.0"),
    keys,
    consumer: "w1",
    acknowledger: new Acknowledger({ connection: bells, keys, mono: () => 0 }),
    trust: CREDULOUS,
    leaseMs: 1000,
    log,
    mono: () => 0,
    random: () => 1,
    onLost: () => {},
    run: () => {
      ran += 1;
      station.occupy("tiny");
    },
  });
  await ensureGroup(bells, keys, "tiny");
  station.occupy("tiny");
  claimer.start();
  await until("a wait", async () => /blocked_clients:1/.test(String(await bells.command("INFO", "clients"))));
  assert.ok(station.borrow());
  assert.ok(station.borrow());
  for (let n = 0; n < 3; n += 1) await enqueue(bells, keys, "tiny", Buffer.from("x"));
  await ring(bells, keys, "tiny", 3);
  await until("a task", () => ran > 0);
  assert.deepEqual([ran, station.busy], [1, 4]);
  station.giveBack();
  await until("another task", () => ran > 1);
  await claimer.stop();
  assert.deepEqual([ran, station.busy], [2, 4]);
});

test("a Redis that refuses is not asked in a hurry", async () => {
  const rig = rigOf(0);
  rig.connection.answer = () => Promise.reject(new Fault("redis_down", "LOADING"));
  const from = performance.now();
  rig.claimer.start();
  await until("three looks", () => rig.connection.arrived.length >= 6);
  assert.ok(performance.now() - from > 350, "two pauses at least");
  await rig.claimer.stop();
});

test("a backend with one model, or with all of its models loaded, is asked for as if nothing were to be chosen", async () => {
  for (const keys of [["tiny"], ["tiny", "big"]]) {
    const connection = new FakeConnection();
    connection.answer = () => new Promise((resolve) => setImmediate(resolve, null));
    const limits = { swapWaitMs: 0, swapResidencyMs: 0, modelsLoaded: 0, mono: () => 0 };
    const station = idleStation(1, { placement: limits });
    const models = keys.map((key) => ({ ...TINY_CARD, key, resident: keys.length > 1 }));
    Object.assign(station.backend, { loadsOnDemand: true });
    station.update({ models, slots: 1 });
    const claimer = claimerOf(connection, station);
    claimer.start();
    await until("three looks", () => connection.arrived.length >= 6);
    station.failed();
    await claimer.stop();
    const sent = connection.arrived.filter((command) => !/^(?:RPUSH|PEXPIRE)/.test(command));
    const usual =
      keys.length === 1 ? /^(?:BLMPOP|XREADGROUP) / : new RegExp(`^(?:BLMPOP |EVALSHA ${TAKE.sha1} )`);
    for (const command of sent) assert.match(command, usual);
  }
});

test("while a loaded model is served, who waits for the others is looked at once in a while and not with each claim", async () => {
  const connection = new FakeConnection();
  connection.answer = () => new Promise((resolve) => setImmediate(resolve, []));
  const limits = { swapWaitMs: 0, swapResidencyMs: 0, modelsLoaded: 0, mono: () => 0 };
  const station = idleStation(2, { placement: limits });
  const models = [
    { ...TINY_CARD, resident: true },
    { ...TINY_CARD, key: "big", resident: false },
  ];
  Object.assign(station.backend, { loadsOnDemand: true });
  station.update({ models, slots: 2 });
  station.occupy("tiny");
  // Its clock stands still: a look stays a look of just now.
  const claimer = claimerOf(connection, station);
  claimer.start();
  await until("ten claims", () => connection.arrived.length >= 20);
  station.failed();
  await claimer.stop();
  const looks = connection.arrived.filter((command) => command.startsWith(`EVALSHA ${TAKE_PLACED.sha1} `));
  assert.equal(looks.length, 1);
});

function claimerOf(connection: FakeConnection, station: Station): Claimer {
  const keys = new Keys("test");
  return new Claimer({
    station,
    connection,
    bells: connection,
    farewell: keys.farewell("w1.0"),
    keys,
    consumer: "w1",
    leaseMs: 1000,
    log,
    mono: () => 0,
    random: () => 0.5,
    acknowledger: new Acknowledger({ connection, keys, mono: () => 0 }),
    trust: CREDULOUS,
    onLost: () => {},
    run: () => {},
  });
}
