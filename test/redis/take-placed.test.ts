import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import type { Connection } from "../../src/redis/connection/connection.ts";
import type { TakePlaced } from "../../src/redis/placed-consumer.ts";
import { openStores } from "../../src/redis/stores.ts";
import { until } from "../rig/until.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";

let rig: RedisRig;
let blocking: Connection;
before(async () => {
  rig = await openRedisRig();
  blocking = await rig.connect();
});
after(() => rig.close());
beforeEach(async () => {
  for (const model of ["a", "b"]) {
    await rig.stores.queue.drop(model);
    await rig.stores.queue.ensureGroup(model);
  }
});

async function put(model: string, count: number): Promise<string[]> {
  const entries: string[] = [];
  for (let n = 0; n < count; n += 1) {
    entries.push(await rig.stores.queue.add(model, Buffer.from(`${model}${n}`)));
  }
  await rig.stores.doorbells.ring(model, count);
  return entries;
}

function ask(given: Partial<TakePlaced>): TakePlaced {
  return {
    claim: [],
    listen: ["a", "b"],
    headsOf: ["a", "b"],
    consumer: "w",
    credits: 4,
    waitMs: 0,
    claimer: "w.0",
    ...given,
  };
}

const tokens = async (model: string): Promise<unknown> =>
  rig.connection.command("LLEN", rig.keys.doorbell(model));

describe("a claim that leaves models out", () => {
  it("claims only where it may, and tells who waits after that", async () => {
    const [, , third] = await put("a", 3);
    const [cold] = await put("b", 2);
    const { tasks, heads, refused } = await openStores(blocking, rig.keys).placed.take(
      ask({ claim: ["a"], credits: 2 }),
    );
    assert.deepEqual(
      tasks.map(({ model, payload }) => `${model} ${payload.toString()}`),
      ["a a0", "a a1"],
    );
    assert.deepEqual(
      heads.map(({ model, entry }) => [model, entry]),
      [
        ["a", third],
        ["b", cold],
      ],
    );
    assert.deepEqual([heads[0]?.delivered, heads[1]?.delivered], [tasks[1]?.entry, "0-0"]);
    assert.ok(heads.every(({ ageMs }) => ageMs >= 0 && ageMs < 60_000));
    assert.equal(refused, false);
  });

  it("takes as many tokens as tasks when it does not wait, and leaves those of others", async () => {
    await put("a", 3);
    await put("b", 2);
    await openStores(blocking, rig.keys).placed.take(ask({ claim: ["b"], credits: 1 }));
    await until("its token is gone", async () => (await tokens("b")) === 1);
    assert.equal(await tokens("a"), 3);
  });

  it("takes no token twice for a task whose doorbell ended the wait before: others are to be woken for the rest", async () => {
    await put("b", 4);
    const woken = await openStores(blocking, rig.keys).placed.take(ask({ credits: 2, waitMs: 30_000 }));
    assert.deepEqual([woken.tasks.length, await tokens("b")], [0, 2]);
    const { usedTokens } = woken;
    const { tasks } = await openStores(blocking, rig.keys).placed.take(
      ask({ claim: ["b"], credits: 2, usedTokens }),
    );
    await blocking.command("PING");
    assert.deepEqual([tasks.length, await tokens("b")], [2, 2]);
  });

  it("waits for the doorbells that it listens to, and no others", async () => {
    await put("b", 1);
    const taken = openStores(blocking, rig.keys).placed.take(
      ask({ claim: ["a"], listen: ["a"], waitMs: 30_000 }),
    );
    await until("a wait", async () =>
      /blocked_clients:1/.test(String(await rig.connection.command("INFO", "clients"))),
    );
    assert.equal(await tokens("b"), 1);
    await put("a", 1);
    assert.deepEqual(
      (await taken).tasks.map(({ model }) => model),
      ["a"],
    );
    assert.equal(await tokens("b"), 1);
  });

  it("ends its wait at an interrupt", async () => {
    const taken = openStores(blocking, rig.keys).placed.take(ask({ waitMs: 30_000 }));
    await rig.stores.doorbells.interrupt("w.0");
    assert.deepEqual((await taken).tasks, []);
  });

  it("tells none for a queue that is not there, is no stream, or has no group", async () => {
    await rig.stores.queue.drop("a");
    await rig.connection.command("SET", rig.keys.queue("b"), "odd");
    const { heads } = await openStores(blocking, rig.keys).placed.take(ask({ claim: ["a", "b"] }));
    assert.deepEqual(
      heads.map(({ entry, delivered }) => [entry, delivered]),
      [
        [undefined, ""],
        [undefined, ""],
      ],
    );
    await rig.connection.command("DEL", rig.keys.queue("b"));
    const entry = await rig.stores.queue.add("a", Buffer.from("x"));
    const again = await openStores(blocking, rig.keys).placed.take(ask({}));
    assert.equal(again.heads[0]?.entry, entry, "without a group nothing was ever claimed");
    const claimed = await openStores(blocking, rig.keys).placed.take(ask({ claim: ["a"] }));
    assert.equal(claimed.tasks.length, 1, "a claim makes the group");
  });

  it("says so where its user may not ask, and still claims", async () => {
    const rights = "+@all -xinfo ~* &*".split(" ");
    await rig.connection.command("ACL", "SETUSER", "old", "on", "nopass", ...rights);
    const old = await rig.connect();
    await old.command("AUTH", "old", "any");
    await put("a", 1);
    await put("b", 1);
    const { tasks, refused } = await openStores(old, rig.keys).placed.take(ask({ claim: ["a"] }));
    assert.deepEqual([tasks.length, refused], [1, true]);
  });
});
