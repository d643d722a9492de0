import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { systemAmbient } from "../../src/core/ambient.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Argument, Connection } from "../../src/redis/connection.ts";
import { HANDED_BACK_MS } from "../../src/redis/pending.ts";
import { openReplies } from "../../src/redis/reply-stream.ts";
import { take } from "../../src/redis/take.ts";
import { dropQueue, enqueue, ensureGroup, handBack, silentTasks } from "../../src/redis/task-stream.ts";
import type { QueuedTask } from "../../src/redis/task-stream.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { Acknowledger } from "../../src/worker/acknowledger.ts";
import type { Attempt } from "../../src/worker/attempt.ts";
import { Keeper } from "../../src/worker/keeper.ts";
import { Resting } from "../../src/worker/resting.ts";
import { Roll } from "../../src/worker/roll.ts";
import type { Delivery, Place, Runner } from "../../src/worker/runner.ts";
import type { Station } from "../../src/worker/station.ts";
import { Trust } from "../../src/worker/trust.ts";
import { until } from "../journey/until.ts";
import { FakeConnection } from "../redis/fake-connection.ts";
import { openRedisRig, type RedisRig } from "../redis/rig.ts";
import { fallSilent } from "../redis/silence.ts";
import { idleStation } from "./station-rig.ts";

const LEASE_MS = 60_000;

let redis: RedisRig;

before(async () => {
  redis = await openRedisRig();
});
after(async () => {
  await redis.close();
});
beforeEach(async () => {
  await dropQueue(redis.connection, redis.keys, "tiny");
});

interface Plan {
  readonly station?: Station;
  readonly sweepDelayMs?: number;
  readonly resting?: Resting;
  readonly connection?: Connection;
  readonly leaseMs?: number;
  readonly inHand?: readonly Attempt[];
  readonly onRun?: (delivery: Delivery) => void;
  readonly onRoll?: (roll: Roll) => void;
}

/** Nothing rests. */
function restless(): Resting {
  return new Resting({ mono: systemAmbient.mono, onOver: () => {} });
}

function keeperOf(worker: string, ran: string[], plan: Plan = {}): Keeper {
  const { station = idleStation(4), sweepDelayMs = 0, resting = restless(), leaseMs = LEASE_MS } = plan;
  const { keys } = redis;
  const { connection = redis.connection } = plan;
  const { mono, now, random } = systemAmbient;
  const log = openLog({ level: "error", format: "json" });
  const trust = new Trust({ connection, mono, leaseMs, delayMs: sweepDelayMs, log });
  const roll = new Roll({ connection, keys, mono, trust });
  for (const attempt of plan.inHand ?? []) roll.add(attempt);
  plan.onRoll?.(roll);
  const runner = {
    idOf: ({ payload }: QueuedTask) => payload.toString(),
    run: (place: Place, { payload }: QueuedTask, delivery: Delivery) => {
      ran.push(payload.toString());
      plan.onRun?.(delivery);
      // It ends at once.
      place.station.release(place.visit);
      return true;
    },
  };
  return new Keeper({
    connection,
    keys,
    worker,
    log,
    roll,
    runner: runner as unknown as Runner,
    acknowledger: new Acknowledger({ connection, keys, mono }),
    stations: [station],
    resting,
    leaseMs,
    deliveryLimit: 3,
    now,
    mono,
    random,
    onReclaimed: () => {},
    trust,
  });
}

async function claimed(task: string, consumer: string): Promise<string> {
  await ensureGroup(redis.connection, redis.keys, "tiny");
  await openReplies(redis.connection, redis.keys, [{ id: task, life: 60_000 }]);
  const entry = await enqueue(redis.connection, redis.keys, "tiny", Buffer.from(task));
  const blocking = await redis.connect();
  const options = { models: ["tiny"], consumer, credits: 9, waitMs: 10 };
  assert.equal((await take(blocking, redis.keys, options)).length, 1);
  return entry;
}

test("a task that Redis gave to this worker, which was never told, is run long before its lease ends", async () => {
  const ran: string[] = [];
  await claimed("g.1", "other");
  await claimed("g.2", "me");
  const keeper = keeperOf("me", ran);
  keeper.lookForOrphans();
  await until("a run", () => ran.length > 0);
  keeper.stop();
  assert.deepEqual(ran, ["g.2"], "what another worker holds is left alone");
});

