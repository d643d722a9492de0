import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { queueFor } from "../../src/core/ability.ts";
import { ClaimPoll } from "../../src/gateway/requests/claim-poll.ts";
import type { Exchange } from "../../src/gateway/requests/exchange.ts";
import type { Argument, Connection } from "../../src/redis/connection/connection.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";
import { openRedisRig, type RedisRig } from "../rig/redis/redis-rig.ts";
import { fallSilent } from "../rig/redis/silence.ts";
import { openStores } from "../../src/redis/stores.ts";
import { exchangeOf } from "./exchange-rig.ts";

const LEASE_MS = 60_000;

let redis: RedisRig;
let count = 0;

before(async () => {
  redis = await openRedisRig();
  await redis.stores.queue.ensureGroup("tiny");
});
after(async () => {
  await redis.close();
});

async function queued(): Promise<{ exchange: Exchange; entry: string }> {
  const { exchange } = exchangeOf(`g.${(count += 1)}`);
  const entry = await redis.stores.queue.add("tiny", Buffer.from(exchange.task.id));
  exchange.queued(entry);
  return { exchange, entry };
}

async function claim(credits: number): Promise<void> {
  const options = { models: ["tiny"], consumer: "w1", credits, waitMs: 10 };
  assert.equal((await openStores(await redis.connect(), redis.keys).consumer.take(options)).length, credits);
}

function watchOf(exchanges: readonly Exchange[], connection: Connection = redis.connection): ClaimPoll {
  return new ClaimPoll({
    connection,
    stores: openStores(connection, redis.keys),
    leaseMs: LEASE_MS,
    exchanges: () => exchanges,
  });
}

describe("the claims of tasks without a frame", () => {
  it("are seen: what a worker has runs, what it gives up or is lost with waits again", async () => {
    const [one, other] = [await queued(), await queued()];
    const watch = watchOf([one.exchange, other.exchange]);
    const phases = async (): Promise<string[]> => {
      await watch.poll();
      return [one, other].map(({ exchange }) => `${exchange.phase} ${exchange.holder ?? "-"}`);
    };
    assert.deepEqual(await phases(), ["queued -", "queued -"]);
    await claim(1);
    assert.deepEqual(await phases(), ["running w1", "queued -"]);
    const hold = { model: "tiny", entry: one.entry, consumer: "w1" };
    await fallSilent(redis.connection, redis.keys, { ...hold, idleMs: 1.25 * LEASE_MS });
    assert.deepEqual(await phases(), ["queued -", "queued -"], "its worker was lost");
    await fallSilent(redis.connection, redis.keys, { ...hold, idleMs: 1000 });
    assert.deepEqual(await phases(), ["running w1", "queued -"], "the worker is back");
    await claim(1);
    assert.deepEqual(await phases(), ["running w1", "running w1"]);
    await redis.stores.leases.requeue({ ...hold, deliveries: 0 });
    assert.deepEqual(await phases(), ["queued -", "running w1"]);
    await redis.stores.queue.acknowledge("tiny", [one.entry, other.entry]);
    assert.deepEqual(await phases(), ["queued -", "running w1"], "its last frame is on the way");
  });

  it("are all seen, however many there are", async () => {
    const many = await Promise.all(Array.from({ length: 2100 }, queued));
    await claim(2100);
    const watch = watchOf(many.map(({ exchange }) => exchange));
    await watch.poll();
    assert.ok(many.every(({ exchange }) => exchange.phase === "running"));
    const entries = many.map(({ entry }) => entry);
    await redis.stores.queue.acknowledge("tiny", entries);
  });

  it("are asked for once per queue, and not at all for what has begun, is over, or Redis has not confirmed", async () => {
    const asked: Argument[][] = [];
    class Counting extends FakeConnection {
      override command(...args: Argument[]): Promise<unknown> {
        asked.push(args);
        return Promise.resolve([]);
      }
    }
    const rigs = Array.from({ length: 5 }, (_, index) => exchangeOf(`h.${index}`).exchange);
    const [, opening, , begun, over] = rigs;
    for (const exchange of rigs) if (exchange !== opening) exchange.queued("1-1");
    const bytes = Buffer.from("{}\n");
    const head = { status: 200, contentType: "application/x-ndjson", worker: "w1" };
    begun?.receive({ task: "h.3", attempt: 1, seq: 1, head, bytes });
    over?.receive({ task: "h.4", attempt: 1, seq: 1, head, bytes, end: {} });
    await watchOf(rigs, new Counting()).poll();
    assert.equal(asked.length, 1);
    asked.length = 0;
    const ready = [opening, begun, over].flatMap((exchange) => (exchange === undefined ? [] : [exchange]));
    await watchOf(ready, new Counting()).poll();
    assert.deepEqual(asked, []);
  });

  it("are seen in ability queues, too, which are not the model's plain queue", async () => {
    const queue = queueFor("tiny", "openai-rerank");
    await redis.stores.queue.ensureGroup(queue);
    const { exchange } = exchangeOf("a.1", { endpoint: "openai-rerank", stream: false }, queue);
    const entry = await redis.stores.queue.add(queue, Buffer.from("a.1"));
    exchange.queued(entry);
    const plain = await queued();
    const watch = watchOf([exchange, plain.exchange]);
    const options = { models: [queue], consumer: "w2", credits: 1, waitMs: 10 };
    assert.equal((await openStores(await redis.connect(), redis.keys).consumer.take(options)).length, 1);
    await watch.poll();
    assert.deepEqual([exchange.phase, exchange.holder], ["running", "w2"]);
    assert.equal(plain.exchange.phase, "queued");
    await redis.stores.queue.acknowledge(queue, [entry]);
  });

  it("of very many queues are asked for in turns, so that a look stays short", async () => {
    const asked: Argument[] = [];
    class Counting extends FakeConnection {
      override command(_name: Argument, key: Argument): Promise<unknown> {
        asked.push(key);
        return Promise.resolve([]);
      }
    }
    const rigs = Array.from(
      { length: 250 },
      (_, index) => exchangeOf(`q.${index}`, {}, `m${index}`).exchange,
    );
    for (const exchange of rigs) exchange.queued("1-1");
    const watch = watchOf(rigs, new Counting());
    for (let looks = 1; looks <= 3; looks += 1) {
      await watch.poll();
      assert.equal(asked.length, looks * 100);
    }
    assert.equal(new Set(asked).size, 250);
  });

  it("stay as they were while Redis is away", async () => {
    class Away extends FakeConnection {
      override command(): Promise<unknown> {
        return Promise.reject(new Error("away"));
      }
    }
    const { exchange } = exchangeOf("k.1");
    exchange.queued("1-1");
    exchange.runs("w1");
    await watchOf([exchange], new Away()).poll();
    assert.equal(exchange.phase, "running");
  });
});
