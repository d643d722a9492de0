import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { TaskSummary } from "../../src/core/summary.ts";
import { TaskLog } from "../../src/gateway/task-log.ts";
import { Keys } from "../../src/redis/keys.ts";
import { appendSummaries, latestSummaries, LogReader } from "../../src/redis/task-log.ts";
import { openRedisRig } from "./rig.ts";
import type { RedisRig } from "./rig.ts";

let rig: RedisRig;

before(async () => {
  rig = await openRedisRig();
});
after(async () => {
  await rig.close();
});

function summary(n: number): TaskSummary {
  const ids = { task: `g.${n}`, request: `r${n}`, endpoint: "openai-chat", model: "tiny" };
  return { ...ids, at: n, code: "ok", status: 200, totalMs: 1, worker: undefined };
}

function tasks(from: number, count: number): TaskSummary[] {
  return Array.from({ length: count }, (_none, index) => summary(from + index));
}

describe("the log of tasks", () => {
  it("is followed from its end, and never told twice", async () => {
    const keys = new Keys("follow");
    await appendSummaries(rig.connection, keys, tasks(0, 600));
    const reader = new LogReader(rig.connection, keys);
    const first = await reader.read();
    assert.deepEqual([first.length, first[0]?.at, first.at(-1)?.at], [500, 100, 599]);
    assert.deepEqual(await reader.read(), []);
    await appendSummaries(rig.connection, keys, tasks(600, 3));
    assert.deepEqual(
      (await reader.read()).map(({ task }) => task),
      ["g.600", "g.601", "g.602"],
    );
  });

  it("is followed from its beginning when it is empty at first", async () => {
    const keys = new Keys("empty");
    const reader = new LogReader(rig.connection, keys);
    assert.deepEqual(await reader.read(), []);
    await appendSummaries(rig.connection, keys, tasks(0, 1));
    assert.equal((await reader.read()).length, 1);
  });

  it("keeps about ten thousand", async () => {
    const keys = new Keys("long");
    for (let from = 0; from < 12_000; from += 2000) {
      await appendSummaries(rig.connection, keys, tasks(from, 2000));
    }
    const length = Number(await rig.connection.command("XLEN", keys.log()));
    assert.ok(length >= 10_000 && length < 10_200, String(length));
  });

  it("can be leafed through backwards, over entries that are no summaries", async () => {
    const keys = new Keys("mixed");
    await appendSummaries(rig.connection, keys, tasks(0, 2));
    for (const text of ["no json", "[1]", '{"task":1}']) {
      await rig.connection.command("XADD", keys.log(), "*", "s", text);
    }
    await appendSummaries(rig.connection, keys, tasks(2, 1));
    const page = await latestSummaries(rig.connection, keys, { count: 5 });
    const last = page.at(-1)?.id ?? "";
    const rest = await latestSummaries(rig.connection, keys, { before: last, count: 5 });
    const order = [...page, ...rest].map((entry) => entry.summary.at);
    assert.deepEqual(order, [2, 1, 0]);
  });

  it("is written when sixty-four have gathered, without waiting for more", async () => {
    const keys = new Keys("brisk");
    const log = new TaskLog({ connection: rig.connection, keys });
    for (const one of tasks(0, 64)) log.add(one);
    // Commands of one connection are answered in order.
    assert.equal(await rig.connection.command("XLEN", keys.log()), 64);
    await log.flush();
  });

  it("drops a flood instead of passing it on to Redis, and survives Redis", async () => {
    const keys = new Keys("flood");
    const connection = await rig.connect();
    const log = new TaskLog({ connection, keys });
    for (const one of tasks(0, 5000)) log.add(one);
    await log.flush();
    assert.equal(await rig.connection.command("XLEN", keys.log()), 2000);
    connection.close();
    log.add(summary(1));
    await log.flush();
  });
});