test("what this worker was never told of counts as no delivery, what another one lost does", async () => {
  const deliveries: number[] = [];
  const ran: string[] = [];
  const onRun = (delivery: Delivery): void => void deliveries.push(delivery.deliveries);
  const entry = await claimed("g.20", "careless");
  for (const count of [1, 2]) {
    // Forgets what it has each time, as when the answer to its claim was lost.
    const keeper = keeperOf("careless", ran, { onRun });
    keeper.lookForOrphans();
    await until("a run", () => ran.length === count);
    keeper.stop();
  }
  await handBack(redis.connection, redis.keys, { model: "tiny", entry, consumer: "careless" });
  await keeperOf("next", ran, { onRun }).sweepModel("tiny");
  assert.deepEqual(deliveries, [1, 1, 2]);
});

test("a worker that leaves takes nothing over, not even what it has just handed back", async () => {
  const ran: string[] = [];
  const entry = await claimed("g.3", "leaving");
  await handBack(redis.connection, redis.keys, { model: "tiny", entry, consumer: "leaving" });
  const leaving = keeperOf("leaving", ran);
  leaving.drain();
  await leaving.sweepModel("tiny");
  assert.deepEqual(ran, []);
  await keeperOf("staying", ran).sweepModel("tiny");
  assert.deepEqual(ran, ["g.3"]);
});

async function silent(task: string): Promise<void> {
  const entry = await claimed(task, "lost");
  await fallSilent(redis.connection, redis.keys, {
    model: "tiny",
    entry,
    consumer: "lost",
    idleMs: LEASE_MS,
  });
}

/** The real Redis. */
class PassingConnection extends FakeConnection {
  override async command(...args: Argument[]): Promise<unknown> {
    if (!this.ready) throw new Fault("redis_down", "cut");
    this.arrived.push(args.join(" "));
    return redis.connection.command(...args);
  }
}

test("a silent task gets the next free slot of a busy backend, before any new task", async () => {
  const ran: string[] = [];
  await silent("g.4");
  const station = idleStation(1);
  const visit = station.occupy("tiny");
  const keeper = keeperOf("busy", ran, { station });
  await keeper.sweepModel("tiny");
  assert.deepEqual(ran, []);
  station.release(visit);
  assert.equal(station.room, 1);
  assert.equal(station.free, 0, "new tasks wait");
  await until("a run", () => ran.length > 0);
  assert.deepEqual(ran, ["g.4"]);
  assert.equal(station.free, 1);
});

test("a hint to sweep is not followed while leases cannot be judged", async () => {
  const ran: string[] = [];
  await silent("g.5");
  await keeperOf("new", ran, { sweepDelayMs: 10_000 }).sweepModel("tiny");
  assert.deepEqual(ran, []);
});

async function returned(task: string): Promise<string> {
  const entry = await claimed(task, "gone");
  assert.equal(
    await handBack(redis.connection, redis.keys, { model: "tiny", entry, consumer: "gone" }),
    true,
  );
  return entry;
}

test("what was handed back is taken while leases cannot be judged, what only looks silent is not", async () => {
  const ran: string[] = [];
  await silent("g.21");
  await returned("g.22");
  await keeperOf("new", ran, { sweepDelayMs: 600_000 }).sweepModel("tiny");
  assert.deepEqual(ran, ["g.22"]);
});

/** The real Redis, whose clock nobody is told: leases are not judged after a look at it. */
class TimelessConnection extends FakeConnection {
  override async command(...args: Argument[]): Promise<unknown> {
    if (args[0] === "TIME") throw new Fault("redis_down", "NOPERM");
    return redis.connection.command(...args);
  }
}

test("what was handed back is taken without a look at Redis's clock, also where others were found with it", async () => {
  const ran: string[] = [];
  await silent("g.23");
  await returned("g.24");
  await keeperOf("timeless", ran, { connection: new TimelessConnection() }).sweepModel("tiny");
  assert.deepEqual(ran, ["g.24"]);
});

