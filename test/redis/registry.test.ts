import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { WorkerAnnouncement } from "../../src/core/fleet.ts";
import { readReports } from "../../src/redis/metrics-reports.ts";
import { readQueues } from "../../src/redis/queue-readings.ts";
import { announceWorker, listGateways, listWorkers, tidyRegistry } from "../../src/redis/registry.ts";
import { enqueue } from "../../src/redis/task-stream.ts";
import { openRedisRig } from "./rig.ts";
import type { RedisRig } from "./rig.ts";

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
  it("in the place of an announcement hides nobody else's", async () => {
    const { connection, keys } = rig;
    await announceWorker(connection, keys, WORKER, false);
    for (const [index, key] of [
      [keys.workers(), keys.worker("odd")],
      [keys.gateways(), keys.gateway("odd")],
    ] as const) {
      await connection.command("ZADD", index, "1", "odd");
      await connection.command("RPUSH", key, "odd");
    }
    const found = await listWorkers(connection, keys);
    assert.deepEqual(
      found.map(({ id }) => id),
      ["w1"],
    );
    assert.deepEqual(await listGateways(connection, keys), []);
  });

  it("in the place of a report leaves the others", async () => {
    const { connection, keys } = rig;
    await connection.command("SET", keys.workerMetrics("w1"), "[1]");
    await connection.command("RPUSH", keys.workerMetrics("odd"), "odd");
    const reports = await readReports(connection, (id) => keys.workerMetrics(id), ["odd", "w1"]);
    assert.deepEqual([...reports], [["w1", [1]]]);
  });

  it("in the place of a queue or its dead letters counts as empty", async () => {
    const { connection, keys } = rig;
    await connection.command("SET", keys.queue("odd"), "odd");
    await connection.command("SET", keys.dead("odd"), "odd");
    await enqueue(connection, keys, "m", Buffer.from("x"));
    const [odd, sound] = await readQueues(connection, keys, ["odd", "m"]);
    assert.deepEqual([odd?.waiting, odd?.deadLetters, sound?.waiting], [0, 0, 1]);
  });

  it("in the place of a queue keeps nothing from being tidied", async () => {
    const { connection, keys } = rig;
    await connection.command("ZADD", keys.models(), "1", "odd", "1", "old");
    await tidyRegistry(connection, keys, 2);
    assert.equal(await connection.command("ZSCORE", keys.models(), "old"), null);
    assert.notEqual(await connection.command("ZSCORE", keys.models(), "odd"), null);
  });
});
