import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import type { Task } from "../../src/core/task.ts";
import { getBody, INLINE_BYTES, putBody } from "../../src/redis/body.ts";
import {
  bodyOfLetter,
  bury,
  dropLetter,
  lettersOf,
  modelsWithLetters,
} from "../../src/redis/dead-letters.ts";
import { encodeTask } from "../../src/wire/task-codec.ts";
import { openRedisRig } from "./rig.ts";
import type { RedisRig } from "./rig.ts";

const TASK: Task = {
  id: "g1.1",
  endpoint: "openai-chat",
  model: "m",
  stream: true,
  createdAt: 5,
  deadline: 9,
  requestId: "r1",
  trace: "",
  body: Buffer.from(`{"model":"m"}`),
};

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
    await bury(rig.connection, rig.keys, facts);
  };
  const letters = (model: string) => Array.fromAsync(lettersOf(rig.connection, rig.keys, model));

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
    assert.equal(await bodyOfLetter(rig.connection, rig.keys, letter ?? assert.fail()), undefined);
  });

  it("keep a large body of their own, for a day, and drop it with the letter", async () => {
    const { connection, keys } = rig;
    const body = Buffer.alloc(INLINE_BYTES + 1, "x");
    await putBody(connection, keys, { id: TASK.id, body }, 60_000);
    await buried(encodeTask({ ...TASK, body }, false), { bodyOf: TASK.id });
    await connection.command("UNLINK", keys.body(TASK.id));
    assert.equal(await getBody(connection, keys, TASK.id), undefined);
    const [letter = assert.fail()] = await letters("m");
    assert.equal((await bodyOfLetter(connection, keys, letter))?.length, body.length);
    const life = Number(await connection.command("PTTL", keys.deadBody("m", TASK.id)));
    assert.ok(life > 86_000_000 && life <= 86_400_000, String(life));
    assert.equal(await dropLetter(connection, keys, letter), true);
    assert.equal(await connection.command("EXISTS", keys.deadBody("m", TASK.id)), 0);
    assert.equal(await dropLetter(connection, keys, letter), false);
  });

  it("name the models that have any, whoever serves them", async () => {
    const { connection, keys } = rig;
    await buried(encodeTask(TASK, true), { model: "a b" });
    await buried(encodeTask(TASK, true), { model: "c" });
    await buried(encodeTask(TASK, true), { model: "c" });
    assert.deepEqual((await modelsWithLetters(connection, keys)).toSorted(), ["a b", "c"]);
    for (const letter of await letters("a b")) await dropLetter(connection, keys, letter);
    const [first = assert.fail()] = await letters("c");
    await dropLetter(connection, keys, first);
    assert.deepEqual(await modelsWithLetters(connection, keys), ["c"]);
  });
});