test("what was handed back when a worker could not hear of it is found after the reconnect", async (t) => {
  const ran: string[] = [];
  const connection = new PassingConnection();
  const keeper = keeperOf("deaf", ran, { connection });
  t.after(() => {
    keeper.stop();
  });
  connection.cut();
  await returned("g.25");
  connection.mend();
  await until("a run", () => ran.length > 0);
  assert.deepEqual(ran, ["g.25"]);
});

test("another master is told at once what is held, before others take what it knows as handed back", async (t) => {
  const ran: string[] = [];
  const entry = await returned("g.26");
  // Taken, but this master has not heard of it.
  const inHand = [{ id: "g.26", model: "tiny", entry } as Attempt];
  const [holding, looking] = [new PassingConnection(), new PassingConnection()];
  const keepers = [
    keeperOf("holder", ran, { connection: holding, inHand }),
    keeperOf("other", ran, { connection: looking }),
  ];
  t.after(() => {
    for (const keeper of keepers) keeper.stop();
  });
  looking.mend(true);
  await keepers[1]?.sweepModel("tiny");
  assert.deepEqual(ran, [], "nothing is taken for a moment");
  holding.mend(true);
  const search = { model: "tiny", idleMs: HANDED_BACK_MS };
  await until("its lease", async () => {
    return (await silentTasks(redis.connection, redis.keys, search)).length === 0;
  });
  await until("a look of the other", () => looking.arrived.some((text) => text.startsWith("XPENDING")));
  assert.deepEqual(ran, []);
});

/** A Redis Cluster one of whose masters is away. */
class HalfConnection extends FakeConnection {
  override ready = false;
  override sharded = true;
  override async command(...args: Argument[]): Promise<unknown> {
    const text = args.join(" ");
    this.arrived.push(text);
    if (text.includes("{gone}")) throw new Fault("redis_down", "its master is away");
    return redis.connection.command(...args);
  }
}

test("nothing is taken over while a part of Redis is away: those who keep their leases may not reach it", async () => {
  const ran: string[] = [];
  await silent("g.8");
  await keeperOf("partly", ran, { connection: new HalfConnection() }).sweepModel("tiny");
  assert.deepEqual(ran, []);
  await keeperOf("whole", ran).sweepModel("tiny");
  assert.deepEqual(ran, ["g.8"]);
});

test("leases are kept in what is there of Redis", async (t) => {
  const connection = new HalfConnection();
  // Really held: a first heartbeat that is late asks for that.
  const entry = await claimed("g.tiny", "partly");
  const inHand = ["gone", "tiny"].map((model) => ({ id: `g.${model}`, model, entry }) as Attempt);
  const keeper = keeperOf("partly", [], { connection, leaseMs: 60, inHand });
  t.after(() => {
    keeper.stop();
  });
  keeper.start();
  await until("a heartbeat", () => connection.arrived.some((text) => /^XCLAIM \S+{tiny}/.test(text)));
});

test("a task that rests is left to others, and is taken by its own station when the rest is over", async () => {
  const ran: string[] = [];
  await silent("g.6");
  let clock = 0;
  const over = Promise.withResolvers<string>();
  const resting = new Resting({ mono: () => clock, onOver: over.resolve });
  const station = idleStation(4);
  const keeper = keeperOf("resting", ran, { station, resting });
  const [task] = await silentTasks(redis.connection, redis.keys, {
    model: "tiny",
    idleMs: LEASE_MS,
  });
  assert.ok(task);
  resting.add({ model: "tiny", entry: task.entry }, station, 20);
  await keeper.sweepModel("tiny");
  assert.deepEqual(ran, []);
  assert.equal(station.free, 4, "no slot is kept for it");
  clock = 20;
  assert.equal(await over.promise, "tiny");
  await keeper.sweepModel("tiny");
  assert.deepEqual(ran, ["g.6"]);
  resting.stop();
});

test("a task waits where the circuit of its model is open, and no slot is kept from other models", async () => {
  const ran: string[] = [];
  await silent("g.7");
  let clock = 0;
  const gates = { failures: 1, mono: () => clock, random: () => 0.5 };
  const station = idleStation(4, { gates });
  const { gate, era } = station.occupy("tiny");
  gate.failed(era);
  station.release({ gate, era });
  const keeper = keeperOf("broken", ran, { station });
  await keeper.sweepModel("tiny");
  assert.deepEqual(ran, []);
  assert.equal(station.free, 4);
  assert.deepEqual(station.offer, { models: [], credits: 0 });
  clock = 2000;
  station.wake();
  await until("a probe", () => ran.length > 0);
  assert.deepEqual(ran, ["g.7"]);
});

