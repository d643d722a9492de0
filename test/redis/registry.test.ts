import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { WorkerAnnouncement } from "../../src/core/fleet.ts";
import { MetricsReports } from "../../src/redis/inspect/metrics-reports.ts";
import { QueueReadings } from "../../src/redis/inspect/queue-readings.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";

let rig: RedisRig;

before(async () => {
  rig = await openRedisRig();
});
after(async () => {
  await rig.close();
});

const WORKER: WorkerAnnouncement = {
  id: "w1",
  version: "1",
  host: "h",
  pid: 1,
  startedAt: 1,
  seenAt: Date.now(),
  draining: false,
  backends: [],
};

describe("a key of another type", () => {
  // Found by fuzzing: one such key, and no gateway saw any worker.
  it("in the place of an announcement hides no other one", async () => {
    const { connection, keys, stores } = rig;
    await stores.registry.announceWorker(WORKER, false);
    for (const [index, key] of [
      [keys.workers(), keys.worker("odd")],
      [keys.gateways(), keys.gateway("odd")],
    ] as const) {
      await connection.command("ZADD", index, "1", "odd");
      await connection.command("RPUSH", key, "odd");
    }
    const found = await stores.registry.listWorkers();
    assert.deepEqual(
      found.map(({ id }) => id),
      ["w1"],
    );
    assert.deepEqual(await stores.registry.listGateways(), []);
  });

  it("in the place of a report leaves the others", async () => {
    const { connection, keys } = rig;
    await connection.command("SET", keys.workerMetrics("w1"), "[1]");
    await connection.command("RPUSH", keys.workerMetrics("odd"), "odd");
    const reports = await MetricsReports.ofWorkers(connection, keys).read(["odd", "w1"]);
    assert.deepEqual([...reports], [["w1", [1]]]);
  });

  it("in the place of a queue or its dead letters counts as empty", async () => {
    const { connection, keys, stores } = rig;
    await connection.command("SET", keys.queue("odd"), "odd");
    await connection.command("SET", keys.dead("odd"), "odd");
    await stores.queue.add("m", Buffer.from("x"));
    const [odd, sound] = await new QueueReadings(connection, keys).read(["odd", "m"]);
    assert.deepEqual([odd?.waiting, odd?.deadLetters, sound?.waiting], [0, 0, 1]);
  });

  it("in the place of a queue keeps nothing from being tidied", async () => {
    const { connection, keys, stores } = rig;
    await connection.command("ZADD", keys.models(), "1", "odd", "1", "old");
    await stores.registry.removeUnserved(2);
    assert.equal(await connection.command("ZSCORE", keys.models(), "old"), null);
    assert.notEqual(await connection.command("ZSCORE", keys.models(), "odd"), null);
  });
});
