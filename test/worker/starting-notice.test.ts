import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { openStores } from "../../src/redis/stores.ts";
import { StartingNotice } from "../../src/worker/starting-notice.ts";
import { openRedisRig, type RedisRig } from "../rig/redis/redis-rig.ts";
import { until } from "../rig/until.ts";

let redis: RedisRig;

before(async () => {
  redis = await openRedisRig();
});
after(async () => {
  await redis.close();
});

function notice(worker: string, startupMs: number): StartingNotice {
  const { connection, keys } = redis;
  const ambient = { now: () => 77, mono: () => 5 };
  return new StartingNotice({
    stores: openStores(connection, keys),
    worker,
    version: "1.2.3",
    startupMs,
    ambient,
  });
}

it("a worker that gets ready is known before it has a backend, and until it says something itself", async () => {
  const news = Promise.withResolvers<void>();
  const channel = await redis.connect();
  await channel.subscribe(redis.keys.fleet(), () => news.resolve());
  const sent = notice("w1", 1000);
  await news.promise;
  await until("the notice", async () => (await redis.stores.registry.listWorkers()).length === 1);
  const [worker] = await redis.stores.registry.listWorkers();
  assert.deepEqual(
    [worker?.id, worker?.version, worker?.starting, worker?.draining, worker?.backends],
    ["w1", "1.2.3", true, false, []],
  );
  await sent.stop();
  assert.equal((await redis.stores.registry.listWorkers()).length, 1);
  await sent.withdraw();
  assert.deepEqual(await redis.stores.registry.listWorkers(), []);
});

it("a worker that may take no time says nothing", async () => {
  const sent = notice("w2", 0);
  await sent.stop();
  assert.deepEqual(await redis.stores.registry.listWorkers(), []);
});
