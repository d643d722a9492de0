import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Task } from "../../src/core/task.ts";
import { dropAbandoned } from "../../src/redis/abandoned.ts";
import { putBody } from "../../src/redis/body.ts";
import { holdTag } from "../../src/redis/registry.ts";
import { openAmong, openReplies } from "../../src/redis/reply-stream.ts";
import { enqueue, ring } from "../../src/redis/task-stream.ts";
import { encodeTask } from "../../src/wire/task-codec.ts";
import { openRedisRig } from "./rig.ts";
import type { RedisRig } from "./rig.ts";

const NOW = 1000;
const MODEL = "lonely";

let rig: RedisRig;

before(async () => {
  rig = await openRedisRig();
});
after(async () => {
  await rig.close();
});

async function put(id: string, deadline: number): Promise<string> {
  const { connection, keys } = rig;
  const task: Task = {
    id,
    endpoint: "openai-chat",
    model: MODEL,
    stream: true,
    createdAt: 0,
    deadline,
    requestId: "r",
    trace: "",
    body: Buffer.from("{}"),
  };
  await openReplies(connection, keys, [{ id, life: 60_000 }]);
  await ring(connection, keys, MODEL, 1);
  await putBody(connection, keys, task, 60_000);
  return enqueue(connection, keys, MODEL, encodeTask(task, false));
}

async function counts(): Promise<unknown[]> {
  const { connection, keys } = rig;
  return Promise.all([
    connection.command("XLEN", keys.queue(MODEL)),
    connection.command("LLEN", keys.doorbell(MODEL)),
  ]);
}

test("what nobody waits for leaves the queue, whatever is before it, and when several remove it at once", async () => {
  const { connection, keys } = rig;
  await holdTag(connection, keys, "galive");
  const waiting = Array.from({ length: 45 }, (_, index) => `galive.${index}`);
  for (const id of waiting) await put(id, NOW + 1);
  await put("galive.late", NOW);
  for (let index = 0; index < 30; index += 1) await put(`gdead.${index}`, NOW + 9000);
  await enqueue(connection, keys, MODEL, Buffer.from("no task"));
  assert.deepEqual(await counts(), [77, 76]);
  const several = await Promise.all([
    dropAbandoned(connection, keys, MODEL, NOW),
    dropAbandoned(await rig.connect(), keys, MODEL, NOW),
  ]);
  assert.equal((several[0] ?? 0) + (several[1] ?? 0), 31);
  assert.deepEqual(await counts(), [46, 45]);
  const ids = [...waiting, "galive.late", "gdead.0", "gdead.29"];
  assert.deepEqual([...(await openAmong(connection, keys, ids))], waiting);
  assert.equal(await connection.command("EXISTS", keys.body("gdead.3"), keys.body("galive.3")), 1);
  assert.equal(await dropAbandoned(connection, keys, MODEL, NOW), 0);
});

test("of a task of a later version it is known whose it is", async () => {
  const { connection, keys } = rig;
  // [9, "gdead.1"] and [9, "galive.1"] in msgpack.
  for (const id of ["gdead.1", "galive.1"]) {
    await enqueue(
      connection,
      keys,
      "later",
      Buffer.concat([Buffer.from([0x92, 9, 0xa0 + id.length]), Buffer.from(id)]),
    );
  }
  assert.equal(await dropAbandoned(connection, keys, "later", NOW), 1);
});

test("a queue that is not there has nothing", async () => {
  assert.equal(await dropAbandoned(rig.connection, rig.keys, "none", NOW), 0);
});
