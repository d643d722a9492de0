import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { WorkerAnnouncement } from "../../src/core/fleet.ts";
import { Catalogue } from "../../src/gateway/catalogue.ts";
import { announceWorker, holdTag } from "../../src/redis/registry.ts";
import { enqueue } from "../../src/redis/task-stream.ts";
import { openRedisRig, type RedisRig } from "../redis/rig.ts";
import { idleStation } from "../worker/station-rig.ts";

let redis: RedisRig;

/** `[9, id]` in msgpack: all that counts of a task here. */
function record(id: string): Buffer {
  return Buffer.concat([Buffer.from([0x92, 9, 0xa0 + id.length]), Buffer.from(id)]);
}

before(async () => {
  redis = await openRedisRig();
});
after(async () => {
  await redis.close();
});

test("a model that was seen a moment ago is still known when Redis has lost its data", async () => {
  const { connection, keys } = redis;
  let clock = 1000;
  const catalogue = new Catalogue({ connection, keys, now: () => clock, memoryMs: 500 });
  const worker: WorkerAnnouncement = {
    id: "w1",
    version: "0",
    host: "h",
    pid: 1,
    startedAt: 0,
    seenAt: clock,
    draining: false,
    backends: [idleStation(1).announcement()],
  };
  await announceWorker(connection, keys, worker, false);
  await catalogue.refresh();
  assert.equal(catalogue.find("tiny"), "tiny");
  await connection.command("FLUSHALL");
  clock += 400;
  await catalogue.refresh();
  assert.equal(catalogue.find("tiny"), "tiny");
  assert.deepEqual(catalogue.served, []);
  clock += 200;
  await catalogue.refresh();
  assert.equal(catalogue.find("tiny"), undefined);
});

test("queues that no worker reads are tidied, and their models remembered as long as something waits there", async () => {
  const { connection, keys } = redis;
  await connection.command("FLUSHALL");
  const now = 100_000;
  const catalogue = new Catalogue({ connection, keys, now: () => now, memoryMs: 500 });
  const worker: WorkerAnnouncement = {
    id: "w1",
    version: "0",
    host: "h",
    pid: 1,
    startedAt: 0,
    seenAt: now,
    draining: false,
    backends: [idleStation(1).announcement()],
  };
  await announceWorker(connection, keys, worker, false);
  await connection.command("ZADD", keys.models(), "1", "gone", "1", "wanted");
  await holdTag(connection, keys, "galive");
  for (const model of ["tiny", "gone"]) await enqueue(connection, keys, model, record("gdead.1"));
  await enqueue(connection, keys, "wanted", record("galive.1"));
  await catalogue.tidy();
  const lengths = ["tiny", "gone", "wanted"].map(async (model) =>
    connection.command("XLEN", keys.queue(model)),
  );
  assert.deepEqual(await Promise.all(lengths), [1, 0, 1], "what has a worker is its worker's");
  assert.equal(String(await connection.command("ZRANGE", keys.models(), "0", "-1")), "wanted,tiny");
});
