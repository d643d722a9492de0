import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../src/core/fault.ts";
import type { Argument } from "../../src/redis/connection.ts";
import { HANDED_BACK_MS } from "../../src/redis/pending.ts";
import { silentTasks } from "../../src/redis/task-stream.ts";
import type { Attempt } from "../../src/worker/attempt.ts";
import { until } from "../journey/until.ts";
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

test("another master is told at once what is held, before others take what it knows as handed back", async (t) => {
  const ran: string[] = [];
  const entry = await rig.returned("g.26");
  // Taken, but this master has not heard of it.
  const inHand = [{ id: "g.26", model: "tiny", entry } as Attempt];
  const [holding, looking] = [new PassingConnection(rig), new PassingConnection(rig)];
  const holder = rig.partsOf("holder", ran, { connection: holding, inHand });
  const other = rig.partsOf("other", ran, { connection: looking });
  t.after(() => {
    for (const part of [holder.keeper, holder.sweeper, other.keeper, other.sweeper]) part.stop();
  });
  looking.mend(true);
  await other.sweeper.sweepModel("tiny");
  assert.deepEqual(ran, [], "nothing is taken for a moment");
  holding.mend(true);
  const search = { model: "tiny", idleMs: HANDED_BACK_MS };
  await until("its lease", async () => {
    return (await silentTasks(rig.redis.connection, rig.redis.keys, search)).length === 0;
  });
  await until("a look of the other", () => looking.times("XPENDING") > 0);
  assert.deepEqual(ran, []);
});

test("leases are kept in what is there of Redis", async (t) => {
  const connection = new HalfConnection(rig);
  // Really held: a first heartbeat that is late asks for that.
  const entry = await rig.claimed("g.tiny", "partly");
  const inHand = ["gone", "tiny"].map((model) => ({ id: `g.${model}`, model, entry }) as Attempt);
  const { keeper } = rig.partsOf("partly", [], { connection, leaseMs: 60, inHand });
  t.after(() => {
    keeper.stop();
  });
  keeper.start();
  await until("a heartbeat", () => connection.arrived.some((text) => /^XCLAIM \S+{tiny}/.test(text)));
});

test("leases that nobody could renew are not judged as soon as Redis takes writes again", async (t) => {
  const ran: string[] = [];
  await rig.silent("g.10");
  const connection = new ReadOnlyConnection(rig);
  // Holds nothing: it is told by a write of its own.
  const { keeper, sweeper } = rig.partsOf("idle", ran, { connection, leaseMs: 3000 });
  t.after(() => {
    keeper.stop();
  });
  keeper.start();
  await until("a heartbeat", () => connection.times("PEXPIRE") > 0);
  await sweeper.sweepModel("tiny");
  assert.deepEqual(ran, []);
  await rig.sweeperOf("elsewhere", ran).sweepModel("tiny");
  assert.deepEqual(ran, ["g.10"]);
});
