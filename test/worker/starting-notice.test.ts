import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { listWorkers } from "../../src/redis/registry.ts";
import { StartingNotice } from "../../src/worker/starting-notice.ts";
import { openRedisRig, type RedisRig } from "../redis/rig.ts";
import { until } from "../journey/until.ts";

let redis: RedisRig;

before(async () => {
  redis = await openRedisRig();
});
after(async () => {
  await redis.close();
});

function notice(worker: string, startupMs: number): StartingNotice {
  const { connection, keys } = redis;
  const time = { now: () => 77, mono: () => 5 };
  return new StartingNotice({ connection, keys, worker, version: "1.2.3", startupMs, ...time });
}

it("a worker that gets ready is known before it has a backend, and until it says something itself", async () => {
  const news = Promise.withResolvers<void>();
  const channel = await redis.connect();
  await channel.subscribe(redis.keys.fleet(), () => news.resolve());
  const told = notice("w1", 1000);
  await news.promise;
  await until("the notice", async () => (await listWorkers(redis.connection, redis.keys)).length === 1);
  const [worker] = await listWorkers(redis.connection, redis.keys);
  assert.deepEqual(
    [worker?.id, worker?.version, worker?.starting, worker?.draining, worker?.backends],
    ["w1", "1.2.3", true, false, []],
  );
  await told.stop();
  assert.equal((await listWorkers(redis.connection, redis.keys)).length, 1);
  await told.withdraw();
  assert.deepEqual(await listWorkers(redis.connection, redis.keys), []);
});

it("a worker that may take no time says nothing", async () => {
  const told = notice("w2", 0);
  await told.stop();
  assert.deepEqual(await listWorkers(redis.connection, redis.keys), []);
});