/** The real Redis, where nothing can be written. */
class ReadOnlyConnection extends FakeConnection {
  override async command(...args: Argument[]): Promise<unknown> {
    const name = String(args[0]);
    this.arrived.push(name);
    if (name === "PEXPIRE") throw new Fault("redis_down", "MISCONF");
    return redis.connection.command(...args);
  }
}

test("leases that nobody could renew are not judged as soon as Redis takes writes again", async (t) => {
  const ran: string[] = [];
  await silent("g.10");
  const connection = new ReadOnlyConnection();
  // Holds nothing: it is told by a write of its own.
  const keeper = keeperOf("idle", ran, { connection, leaseMs: 3000 });
  t.after(() => {
    keeper.stop();
  });
  keeper.start();
  await until("a heartbeat", () => connection.arrived.includes("PEXPIRE"));
  await keeper.sweepModel("tiny");
  assert.deepEqual(ran, []);
  await keeperOf("elsewhere", ran).sweepModel("tiny");
  assert.deepEqual(ran, ["g.10"]);
});

/** The real Redis, whose answer to the first take-over is held back. */
class LateConnection extends FakeConnection {
  readonly late: PromiseWithResolvers<void> = Promise.withResolvers();
  taken = 0;
  override async command(...args: Argument[]): Promise<unknown> {
    const reply = await redis.connection.command(...args);
    if (args[0] !== "XCLAIM") return reply;
    this.taken += 1;
    if (this.taken === 1) await this.late.promise;
    return reply;
  }
}

test("a task that is being taken over is not taken over once more, however slowly Redis answers", async (t) => {
  const ran: string[] = [];
  const entry = await claimed("g.11", "slow");
  const connection = new LateConnection();
  const keeper = keeperOf("slow", ran, { connection });
  t.after(() => {
    keeper.stop();
  });
  await fallSilent(redis.connection, redis.keys, {
    model: "tiny",
    entry,
    consumer: "slow",
    idleMs: LEASE_MS,
  });
  keeper.lookForOrphans();
  await until("a take-over", () => connection.taken === 1);
  // It looks silent again before the answer has come.
  await fallSilent(redis.connection, redis.keys, {
    model: "tiny",
    entry,
    consumer: "slow",
    idleMs: LEASE_MS,
  });
  await keeper.sweepModel("tiny");
  connection.late.resolve();
  await until("a run", () => ran.length > 0);
  // Redis answers in order: by the last, whatever was claimed has run.
  for (let n = 0; n < 3; n += 1) await redis.connection.command("PING");
  assert.deepEqual(ran, ["g.11"]);
});

/** As {@link LateConnection}; the first answer of the clock is held back, too. */
class LateClock extends LateConnection {
  readonly clock: PromiseWithResolvers<void> = Promise.withResolvers();
  readonly asked: string[] = [];
  override async command(...args: Argument[]): Promise<unknown> {
    const name = String(args[0]);
    const reply = await super.command(...args);
    this.asked.push(name);
    if (name === "TIME" && this.times("TIME") === 1) await this.clock.promise;
    return reply;
  }
  times(name: string): number {
    return this.asked.filter((one) => one === name).length;
  }
}

test("a task whose delivery was late, but came, runs once", async (t) => {
  const ran: string[] = [];
  const entry = await claimed("g.17", "late");
  const connection = new LateConnection();
  const station = idleStation(4);
  let hands: Roll | undefined;
  const onRoll = (roll: Roll): void => void (hands = roll);
  const keeper = keeperOf("late", ran, { connection, station, onRoll });
  t.after(() => {
    keeper.stop();
  });
  keeper.lookForOrphans();
  await until("a take-over", () => connection.taken === 1);
  assert.equal(keeper.takes({ model: "tiny", entry }), true, "one that comes now does not run as well");
  // This one came just before.
  hands?.add({ id: "g.17", model: "tiny", entry } as Attempt);
  connection.late.resolve();
  await until("the end of the take-over", () => station.free === 4);
  assert.equal(keeper.takes({ model: "tiny", entry }), false);
  const attempts = await redis.connection.command("XLEN", redis.keys.reply("g.17"));
  assert.deepEqual([ran, attempts], [[], 0]);
});

