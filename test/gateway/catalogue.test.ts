import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { WorkerAnnouncement } from "../../src/core/fleet.ts";
import { Catalogue } from "../../src/gateway/catalogue.ts";
import { announceWorker } from "../../src/redis/registry.ts";
import { openRedisRig, type RedisRig } from "../redis/rig.ts";
import { idleStation } from "../worker/station-rig.ts";

let redis: RedisRig;

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
