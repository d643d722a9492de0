import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it, test } from "node:test";
import type { WorkerAnnouncement } from "../../src/core/fleet.ts";
import type { Task } from "../../src/core/task.ts";
import { queueFor } from "../../src/core/ability.ts";
import { Catalogue } from "../../src/gateway/fleet/catalogue.ts";
import { destinationOf, lackOf } from "../../src/gateway/requests/destination.ts";
import type { Connection } from "../../src/redis/connection/connection.ts";
import type { Keys } from "../../src/redis/keys.ts";
import { encodeTask } from "../../src/wire/task-codec.ts";
import { openRedisRig, type RedisRig } from "../rig/redis/redis-rig.ts";
import { openStores } from "../../src/redis/stores.ts";
import { announcementOf } from "../../src/worker/backend-announcement.ts";
import { idleBackendSlots } from "../worker/idle-backend.ts";
import { aTask } from "../rig/task.ts";

let redis: RedisRig;

/** `[9, id]` in msgpack: all that counts of a task here. */
function record(id: string): Buffer {
  return Buffer.concat([Buffer.from([0x92, 9, 0xa0 + id.length]), Buffer.from(id)]);
}

function workerAt(seenAt: number): WorkerAnnouncement {
  return {
    id: "w1",
    version: "0",
    host: "h",
    pid: 1,
    startedAt: 0,
    seenAt,
    draining: false,
    backends: [announcementOf(idleBackendSlots(1))],
  };
}

before(async () => {
  redis = await openRedisRig();
});
after(async () => {
  await redis.close();
});