/** What the gateway of all tasks here says. */
async function announce(server: string): Promise<void> {
  await redis.connection.command("SET", redis.keys.gateway("g"), JSON.stringify({ tag: "g", server }));
}

test("what a new master offers of a gateway that has not found it waits before CLAIM, and runs when it has", async (t) => {
  const ran: string[] = [];
  const ordinals: number[] = [];
  await claimed("g.16", "moved");
  await announce("old");
  const connection = new LateConnection();
  connection.server = "new";
  connection.late.resolve();
  const onRun = ({ ordinal }: Delivery): void => void ordinals.push(ordinal);
  const keeper = keeperOf("moved", ran, { connection, onRun });
  t.after(() => {
    keeper.stop();
  });
  connection.mend(true);
  await until("a look", () => connection.taken === 1);
  await announce("new");
  await until("a run", () => ran.length > 0);
  assert.deepEqual([ran, ordinals], [["g.16"], [2]], "one attempt by the one before, one now");
});

test("of two searches that find a task one takes it over, and its slot is taken until it runs", async (t) => {
  const ran: string[] = [];
  const entry = await claimed("g.14", "twice");
  await fallSilent(redis.connection, redis.keys, {
    model: "tiny",
    entry,
    consumer: "twice",
    idleMs: LEASE_MS,
  });
  const connection = new LateClock();
  const station = idleStation(4);
  const keeper = keeperOf("twice", ran, { connection, station });
  t.after(() => {
    keeper.stop();
  });
  keeper.lookForOrphans();
  void keeper.sweepModel("tiny");
  await until("both searches", () => connection.times("XPENDING") >= 2 && connection.times("TIME") === 1);
  connection.clock.resolve();
  await until("a take-over", () => connection.taken === 1);
  for (let n = 0; n < 3; n += 1) await redis.connection.command("PING");
  assert.deepEqual([ran, station.free], [[], 3], "the search that takes nothing lets nothing go");
  connection.late.resolve();
  await until("a run", () => ran.length > 0);
  assert.deepEqual([ran, station.free], [["g.14"], 4]);
});

test("the probe of a half-open circuit is nobody else's before CLAIM: turned away later it would count as an attempt", async () => {
  const ran: string[] = [];
  await silent("g.15");
  let clock = 0;
  const station = idleStation(4, { gates: { failures: 1, mono: () => clock, random: () => 0.5 } });
  const failed = station.occupy("tiny");
  failed.gate.failed(failed.era);
  station.release(failed);
  clock = 2000;
  const connection = new LateConnection();
  const swept = keeperOf("probing", ran, { connection, station }).sweepModel("tiny");
  await until("a take-over", () => connection.taken === 1);
  assert.deepEqual([station.offer.credits, station.roomFor("tiny"), station.admits("tiny")], [0, 0, false]);
  connection.late.resolve();
  await swept;
  assert.deepEqual([ran, station.roomFor("tiny")], [["g.15"], 1]);
});

test("a task that is being taken over has a slot, which is not lent, nor a first delivery's where slots are lent", async (t) => {
  const ran: string[] = [];
  await silent("g.12");
  const connection = new LateConnection();
  const station = idleStation(2);
  assert.ok(station.borrow());
  const keeper = keeperOf("lending", ran, { connection, station });
  t.after(() => {
    keeper.stop();
  });
  const swept = keeper.sweepModel("tiny");
  await until("a take-over", () => connection.taken === 1);
  assert.deepEqual([station.borrow(), station.free, station.admits("tiny")], [false, 0, false]);
  connection.late.resolve();
  await swept;
  assert.deepEqual([ran, station.free], [["g.12"], 1]);
});

test("the slot of a task whose take-over failed is free again", async () => {
  const ran: string[] = [];
  await silent("g.13");
  const connection = new LateConnection();
  const station = idleStation(1);
  const swept = keeperOf("slower", ran, { connection, station }).sweepModel("tiny");
  await until("a take-over", () => connection.taken === 1);
  assert.equal(station.free, 0);
  connection.late.reject(new Fault("redis_down", "away"));
  await swept;
  assert.deepEqual([ran, station.free], [[], 1]);
});
