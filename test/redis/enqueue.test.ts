import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { Fault } from "../../src/core/fault.ts";
import { connect } from "../../src/redis/connection/connect.ts";
import { isReplyError, replyErrorCode } from "../../src/redis/connection/reply-error.ts";
import type { NewTask } from "../../src/redis/task-queue.ts";
import { asEntries, asText } from "../../src/redis/connection/resp.ts";
import { openStores } from "../../src/redis/stores.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";

let rig: RedisRig;

before(async () => {
  rig = await openRedisRig();
});
after(async () => {
  await rig.close();
});

function task(id: string, model: string, life = 60_000): NewTask {
  return { id, model, life, record: Buffer.from(`record of ${id}`) };
}

async function together(...tasks: NewTask[]): Promise<readonly unknown[]> {
  return rig.stores.queue.enqueue(tasks);
}

async function recordsOf(model: string): Promise<[string, string, string][]> {
  const entries = asEntries(await rig.connection.command("XRANGE", rig.keys.queue(model), "-", "+"));
  return entries.map(({ id, fields }) => [id, asText(fields[0]), asText(fields[1])]);
}

it("gives each task its entry in its model's queue, a reply stream with its life, and a token", async () => {
  await rig.connection.command("SCRIPT", "FLUSH");
  const ids = await together(task("g.1", "a", 5000.5), task("g.2", "b", -1), task("g.3", "a"));
  const [first, second, third] = ids.map(asText);
  assert.deepEqual(await recordsOf("a"), [
    [first, "t", "record of g.1"],
    [third, "t", "record of g.3"],
  ]);
  assert.deepEqual(await recordsOf("b"), [[second, "t", "record of g.2"]]);
  const life = Number(await rig.connection.command("PTTL", rig.keys.reply("g.1")));
  assert.ok(life > 0 && life <= 5001, `life ${life}`);
  assert.equal(await rig.connection.command("XLEN", rig.keys.reply("g.3")), 0);
  assert.equal(asText(await rig.connection.command("TYPE", rig.keys.reply("g.3"))), "stream");
  assert.equal(await rig.connection.command("LLEN", rig.keys.doorbell("a")), 2);
  assert.equal(await rig.connection.command("LLEN", rig.keys.doorbell("b")), 1);
});

it("tells which queue cannot be written, and queues the others", async () => {
  await rig.connection.command("SET", rig.keys.queue("spoilt"), "no stream");
  const [bad, good] = await together(task("g.4", "spoilt"), task("g.5", "fine"));
  assert.ok(isReplyError(bad));
  assert.equal(replyErrorCode(bad), "WRONGTYPE");
  assert.deepEqual(await recordsOf("fine"), [[asText(good), "t", "record of g.5"]]);
  assert.equal(await rig.connection.command("LLEN", rig.keys.doorbell("spoilt")), 0);
});

it("tells a queue that its user may not write as an outage", async () => {
  const acl = ["on", ">word", "+@all", "~*", "&*", "-xadd", `(+xadd ~${rig.keys.reply("g.10")})`];
  await rig.connection.command("ACL", "SETUSER", "narrow", ...acl);
  const url = Object.assign(new URL(rig.server.url), { username: "narrow", password: "word" });
  const narrow = await connect(url.href, "test");
  try {
    const [refused] = await openStores(narrow, rig.keys).queue.enqueue([task("g.10", "forbidden")]);
    assert.ok(refused instanceof Fault, String(refused));
    assert.equal(refused.code, "redis_down");
  } finally {
    narrow.close();
  }
});

it("keeps nothing when Redis takes nothing", async () => {
  await rig.connection.command("CONFIG", "SET", "maxmemory", "1");
  try {
    await assert.rejects(together(task("g.6", "full"), task("g.7", "full")), { code: "redis_down" });
  } finally {
    await rig.connection.command("CONFIG", "SET", "maxmemory", "0");
  }
  assert.deepEqual(await recordsOf("full"), []);
  assert.equal(await rig.connection.command("EXISTS", rig.keys.reply("g.6")), 0);
});

it("keeps records apart whatever their bytes", async () => {
  const records = [Buffer.alloc(0), Buffer.from([0, 255, 10, 13]), Buffer.alloc(100_000, "x")];
  const tasks = records.map((record, index) => ({ ...task(`g.b${index}`, "bytes"), record }));
  await together(...tasks);
  const entries = asEntries(await rig.connection.command("XRANGE", rig.keys.queue("bytes"), "-", "+"));
  assert.deepEqual(
    entries.map(({ fields }) => fields[1]),
    records,
  );
});

it("queues a task again whose reply stream is there", async () => {
  const [first] = await together(task("g.8", "again"));
  const [second] = await together(task("g.8", "again"));
  assert.equal((await recordsOf("again")).length, 2);
  assert.notEqual(asText(second), asText(first));
  assert.match(asText(second), /^\d+-\d+$/);
});