test("a model that was seen a moment ago is still known when Redis has lost its data", async () => {
  const { connection, keys, stores } = redis;
  let clock = 1000;
  const catalogue = new Catalogue({
    connection,
    stores: openStores(connection, keys),
    tag: "g1",
    now: () => clock,
    memoryMs: 500,
  });
  await stores.registry.announceWorker(workerAt(clock), false);
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

test("an ability queue is remembered for a minute while its model is served, and for as long as the model without", async () => {
  const { connection, keys, stores } = redis;
  await connection.command("FLUSHALL");
  let clock = 1_000_000;
  const catalogue = new Catalogue({
    connection,
    stores: openStores(connection, keys),
    tag: "g1",
    now: () => clock,
    memoryMs: 600_000,
  });
  const announce = async (endpoints: readonly string[]): Promise<void> => {
    const worker = workerAt(clock);
    const backends = worker.backends.map((backend) => {
      return { ...backend, models: backend.models.map((card) => ({ ...card, endpoints })) };
    });
    await stores.registry.announceWorker({ ...worker, backends }, false);
    await catalogue.refresh();
  };
  const ability = queueFor("tiny", "openai-rerank");
  const waiting = { queue: ability, task: { endpoint: "openai-rerank", model: "tiny" } } as const;
  await announce(["rerank", "score"]);
  assert.deepEqual(catalogue.served, ["tiny"]);
  assert.deepEqual(catalogue.queues, ["tiny", ability, queueFor("tiny", "openai-score")]);
  assert.deepEqual(catalogue.models[0]?.endpoints, ["rerank", "score"]);
  assert.equal(catalogue.find(ability), undefined, "the name of a ability is none of a model");
  await announce([]);
  clock += 59_999;
  assert.equal(destinationOf(catalogue, "openai-rerank", "tiny").queue, ability);
  assert.equal(lackOf(catalogue, waiting), undefined);
  clock += 1;
  assert.throws(() => destinationOf(catalogue, "openai-rerank", "tiny"), { code: "not_implemented" });
  assert.equal(lackOf(catalogue, waiting)?.code, "not_implemented");
  assert.equal(
    lackOf(catalogue, { queue: "tiny", task: { endpoint: "openai-chat", model: "tiny" } }),
    undefined,
  );
  await connection.command("DEL", keys.worker("w1"));
  await catalogue.refresh();
  assert.equal(destinationOf(catalogue, "openai-rerank", "tiny").queue, ability, "nobody is there at all");
});

describe("queues that no worker reads", () => {
  let clock = 0;
  let connection: Connection;
  let keys: Keys;

  beforeEach(async () => {
    ({ connection, keys } = redis);
    clock = Date.now();
    await connection.command("FLUSHALL");
    await connection.command("ZADD", keys.models(), "1", "gone", "1", "wanted");
    for (const tag of ["gown", "galive"]) await redis.stores.registry.announceTag(tag);
  });

  function catalogueOf(now: () => number = () => clock): Catalogue {
    return new Catalogue({
      connection,
      stores: openStores(connection, keys),
      tag: "gown",
      now,
      memoryMs: 500,
    });
  }

  async function lengths(...models: readonly string[]): Promise<unknown[]> {
    return Promise.all(models.map(async (model) => connection.command("XLEN", keys.queue(model))));
  }

  it("are tidied, and their models remembered as long as something waits there", async () => {
    const catalogue = catalogueOf();
    await redis.stores.registry.announceWorker(workerAt(clock), false);
    for (const model of ["tiny", "gone"]) await redis.stores.queue.add(model, record("gdead.1"));
    await redis.stores.queue.add("wanted", record("galive.1"));
    await catalogue.removeStale();
    assert.deepEqual(
      await lengths("tiny", "gone", "wanted"),
      [1, 1, 1],
      "its gateway may be there again soon",
    );
    await catalogue.removeStale();
    assert.deepEqual(await lengths("tiny", "gone", "wanted"), [1, 0, 1], "what has a worker is its worker's");
    assert.equal(String(await connection.command("ZRANGE", keys.models(), "0", "-1")), "wanted,tiny");
  });

  it("keep what they have when all announcements have expired, also those of who tidies", async () => {
    const catalogue = catalogueOf();
    await redis.stores.registry.announceWorker(workerAt(clock), false);
    for (const tag of ["gown", "galive", "gdead"])
      for (const model of ["tiny", "wanted"]) await redis.stores.queue.add(model, record(`${tag}.1`));
    await catalogue.removeStale();
    // Redis's clock was put forward.
    await connection.command("DEL", keys.gateway("galive"), keys.worker("w1"));
    await catalogue.removeStale();
    assert.deepEqual(await lengths("tiny", "wanted"), [3, 2], "one was gone before, and where nobody read");
    await connection.command("DEL", keys.gateway("gown"));
    await catalogue.removeStale();
    await catalogue.removeStale();
    assert.deepEqual(await lengths("tiny", "wanted"), [3, 2], "Redis keeps no announcement now");
    await redis.stores.registry.announceTag("gown");
    await catalogue.removeStale();
    assert.deepEqual(await lengths("tiny", "wanted"), [3, 2]);
    await catalogue.removeStale();
    assert.deepEqual(await lengths("tiny", "wanted"), [1, 1], "its own stay");
  });

  it("keep what a worker holds, which may only seem to be gone", async () => {
    const catalogue = catalogueOf();
    await redis.stores.queue.ensureGroup("wanted");
    await redis.stores.queue.add("wanted", record("gdead.1"));
    const options = { models: ["wanted"], consumer: "w1", credits: 1, waitMs: 10 };
    assert.equal((await openStores(await redis.connect(), keys).consumer.take(options)).length, 1);
    await redis.stores.queue.add("wanted", record("gdead.2"));
    for (let looks = 0; looks < 2; looks += 1) await catalogue.removeStale();
    assert.deepEqual(await lengths("wanted"), [1]);
  });

  it("keep what is late by the clock of one gateway, or of Redis, alone", async () => {
    const task: Task = aTask({
      id: "galive.1",
      model: "wanted",
      createdAt: clock,
      deadline: clock + 60_000,
    });
    await redis.stores.queue.add("wanted", encodeTask(task, true));
    // In Redis for an hour by its clock.
    await connection.command(
      "XADD",
      keys.queue("gone"),
      `${clock - 3_600_000}-0`,
      "t",
      encodeTask(task, true),
    );
    const ahead = catalogueOf(() => clock + 60_000);
    await catalogueOf().removeStale();
    assert.deepEqual(await lengths("wanted", "gone"), [1, 1]);
    await ahead.removeStale();
    assert.deepEqual(await lengths("wanted", "gone"), [1, 0]);
  });
});
