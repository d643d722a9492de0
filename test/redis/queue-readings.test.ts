import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { QueueReading } from "../../src/core/fleet.ts";
import { queueFor } from "../../src/core/ability.ts";
import { readRedis } from "../../src/redis/connection/server.ts";
import { MetricsReports } from "../../src/redis/inspect/metrics-reports.ts";
import { OpenTasks } from "../../src/redis/inspect/open-tasks.ts";
import { QueueReadings } from "../../src/redis/inspect/queue-readings.ts";
import { openStores } from "../../src/redis/stores.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";
import { fallSilent } from "../rig/redis/silence.ts";

let rig: RedisRig;

before(async () => {
  rig = await openRedisRig();
});
after(async () => {
  await rig.close();
});

/** Puts a task into a queue as if it had been there for a while. */
async function enqueueAged(model: string, ageMs: number, n: number): Promise<void> {
  const id = `${Date.now() - ageMs}-${n}`;
  await rig.connection.command("XADD", rig.keys.queue(model), id, "t", "x");
}

describe("a reading of a queue", () => {
  it("tells how many wait and since when, how many are claimed and since when they are silent", async () => {
    const { connection, keys, stores } = rig;
    await stores.queue.ensureGroup("m");
    await enqueueAged("m", 90_000, 1);
    await enqueueAged("m", 60_000, 1);
    await stores.queue.add("m", Buffer.from("x"));
    const claims = { models: ["m"], consumer: "w", credits: 1, waitMs: 5 };
    const [first] = await openStores(await rig.connect(), keys).consumer.take(claims);
    const hold = { model: "m", entry: first?.entry ?? "", consumer: "w" };
    await fallSilent(connection, keys, { ...hold, idleMs: 30_000 });
    const fault = { code: "delivery_limit", message: "", http: 502 } as const;
    await stores.letters.add({
      model: "m",
      payload: Buffer.from("x"),
      fault,
      deliveries: 3,
      worker: "w",
    });
    const [reading] = await new QueueReadings(connection, keys).read(["m"]);
    assert.ok(reading);
    const { oldestWaitMs, oldestIdleMs, ...counts } = reading;
    assert.deepEqual(counts, { model: "m", waiting: 2, claimed: 1, deadLetters: 1 });
    assert.ok(oldestWaitMs >= 60_000 && oldestWaitMs < 89_000, String(oldestWaitMs));
    assert.ok(oldestIdleMs >= 30_000 && oldestIdleMs < 59_000, String(oldestIdleMs));

    await stores.leases.requeue(hold);
    const [later] = await new QueueReadings(connection, keys).read(["m"]);
    assert.deepEqual([later?.waiting, later?.claimed, later?.oldestIdleMs], [3, 0, 0], "it waits again");
    assert.ok((later?.oldestWaitMs ?? 0) >= 90_000, String(later?.oldestWaitMs));
  });

  it("counts a model's ability queues in, and its letters once", async () => {
    const { connection, keys, stores } = rig;
    const ability = queueFor("laned", "openai-rerank");
    await stores.queue.ensureGroup("laned");
    await stores.queue.ensureGroup(ability);
    await enqueueAged("laned", 1000, 1);
    await enqueueAged(ability, 50_000, 1);
    await enqueueAged(ability, 50_000, 2);
    const claims = { models: [ability], consumer: "w", credits: 1, waitMs: 5 };
    const [claimed] = await openStores(await rig.connect(), keys).consumer.take(claims);
    assert.equal(claimed?.model, ability);
    const letter = { model: ability, payload: Buffer.from("x"), deliveries: 3, worker: "w" };
    await stores.letters.add({
      ...letter,
      fault: { code: "delivery_limit", message: "", http: 502 },
    });
    const readings = await new QueueReadings(connection, keys).read([
      ability,
      "laned",
      queueFor("laned", "openai-score"),
    ]);
    const [{ oldestWaitMs, oldestIdleMs: _idle, ...counts }, ...others] = readings as [QueueReading];
    assert.deepEqual(others, []);
    assert.deepEqual(counts, {
      model: "laned",
      waiting: 2,
      claimed: 1,
      deadLetters: 1,
      abilities: ["rerank"],
    });
    assert.ok(oldestWaitMs >= 50_000);
    assert.ok((await stores.letters.models()).includes("laned"));
    const [held] = await new OpenTasks(connection, keys).held(["laned", ability], 9);
    assert.equal(held?.model, "laned");
  });

  it("is all zeros for a queue that does not exist, and has the wait where no worker ever was", async () => {
    await enqueueAged("orphan", 5000, 1);
    const readings = await new QueueReadings(rig.connection, rig.keys).read(["none", "orphan"]);
    const zero = { waiting: 0, oldestWaitMs: 0, claimed: 0, oldestIdleMs: 0, deadLetters: 0 };
    assert.deepEqual(readings[0], { model: "none", ...zero });
    assert.equal(readings[1]?.waiting, 1);
    assert.ok((readings[1]?.oldestWaitMs ?? 0) >= 5000);
  });
});

describe("a reading of Redis", () => {
  it("tells memory, clients and age", async () => {
    const reading = await readRedis(rig.connection, () => performance.now());
    assert.ok(reading.usedMemoryBytes > 100_000);
    assert.ok(reading.clients >= 1);
    assert.ok(reading.roundTripMs > 0);
    assert.equal(reading.maxMemoryBytes, 0);
    assert.equal(reading.persistent, true);
  });
});

describe("workers' reports", () => {
  it("are read until they are forgotten; what is no JSON is left out", async () => {
    const { connection, keys } = rig;
    const reports = MetricsReports.ofWorkers(connection, keys);
    await reports.put("w1", "[1]");
    await reports.put("w2", "{");
    assert.ok(Number(await connection.command("PTTL", keys.workerMetrics("w1"))) > 0);
    assert.deepEqual(await reports.read(["w1", "w2", "w3"]), new Map([["w1", [1]]]));
    await reports.forget("w1");
    assert.deepEqual(await reports.read(["w1"]), new Map());
  });
});
