import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../src/core/fault.ts";
import type { Argument } from "../../src/redis/connection/connection.ts";
import { REQUEUED_MS } from "../../src/redis/pending.ts";
import type { Attempt } from "../../src/worker/attempt.ts";
import { until } from "../rig/until.ts";
import { forAllTests, HalfConnection, PassingConnection } from "./lease-rig.ts";
import type { LeaseRig } from "./lease-rig.ts";

let rig: LeaseRig;
forAllTests((opened) => {
  rig = opened;
});

/** The real Redis, where nothing can be written. */
class ReadOnlyConnection extends PassingConnection {
  override async command(...args: Argument[]): Promise<unknown> {
    const reply = await super.command(...args);
    if (args[0] === "PEXPIRE") throw new Fault("redis_down", "MISCONF");
    return reply;
  }
}

test("another master learns at once which tasks are held, before others take them as requeued", async (t) => {
  const ran: string[] = [];
  const entry = await rig.returned("g.26");
  // Taken, but this master has not heard of it.
  const inHand = [{ id: "g.26", model: "tiny", entry } as Attempt];
  const [holding, searching] = [new PassingConnection(rig), new PassingConnection(rig)];
  const holder = rig.partsOf("holder", ran, { connection: holding, inHand });
  const other = rig.partsOf("other", ran, { connection: searching });
  t.after(() => {
    for (const part of [holder.leaseRenewer, holder.sweeper, other.leaseRenewer, other.sweeper]) part.stop();
  });
  searching.mend(true);
  await other.sweeper.sweepModel("tiny");
  assert.deepEqual(ran, [], "for a moment nothing is taken");
  holding.mend(true);
  const search = { model: "tiny", idleMs: REQUEUED_MS };
  await until("its lease", async () => {
    return (await rig.redis.stores.leases.silent(search)).length === 0;
  });
  await until("a search of the other", () => searching.times("XPENDING") > 0);
  assert.deepEqual(ran, []);
});

test("leases are kept in what is there of Redis", async (t) => {
  const connection = new HalfConnection(rig);
  // Really held: a first heartbeat that is late asks for that.
  const entry = await rig.claimed("g.tiny", "partly");
  const inHand = ["gone", "tiny"].map((model) => ({ id: `g.${model}`, model, entry }) as Attempt);
  const { leaseRenewer } = rig.partsOf("partly", [], { connection, leaseMs: 60, inHand });
  t.after(() => {
    leaseRenewer.stop();
  });
  leaseRenewer.start();
  await until("a heartbeat", () => connection.arrived.some((text) => /^XCLAIM \S+{tiny}/.test(text)));
});

test("leases that could not be renewed are not judged as soon as Redis takes writes again", async (t) => {
  const ran: string[] = [];
  await rig.silent("g.10");
  const connection = new ReadOnlyConnection(rig);
  // Holds nothing: it finds out by a write of its own.
  const { leaseRenewer, sweeper } = rig.partsOf("idle", ran, { connection, leaseMs: 3000 });
  t.after(() => {
    leaseRenewer.stop();
  });
  leaseRenewer.start();
  await until("a heartbeat", () => connection.times("PEXPIRE") > 0);
  await sweeper.sweepModel("tiny");
  assert.deepEqual(ran, []);
  await rig.sweeperOf("elsewhere", ran).sweepModel("tiny");
  assert.deepEqual(ran, ["g.10"]);
});
