import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Task } from "../../src/core/task.ts";
import type { Verdicts } from "../../src/redis/abandoned-tasks.ts";
import { openStores } from "../../src/redis/stores.ts";
import { encodeTask } from "../../src/wire/task-codec.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";
import { aTask } from "../rig/task.ts";

const NOW = 1000;
const MODEL = "lonely";

const isGone = (tags: readonly string[]): Promise<ReadonlySet<string>> =>
  Promise.resolve(new Set(tags.filter((tag) => tag === "gdead")));
/** All are in Redis for a million years by its clock. */
const VERDICTS: Verdicts = { own: "gown", now: NOW, clock: Number.MAX_SAFE_INTEGER, gone: isGone };

let rig: RedisRig;

before(async () => {
  rig = await openRedisRig();
});
after(async () => {
  await rig.close();
});

async function put(id: string, deadline: number): Promise<string> {
  const { stores } = rig;
  const task: Task = aTask({
    id,
    model: MODEL,
    createdAt: 0,
    deadline,
  });
  await stores.replies.open([{ id, life: 60_000 }]);
  await stores.doorbells.ring(MODEL, 1);
  await stores.bodies.put(task, 60_000);
  return stores.queue.add(MODEL, encodeTask(task, false));
}

async function counts(): Promise<unknown[]> {
  const { connection, keys } = rig;
  return Promise.all([
    connection.command("XLEN", keys.queue(MODEL)),
    connection.command("LLEN", keys.doorbell(MODEL)),
  ]);
}

test("an abandoned task leaves the queue, whatever is before it, and when several remove it at once", async () => {
  const { connection, keys, stores } = rig;
  const waiting = Array.from({ length: 45 }, (_, index) => `galive.${index}`);
  for (const id of waiting) await put(id, NOW + 1);
  await put("galive.late", NOW);
  await put("gown.late", NOW);
  for (let index = 0; index < 30; index += 1) await put(`gdead.${index}`, NOW + 9000);
  await stores.queue.add(MODEL, Buffer.from("no task"));
  assert.deepEqual(await counts(), [78, 77]);
  const several = await Promise.all([
    stores.abandoned.drop(MODEL, VERDICTS),
    openStores(await rig.connect(), keys).abandoned.drop(MODEL, VERDICTS),
  ]);
  assert.equal((several[0] ?? 0) + (several[1] ?? 0), 31);
  assert.deepEqual(await counts(), [47, 46]);
  const ids = [...waiting, "galive.late", "gdead.0", "gdead.29"];
  assert.deepEqual([...(await stores.replies.openAmong(ids))], waiting);
  assert.equal(await connection.command("EXISTS", keys.body("gdead.3"), keys.body("galive.3")), 1);
  assert.equal(await stores.abandoned.drop(MODEL, VERDICTS), 0);
});

test("of a task of a later version it is known whose it is", async () => {
  const { stores } = rig;
  // [9, "gdead.1"] and [9, "galive.1"] in msgpack.
  for (const id of ["gdead.1", "galive.1"]) {
    await stores.queue.add(
      "later",
      Buffer.concat([Buffer.from([0x92, 9, 0xa0 + id.length]), Buffer.from(id)]),
    );
  }
  assert.equal(await stores.abandoned.drop("later", VERDICTS), 1);
});

test("a queue that is not there has nothing", async () => {
  assert.equal(await rig.stores.abandoned.drop("none", VERDICTS), 0);
});

test("how long a task has waited is told by Redis's clock, and its deadline by that of who asks as well", async () => {
  const { connection, keys, stores } = rig;
  await connection.command("DEL", keys.queue(MODEL), keys.doorbell(MODEL));
  const entry = await put("galive.1", NOW);
  const since = Number.parseInt(entry, 10);
  const drop = async (now: number, clock: number): Promise<number> =>
    stores.abandoned.drop(MODEL, { ...VERDICTS, now, clock });
  assert.equal(await drop(NOW - 1, since + NOW + 1), 0);
  assert.equal(await drop(NOW, since + NOW), 0);
  assert.equal(await drop(NOW, since + NOW + 1), 1);
});

test("a task of a lost gateway belongs to the worker that claimed it, and a requeued one to none", async () => {
  const { connection, keys, stores } = rig;
  await connection.command("DEL", keys.queue(MODEL), keys.doorbell(MODEL));
  await stores.queue.ensureGroup(MODEL);
  const entries = [await put("gdead.1", NOW + 9000), await put("gdead.2", NOW + 9000)];
  const claims = { models: [MODEL], consumer: "w", credits: 2, waitMs: 5 };
  assert.equal((await openStores(await rig.connect(), keys).consumer.take(claims)).length, 2);
  await stores.leases.requeue({ model: MODEL, entry: entries[1] ?? "", consumer: "w" });
  assert.equal(await stores.abandoned.drop(MODEL, VERDICTS), 1);
  assert.deepEqual([...(await stores.replies.openAmong(["gdead.1", "gdead.2"]))], ["gdead.1"]);
});
