import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../src/core/fault.ts";
import type { Argument } from "../../src/redis/connection.ts";
import { silentTasks } from "../../src/redis/task-stream.ts";
import type { Attempt } from "../../src/worker/attempt.ts";
import { Resting } from "../../src/worker/resting.ts";
import type { Roll } from "../../src/worker/roll.ts";
import { until } from "../journey/until.ts";
import { forAllTests, LateConnection, LEASE_MS } from "./lease-rig.ts";
import type { LeaseRig } from "./lease-rig.ts";
import { idleStation } from "./station-rig.ts";

let rig: LeaseRig;
forAllTests((opened) => {
  rig = opened;
});

/** As {@link LateConnection}; the first answer of the clock is held back, too. */
class LateClock extends LateConnection {
  readonly clock: PromiseWithResolvers<void> = Promise.withResolvers();
  readonly #answered: string[] = [];
  override async command(...args: Argument[]): Promise<unknown> {
    const name = String(args[0]);
    const reply = await super.command(...args);
    this.#answered.push(name);
    if (name === "TIME" && this.answers("TIME") === 1) await this.clock.promise;
    return reply;
  }
  answers(name: string): number {
    return this.#answered.filter((one) => one === name).length;
  }
}

test("a silent task gets the next free slot of a busy backend, before any new task", async () => {
  const ran: string[] = [];
  await rig.silent("g.4");
  const station = idleStation(1);
  const visit = station.occupy("tiny");
  const sweeper = rig.sweeperOf("busy", ran, { station });
  await sweeper.sweepModel("tiny");
  assert.deepEqual(ran, []);
  station.release(visit);
  assert.equal(station.room, 1);
  assert.equal(station.free, 0, "new tasks wait");
  await until("a run", () => ran.length > 0);
  assert.deepEqual(ran, ["g.4"]);
  assert.equal(station.free, 1);
});

test("a task that rests is left to others, and is taken by its own station when the rest is over", async () => {
  const ran: string[] = [];
  await rig.silent("g.6");
  let clock = 0;
  const over = Promise.withResolvers<string>();
  const resting = new Resting({ mono: () => clock, onOver: over.resolve });
  const station = idleStation(4);
  const sweeper = rig.sweeperOf("resting", ran, { station, resting });
  const [task] = await silentTasks(rig.redis.connection, rig.redis.keys, {
    model: "tiny",
    idleMs: LEASE_MS,
  });
  assert.ok(task);
  resting.add({ model: "tiny", entry: task.entry }, station, 20);
  await sweeper.sweepModel("tiny");
  assert.deepEqual(ran, []);
  assert.equal(station.free, 4, "no slot is kept for it");
  clock = 20;
  assert.equal(await over.promise, "tiny");
  await sweeper.sweepModel("tiny");
  assert.deepEqual(ran, ["g.6"]);
  resting.stop();
});

test("a task waits where the circuit of its model is open, and no slot is kept from other models", async () => {
  const ran: string[] = [];
  await rig.silent("g.7");
  let clock = 0;
  const gates = { failures: 1, mono: () => clock, random: () => 0.5 };
  const station = idleStation(4, { gates });
  const visit = station.occupy("tiny");
  visit.gate.failed(visit.era);
  station.release(visit);
  const sweeper = rig.sweeperOf("broken", ran, { station });
  await sweeper.sweepModel("tiny");
  assert.deepEqual(ran, []);
  assert.equal(station.free, 4);
  assert.deepEqual(station.offer, { models: [], credits: 0 });
  clock = 2000;
  station.wake();
  await until("a probe", () => ran.length > 0);
  assert.deepEqual(ran, ["g.7"]);
});

test("a task that is being taken over is not taken over once more, however slowly Redis answers", async (t) => {
  const ran: string[] = [];
  const entry = await rig.claimed("g.11", "slow");
  const connection = new LateConnection(rig);
  const sweeper = rig.sweeperOf("slow", ran, { connection });
  t.after(() => {
    sweeper.stop();
  });
  await rig.fallSilent(entry, "slow");
  sweeper.lookForOrphans();
  await until("a take-over", () => connection.taken === 1);
  // It looks silent again before the answer has come.
  await rig.fallSilent(entry, "slow");
  await sweeper.sweepModel("tiny");
  connection.late.resolve();
  await until("a run", () => ran.length > 0);
  await rig.inOrder();
  assert.deepEqual(ran, ["g.11"]);
});

