import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import type { Task } from "../../src/core/task.ts";
import { INLINE_BYTES } from "../../src/redis/body-store.ts";
import { encodeTask } from "../../src/wire/task-codec.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";
import { aTask } from "../rig/task.ts";

const TASK: Task = aTask({
  id: "g1.1",
  model: "m",
  createdAt: 5,
  deadline: 9,
  requestId: "r1",
  body: Buffer.from(`{"model":"m"}`),
});

const FAULT = { code: "delivery_limit", message: "no worker answered", http: 502 } as const;

describe("dead letters", () => {
  let rig: RedisRig;
  before(async () => {
    rig = await openRedisRig();
  });
  after(() => rig.close());
  afterEach(async () => {
    await rig.connection.command("FLUSHDB");
  });

  const buried = async (payload: Buffer, more: { model?: string; bodyOf?: string } = {}): Promise<void> => {
    const facts = { model: "m", payload, fault: FAULT, deliveries: 3, worker: "w1", ...more };
    await rig.stores.letters.add(facts);
  };
  const letters = (model: string) => Array.fromAsync(rig.stores.letters.list(model));

  it("are read as they were buried, the newest first, over several pages", async () => {
    for (let n = 0; n < 250; n += 1) await buried(encodeTask({ ...TASK, id: `g1.${n}` }, true));
    const all = await letters("m");
    assert.equal(all.length, 250);
    assert.deepEqual([all[0]?.task?.id, all[249]?.task?.id], ["g1.249", "g1.0"]);
    const { id: _id, task: _task, ...facts } = all[0] ?? assert.fail();
    assert.deepEqual(facts, {
      model: "m",
      code: "delivery_limit",
      cause: "worker",
      attempts: [],
      message: "no worker answered",
      deliveries: 3,
      worker: "w1",
    });
  });

  it("keep what is no task, without one", async () => {
    await buried(Buffer.from([1, 2, 3]));
    const [letter] = await letters("m");
    assert.equal(letter?.task, undefined);
    assert.equal(await rig.stores.letters.bodyOf(letter ?? assert.fail()), undefined);
  });

  it("keep a large body of their own, for a day, and drop it with the letter", async () => {
    const { connection, keys, stores } = rig;
    const body = Buffer.alloc(INLINE_BYTES + 1, "x");
    await stores.bodies.put({ id: TASK.id, body }, 60_000);
    await buried(encodeTask({ ...TASK, body }, false), { bodyOf: TASK.id });
    await connection.command("UNLINK", keys.body(TASK.id));
    assert.equal(await stores.bodies.get(TASK.id), undefined);
    const [letter = assert.fail()] = await letters("m");
    assert.equal((await stores.letters.bodyOf(letter))?.length, body.length);
    const life = Number(await connection.command("PTTL", keys.deadBody("m", TASK.id)));
    assert.ok(life > 86_000_000 && life <= 86_400_000, String(life));
    assert.equal(await stores.letters.drop(letter), true);
    assert.equal(await connection.command("EXISTS", keys.deadBody("m", TASK.id)), 0);
    assert.equal(await stores.letters.drop(letter), false);
  });

  it("name the models that have any, whoever serves them", async () => {
    const { stores } = rig;
    await buried(encodeTask(TASK, true), { model: "a b" });
    await buried(encodeTask(TASK, true), { model: "c" });
    await buried(encodeTask(TASK, true), { model: "c" });
    assert.deepEqual((await stores.letters.models()).toSorted(), ["a b", "c"]);
    for (const letter of await letters("a b")) await stores.letters.drop(letter);
    const [first = assert.fail()] = await letters("c");
    await stores.letters.drop(first);
    assert.deepEqual(await stores.letters.models(), ["c"]);
  });
});
