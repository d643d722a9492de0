import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { TaskSummary } from "../../src/core/summary.ts";
import { TaskLog } from "../../src/gateway/monitor/task-observers.ts";
import { Keys } from "../../src/redis/keys.ts";
import { LogReader } from "../../src/redis/inspect/summary-log.ts";
import { SummaryLog } from "../../src/redis/inspect/summary-log.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";

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
    await new SummaryLog(rig.connection, keys).append(tasks(0, 600));
    const reader = new LogReader(new SummaryLog(rig.connection, keys));
    const first = await reader.read();
    assert.deepEqual([first.length, first[0]?.at, first.at(-1)?.at], [500, 100, 599]);
    assert.deepEqual(await reader.read(), []);
    await new SummaryLog(rig.connection, keys).append(tasks(600, 3));
    assert.deepEqual(
      (await reader.read()).map(({ task }) => task),
      ["g.600", "g.601", "g.602"],
    );
  });

  it("is followed from its beginning when it is empty at first", async () => {
    const keys = new Keys("empty");
    const reader = new LogReader(new SummaryLog(rig.connection, keys));
    assert.deepEqual(await reader.read(), []);
    await new SummaryLog(rig.connection, keys).append(tasks(0, 1));
    assert.equal((await reader.read()).length, 1);
  });

  it("keeps about ten thousand", async () => {
    const keys = new Keys("long");
    for (let from = 0; from < 12_000; from += 2000) {
      await new SummaryLog(rig.connection, keys).append(tasks(from, 2000));
    }
    const length = Number(await rig.connection.command("XLEN", keys.log()));
    assert.ok(length >= 10_000 && length < 10_200, String(length));
  });

  it("can be leafed through backwards, over entries that are no summaries", async () => {
    const keys = new Keys("mixed");
    await new SummaryLog(rig.connection, keys).append(tasks(0, 2));
    for (const text of ["no json", "[1]", '{"task":1}']) {
      await rig.connection.command("XADD", keys.log(), "*", "s", text);
    }
    await new SummaryLog(rig.connection, keys).append(tasks(2, 1));
    const page = await new SummaryLog(rig.connection, keys).latest({ count: 5 });
    const last = page.at(-1)?.id ?? "";
    const rest = await new SummaryLog(rig.connection, keys).latest({ before: last, count: 5 });
    const order = [...page, ...rest].map((entry) => entry.summary.at);
    assert.deepEqual(order, [2, 1, 0]);
  });

  it("is written when sixty-four have gathered, without waiting for more", async () => {
    const keys = new Keys("brisk");
    const log = new TaskLog(new SummaryLog(rig.connection, keys));
    for (const one of tasks(0, 64)) log.add(one);
    // Commands of one connection are answered in order.
    assert.equal(await rig.connection.command("XLEN", keys.log()), 64);
    await log.flush();
  });

  it("drops a flood instead of passing it on to Redis, and survives Redis", async () => {
    const keys = new Keys("flood");
    const connection = await rig.connect();
    const log = new TaskLog(new SummaryLog(connection, keys));
    for (const one of tasks(0, 5000)) log.add(one);
    await log.flush();
    assert.equal(await rig.connection.command("XLEN", keys.log()), 2000);
    connection.close();
    log.add(summary(1));
    await log.flush();
  });
});