test("a task whose delivery was late, but came, runs once", async (t) => {
  const ran: string[] = [];
  const entry = await rig.claimed("g.17", "late");
  const connection = new LateConnection(rig);
  const station = idleStation(4);
  let hands: Roll | undefined;
  const onRoll = (roll: Roll): void => void (hands = roll);
  const sweeper = rig.sweeperOf("late", ran, { connection, station, onRoll });
  t.after(() => {
    sweeper.stop();
  });
  sweeper.lookForOrphans();
  await until("a take-over", () => connection.taken === 1);
  assert.equal(
    sweeper.takeOver.takes({ model: "tiny", entry }),
    true,
    "one that comes now does not run as well",
  );
  // This one came just before.
  hands?.add({ id: "g.17", model: "tiny", entry } as Attempt);
  connection.late.resolve();
  await until("the end of the take-over", () => station.free === 4);
  assert.equal(sweeper.takeOver.takes({ model: "tiny", entry }), false);
  const attempts = await rig.redis.connection.command("XLEN", rig.redis.keys.reply("g.17"));
  assert.deepEqual([ran, attempts], [[], 0]);
});

test("of two searches that find a task one takes it over, and its slot is taken until it runs", async (t) => {
  const ran: string[] = [];
  const entry = await rig.claimed("g.14", "twice");
  await rig.fallSilent(entry, "twice");
  const connection = new LateClock(rig);
  const station = idleStation(4);
  const sweeper = rig.sweeperOf("twice", ran, { connection, station });
  t.after(() => {
    sweeper.stop();
  });
  sweeper.lookForOrphans();
  void sweeper.sweepModel("tiny");
  await until("both searches", () => connection.answers("XPENDING") >= 2 && connection.answers("TIME") === 1);
  connection.clock.resolve();
  await until("a take-over", () => connection.taken === 1);
  await rig.inOrder();
  assert.deepEqual([ran, station.free], [[], 3], "the search that takes nothing lets nothing go");
  connection.late.resolve();
  await until("a run", () => ran.length > 0);
  assert.deepEqual([ran, station.free], [["g.14"], 4]);
});

test("the probe of a half-open circuit is nobody else's before CLAIM: turned away later it would count as an attempt", async () => {
  const ran: string[] = [];
  await rig.silent("g.15");
  let clock = 0;
  const station = idleStation(4, { gates: { failures: 1, mono: () => clock, random: () => 0.5 } });
  const failed = station.occupy("tiny");
  failed.gate.failed(failed.era);
  station.release(failed);
  clock = 2000;
  const connection = new LateConnection(rig);
  const swept = rig.sweeperOf("probing", ran, { connection, station }).sweepModel("tiny");
  await until("a take-over", () => connection.taken === 1);
  assert.deepEqual([station.offer.credits, station.roomFor("tiny"), station.admits("tiny")], [0, 0, false]);
  connection.late.resolve();
  await swept;
  assert.deepEqual([ran, station.roomFor("tiny")], [["g.15"], 1]);
});

test("a task that is being taken over has a slot, which is not lent, nor a first delivery's where slots are lent", async (t) => {
  const ran: string[] = [];
  await rig.silent("g.12");
  const connection = new LateConnection(rig);
  const station = idleStation(2);
  assert.ok(station.borrow());
  const sweeper = rig.sweeperOf("lending", ran, { connection, station });
  t.after(() => {
    sweeper.stop();
  });
  const swept = sweeper.sweepModel("tiny");
  await until("a take-over", () => connection.taken === 1);
  assert.deepEqual([station.borrow(), station.free, station.admits("tiny")], [false, 0, false]);
  connection.late.resolve();
  await swept;
  assert.deepEqual([ran, station.free], [["g.12"], 1]);
});

test("the slot of a task whose take-over failed is free again", async () => {
  const ran: string[] = [];
  await rig.silent("g.13");
  const connection = new LateConnection(rig);
  const station = idleStation(1);
  const swept = rig.sweeperOf("slower", ran, { connection, station }).sweepModel("tiny");
  await until("a take-over", () => connection.taken === 1);
  assert.equal(station.free, 0);
  connection.late.reject(new Fault("redis_down", "away"));
  await swept;
  assert.deepEqual([ran, station.free], [[], 1]);
});
