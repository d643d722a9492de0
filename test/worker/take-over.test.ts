import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../src/core/fault.ts";
import type { Argument } from "../../src/redis/connection/connection.ts";
import type { Attempt } from "../../src/worker/attempt.ts";
import { Cooldowns } from "../../src/worker/cooldowns.ts";
import type { AttemptRegistry } from "../../src/worker/attempt-registry.ts";
import { until } from "../rig/until.ts";
import { forAllTests, LateConnection, LEASE_MS } from "./lease-rig.ts";
import type { LeaseRig } from "./lease-rig.ts";
import { idleBackendSlots } from "./idle-backend.ts";

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
  const backendSlots = idleBackendSlots(1);
  const permit = backendSlots.occupy("tiny");
  const sweeper = rig.sweeperOf("busy", ran, { backendSlots });
  await sweeper.sweepModel("tiny");
  assert.deepEqual(ran, []);
  permit.release();
  assert.equal(backendSlots.room, 1);
  assert.equal(backendSlots.free, 0, "new tasks wait");
  await until("a run", () => ran.length > 0);
  assert.deepEqual(ran, ["g.4"]);
  assert.equal(backendSlots.free, 1);
});

test("a task with a cooldown is left to others, and is taken here when that is over", async () => {
  const ran: string[] = [];
  await rig.silent("g.6");
  let clock = 0;
  const over = Promise.withResolvers<string>();
  const cooldowns = new Cooldowns({ mono: () => clock });
  cooldowns.onOver(over.resolve);
  const backendSlots = idleBackendSlots(4);
  const sweeper = rig.sweeperOf("resting", ran, { backendSlots, cooldowns });
  const [task] = await rig.redis.stores.leases.silent({
    model: "tiny",
    idleMs: LEASE_MS,
  });
  assert.ok(task);
  cooldowns.add({ model: "tiny", entry: task.entry }, backendSlots, 20);
  await sweeper.sweepModel("tiny");
  assert.deepEqual(ran, []);
  assert.equal(backendSlots.free, 4, "no slot is kept for it");
  clock = 20;
  assert.equal(await over.promise, "tiny");
  await sweeper.sweepModel("tiny");
  assert.deepEqual(ran, ["g.6"]);
  cooldowns.stop();
});

test("a task waits where the circuit of its model is open, and no slot is kept from other models", async () => {
  const ran: string[] = [];
  await rig.silent("g.7");
  let clock = 0;
  const circuits = { failures: 1, ambient: { mono: () => clock, random: () => 0.5 } };
  const backendSlots = idleBackendSlots(4, { circuits });
  const permit = backendSlots.occupy("tiny");
  permit.failed();
  permit.release();
  const sweeper = rig.sweeperOf("broken", ran, { backendSlots });
  await sweeper.sweepModel("tiny");
  assert.deepEqual(ran, []);
  assert.equal(backendSlots.free, 4);
  assert.deepEqual(backendSlots.offer, { models: [], credits: 0 });
  clock = 2000;
  backendSlots.wake();
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
  sweeper.findOrphans();
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
  const backendSlots = idleBackendSlots(4);
  let hands: AttemptRegistry | undefined;
  const onRegistry = (attemptRegistry: AttemptRegistry): void => void (hands = attemptRegistry);
  const sweeper = rig.sweeperOf("late", ran, { connection, backendSlots, onRegistry });
  t.after(() => {
    sweeper.stop();
  });
  sweeper.findOrphans();
  await until("a take-over", () => connection.taken === 1);
  assert.equal(hands?.reclaims("tiny", entry), true, "one that comes now does not run as well");
  // This one came just before.
  hands?.add({ id: "g.17", model: "tiny", entry } as Attempt);
  connection.late.resolve();
  await until("the end of the take-over", () => backendSlots.free === 4);
  assert.equal(hands?.reclaims("tiny", entry), false);
  const attempts = await rig.redis.connection.command("XLEN", rig.redis.keys.reply("g.17"));
  assert.deepEqual([ran, attempts], [[], 0]);
});

test("a task that two searches find is taken over by one, and has its slot until it runs", async (t) => {
  const ran: string[] = [];
  const entry = await rig.claimed("g.14", "twice");
  await rig.fallSilent(entry, "twice");
  const connection = new LateClock(rig);
  const backendSlots = idleBackendSlots(4);
  const sweeper = rig.sweeperOf("twice", ran, { connection, backendSlots });
  t.after(() => {
    sweeper.stop();
  });
  sweeper.findOrphans();
  void sweeper.sweepModel("tiny");
  await until("both searches", () => connection.answers("XPENDING") >= 2 && connection.answers("TIME") === 1);
  connection.clock.resolve();
  await until("a take-over", () => connection.taken === 1);
  await rig.inOrder();
  assert.deepEqual([ran, backendSlots.free], [[], 3], "the search that takes nothing lets nothing go");
  connection.late.resolve();
  await until("a run", () => ran.length > 0);
  assert.deepEqual([ran, backendSlots.free], [["g.14"], 4]);
});

test("the probe of a half-open circuit is taken before CLAIM: turned away later it would count as an attempt", async () => {
  const ran: string[] = [];
  await rig.silent("g.15");
  let clock = 0;
  const backendSlots = idleBackendSlots(4, {
    circuits: { failures: 1, ambient: { mono: () => clock, random: () => 0.5 } },
  });
  const failed = backendSlots.occupy("tiny");
  failed.failed();
  failed.release();
  clock = 2000;
  const connection = new LateConnection(rig);
  const swept = rig.sweeperOf("probing", ran, { connection, backendSlots }).sweepModel("tiny");
  await until("a take-over", () => connection.taken === 1);
  assert.deepEqual(
    [backendSlots.offer.credits, backendSlots.roomFor("tiny"), backendSlots.admits("tiny")],
    [0, 0, false],
  );
  connection.late.resolve();
  await swept;
  assert.deepEqual([ran, backendSlots.roomFor("tiny")], [["g.15"], 1]);
});

test("a task that is being taken over has a slot, which is neither lent nor given to a first delivery", async (t) => {
  const ran: string[] = [];
  await rig.silent("g.12");
  const connection = new LateConnection(rig);
  const backendSlots = idleBackendSlots(2);
  assert.ok(backendSlots.borrow());
  const sweeper = rig.sweeperOf("lending", ran, { connection, backendSlots });
  t.after(() => {
    sweeper.stop();
  });
  const swept = sweeper.sweepModel("tiny");
  await until("a take-over", () => connection.taken === 1);
  assert.deepEqual(
    [backendSlots.borrow(), backendSlots.free, backendSlots.admits("tiny")],
    [false, 0, false],
  );
  connection.late.resolve();
  await swept;
  assert.deepEqual([ran, backendSlots.free], [["g.12"], 1]);
});

test("the slot of a task whose take-over failed is free again", async () => {
  const ran: string[] = [];
  await rig.silent("g.13");
  const connection = new LateConnection(rig);
  const backendSlots = idleBackendSlots(1);
  const swept = rig.sweeperOf("slower", ran, { connection, backendSlots }).sweepModel("tiny");
  await until("a take-over", () => connection.taken === 1);
  assert.equal(backendSlots.free, 0);
  connection.late.reject(new Fault("redis_down", "away"));
  await swept;
  assert.deepEqual([ran, backendSlots.free], [[], 1]);
});
