import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../src/core/fault.ts";
import type { Argument } from "../../src/redis/connection/connection.ts";
import type { Delivery } from "../../src/worker/attempt.ts";
import { until } from "../rig/until.ts";
import { forAllTests, HalfConnection, LateConnection, PassingConnection } from "./lease-rig.ts";
import type { LeaseRig } from "./lease-rig.ts";

let rig: LeaseRig;
forAllTests((opened) => {
  rig = opened;
});

/** The real Redis, which refuses TIME: leases are not judged after that. */
class TimelessConnection extends PassingConnection {
  override async command(...args: Argument[]): Promise<unknown> {
    if (args[0] === "TIME") throw new Fault("redis_down", "NOPERM");
    return super.command(...args);
  }
}

test("a task that Redis gave to this worker, which never got the answer, is run long before its lease ends", async () => {
  const ran: string[] = [];
  await rig.claimed("g.1", "other");
  await rig.claimed("g.2", "me");
  const sweeper = rig.sweeperOf("me", ran);
  sweeper.findOrphans();
  await until("a run", () => ran.length > 0);
  sweeper.stop();
  assert.deepEqual(ran, ["g.2"], "a task of another worker is left alone");
});

test("a task whose delivery was lost counts as not delivered, a task of a lost worker as delivered", async () => {
  const deliveries: number[] = [];
  const ran: string[] = [];
  const onRun = (delivery: Delivery): void => void deliveries.push(delivery.deliveries);
  const entry = await rig.claimed("g.20", "careless");
  for (const count of [1, 2]) {
    // Forgets what it has each time, as when the answer to its claim was lost.
    const sweeper = rig.sweeperOf("careless", ran, { onRun });
    sweeper.findOrphans();
    await until("a run", () => ran.length === count);
    sweeper.stop();
  }
  await rig.requeue(entry, "careless");
  await rig.sweeperOf("next", ran, { onRun }).sweepModel("tiny");
  assert.deepEqual(deliveries, [1, 1, 2]);
});

test("a worker that leaves takes nothing over, not even a task that it has just requeued", async () => {
  const ran: string[] = [];
  await rig.returned("g.3", "leaving");
  const leaving = rig.sweeperOf("leaving", ran);
  leaving.drain();
  await leaving.sweepModel("tiny");
  assert.deepEqual(ran, []);
  await rig.sweeperOf("staying", ran).sweepModel("tiny");
  assert.deepEqual(ran, ["g.3"]);
});

test("a hint to sweep is not followed while leases cannot be judged", async () => {
  const ran: string[] = [];
  await rig.silent("g.5");
  await rig.sweeperOf("new", ran, { sweepDelayMs: 10_000 }).sweepModel("tiny");
  assert.deepEqual(ran, []);
});

test("a requeued task is taken while leases cannot be judged, a task that only looks silent is not", async () => {
  const ran: string[] = [];
  await rig.silent("g.21");
  await rig.returned("g.22");
  await rig.sweeperOf("new", ran, { sweepDelayMs: 600_000 }).sweepModel("tiny");
  assert.deepEqual(ran, ["g.22"]);
});

test("a requeued task is taken without a read of Redis's clock, also where others were found with it", async () => {
  const ran: string[] = [];
  await rig.silent("g.23");
  await rig.returned("g.24");
  await rig.sweeperOf("timeless", ran, { connection: new TimelessConnection(rig) }).sweepModel("tiny");
  assert.deepEqual(ran, ["g.24"]);
});

test("a task that was requeued while a worker was disconnected is found after the reconnect", async (t) => {
  const ran: string[] = [];
  const connection = new PassingConnection(rig);
  const sweeper = rig.sweeperOf("deaf", ran, { connection });
  t.after(() => {
    sweeper.stop();
  });
  connection.cut();
  await rig.returned("g.25");
  connection.mend();
  await until("a run", () => ran.length > 0);
  assert.deepEqual(ran, ["g.25"]);
});

test("nothing is taken over while a part of Redis is away: the workers of its tasks may not reach it", async () => {
  const ran: string[] = [];
  await rig.silent("g.8");
  await rig.sweeperOf("partly", ran, { connection: new HalfConnection(rig) }).sweepModel("tiny");
  assert.deepEqual(ran, []);
  await rig.sweeperOf("whole", ran).sweepModel("tiny");
  assert.deepEqual(ran, ["g.8"]);
});

/** Announces the gateway of all tasks here. */
async function announce(server: string): Promise<void> {
  const { connection, keys } = rig.redis;
  await connection.command("SET", keys.gateway("g"), JSON.stringify({ tag: "g", server }));
}

test("a task of a gateway that has not found the new master waits before CLAIM, then runs", async (t) => {
  const ran: string[] = [];
  const ordinals: number[] = [];
  await rig.claimed("g.16", "moved");
  await announce("old");
  const connection = new LateConnection(rig);
  connection.server = "new";
  connection.late.resolve();
  const onRun = ({ ordinal }: Delivery): void => void ordinals.push(ordinal);
  const sweeper = rig.sweeperOf("moved", ran, { connection, onRun });
  t.after(() => {
    sweeper.stop();
  });
  connection.mend(true);
  await until("a search", () => connection.taken === 1);
  await announce("new");
  await until("a run", () => ran.length > 0);
  assert.deepEqual([ran, ordinals], [["g.16"], [2]], "one attempt by the one before, one now");
});
