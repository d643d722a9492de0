import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import * as fc from "fast-check";
import { dayOf } from "../../src/core/access/calendar.ts";
import { NO_USAGE } from "../../src/core/access/usage-record.ts";
import { UsageStore } from "../../src/redis/access/usage-store.ts";
import type { KeyUsage } from "../../src/redis/access/usage-store.ts";
import { asText } from "../../src/redis/connection/resp.ts";
import { Keys } from "../../src/redis/keys.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";

let rig: RedisRig;

before(async () => {
  rig = await openRedisRig();
});
after(async () => {
  await rig.close();
});

function used(key: string, inputTokens: number, more: Partial<KeyUsage> = {}): KeyUsage {
  return { ...NO_USAGE, key, model: "tiny", inputTokens, requests: 1, ...more };
}

function form({ key, model, inputTokens }: KeyUsage): string {
  return JSON.stringify([key, model, inputTokens]);
}

const DAY_MS = 86_400_000;

describe("usage in Redis", () => {
  it("adds a batch once, however often it is sent, and returns the totals", async () => {
    const store = new UsageStore(rig.connection, new Keys("once"));
    const who = { tenant: "lab", tag: "g1" };
    const batch = {
      number: 1,
      after: 0,
      ageMs: 0,
      counts: [used("k1", 5, { outputTokens: 2 }), used("k2", 1)],
    };
    const first = await store.use(who, batch, ["k3"]);
    const again = await store.use(who, batch, ["k3"]);
    for (const answer of [first, again]) {
      assert.equal(answer.batch, 1);
      assert.deepEqual(answer.tenant, { day: 8, month: 8 });
      assert.deepEqual(
        [...answer.keys],
        [
          ["k3", { day: 0, month: 0 }],
          ["k1", { day: 7, month: 7 }],
          ["k2", { day: 1, month: 1 }],
        ],
      );
    }
    assert.ok(Math.abs(first.now - Date.now()) < 60_000);
    const records = await store.usageOn("lab", dayOf(first.now));
    assert.deepEqual(
      records.toSorted((a, b) => a.key.localeCompare(b.key)),
      [
        { tenant: "lab", day: dayOf(first.now), ...used("k1", 5, { outputTokens: 2 }) },
        { tenant: "lab", day: dayOf(first.now), ...used("k2", 1) },
      ],
    );
  });

  it("adds no batch to a Redis that lost an earlier one", async () => {
    const store = new UsageStore(rig.connection, new Keys("lost"));
    const who = { tenant: "lab", tag: "g1" };
    const answer = await store.use(who, { number: 5, after: 4, ageMs: 0, counts: [used("k", 5)] });
    assert.deepEqual([answer.batch, answer.tenant.day], [0, 0]);
    const taken = await store.use(who, { number: 5, after: 0, ageMs: 0, counts: [used("k", 5)] });
    assert.deepEqual([taken.batch, taken.tenant.day], [5, 5]);
  });

  it("keeps gateways apart, and only reads without a batch", async () => {
    const store = new UsageStore(rig.connection, new Keys("apart"));
    await store.use({ tenant: "lab", tag: "g1" }, { number: 1, after: 0, ageMs: 0, counts: [used("k", 5)] });
    await store.use({ tenant: "lab", tag: "g2" }, { number: 1, after: 0, ageMs: 0, counts: [used("k", 5)] });
    const read = await store.use({ tenant: "lab", tag: "g3" }, undefined, ["k"]);
    assert.deepEqual([read.batch, read.tenant.day, read.keys.get("k")?.day], [0, 10, 10]);
  });

  it("counts a late batch on the day on which it began, by the calendar", async () => {
    const day = fc.integer({ min: 0, max: 40_000 });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(day, fc.integer({ min: 0, max: DAY_MS - 1 }), async (back, ms) => {
        run += 1;
        const store = new UsageStore(rig.connection, new Keys(`day${run}`));
        const now = await store.now();
        // No earlier than 1900, and never on the border of a second.
        const then = Math.floor((now - Math.min(back, 46_000) * DAY_MS - ms) / DAY_MS) * DAY_MS + DAY_MS / 2;
        const ageMs = Math.max(0, now - then);
        await store.use({ tenant: "t", tag: "g" }, { number: 1, after: 0, ageMs, counts: [used("k", 1)] });
        const expected = dayOf(now - ageMs);
        assert.equal((await store.usageOn("t", expected)).length, 1, expected);
      }),
      { numRuns: 200, examples: [[0, 0]] },
    );
  });

  it("finds leap days and the ends of centuries", async () => {
    const store = new UsageStore(rig.connection, new Keys("leap"));
    const now = await store.now();
    let number = 0;
    for (const date of ["2000-02-29", "2024-02-29", "2023-03-01", "1999-12-31", "2000-01-01", "1972-02-29"]) {
      for (const time of ["00:00:30", "23:59:30"]) {
        number += 1;
        const ageMs = now - Date.parse(`${date}T${time}Z`);
        const counts = [used(`k${number}`, 1)];
        await store.use({ tenant: "t", tag: "g" }, { number, after: 0, ageMs, counts });
      }
      const found = await store.usageOn("t", date.replaceAll("-", ""));
      assert.equal(found.length, 2, date);
    }
  });

  it("changes no budget of today by a batch of an earlier day", async () => {
    const store = new UsageStore(rig.connection, new Keys("late"));
    const who = { tenant: "t", tag: "g" };
    await store.use(who, { number: 1, after: 0, ageMs: 0, counts: [used("k", 5)] });
    const late = await store.use(who, { number: 2, after: 1, ageMs: 40 * DAY_MS, counts: [used("k", 3)] });
    assert.deepEqual(late.tenant, { day: 5, month: 5 });
    // The first batch of all is old: then today has nothing.
    const other = { tenant: "u", tag: "g" };
    const old = await store.use(other, {
      number: 1,
      after: 0,
      ageMs: 40 * DAY_MS,
      counts: [used("k", 3)],
    });
    assert.deepEqual(old.tenant, { day: 0, month: 0 });
    const news = await store.use(other, { number: 2, after: 1, ageMs: 0, counts: [used("k", 2)] });
    assert.deepEqual(news.tenant, { day: 2, month: 2 });
    assert.deepEqual((await store.totalsOf("u", news.now)).get("k"), { day: 2, month: 2 });
  });

  it("counts a batch once across the change of the day", async () => {
    const store = new UsageStore(rig.connection, new Keys("midnight"));
    const who = { tenant: "t", tag: "g" };
    const { now } = await store.use(who, { number: 1, after: 0, ageMs: 0, counts: [used("k", 5)] });
    // Its answer was lost; it comes again a day later.
    await store.use(who, { number: 1, after: 0, ageMs: DAY_MS, counts: [used("k", 5)] });
    assert.equal((await store.usageOn("t", dayOf(now - DAY_MS))).length, 0);
    assert.equal((await store.usageOn("t", dayOf(now)))[0]?.inputTokens, 5);
  });

  it("keeps any names of keys and models apart", async () => {
    let run = 0;
    const name = fc.oneof(
      fc.string({ unit: "binary", minLength: 1 }),
      fc.constantFrom("a|b", "%7c", "|", "%", "in", "@g", "__proto__"),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(name, name), { selector: String, maxLength: 5 }),
        async (ids) => {
          run += 1;
          const store = new UsageStore(rig.connection, new Keys(`names${run}`));
          const counts = ids.map(([key, model], index) => used(key, index + 1, { model }));
          const { now } = await store.use(
            { tenant: "t", tag: "g" },
            { number: 1, after: 0, ageMs: 0, counts },
          );
          const records = await store.usageOn("t", dayOf(now));
          assert.deepEqual(records.map(form).toSorted(), counts.map(form).toSorted());
        },
      ),
      { numRuns: 60 },
    );
  });

  it("removes the numbers of gone gateways, and periods that are over", async () => {
    const keys = new Keys("sweep");
    const store = new UsageStore(rig.connection, keys);
    const budgets = keys.budgets("t");
    const seconds = Math.floor((await store.now()) / 1000);
    const gone = Array.from({ length: 1000 }, (_none, n) => [
      `@gone${n}`,
      `7 ${seconds - 3 * 86_400}`,
    ]).flat();
    await rig.connection.command("HSET", budgets, ...gone, "@here", `7 ${seconds - 86_400}`);
    await rig.connection.command("HSET", budgets, "d|old", "20200101 5", "m|old", "202001 5");
    for (let number = 1; Number(await rig.connection.command("HLEN", budgets)) > 7; number += 1) {
      assert.ok(number < 100, "it ends");
      await store.use({ tenant: "t", tag: "g" }, { number, after: 0, ageMs: 0, counts: [used("k", 1)] });
      // A pass every minute: the time is set back instead of waiting for it.
      const sweep = asText(await rig.connection.command("HGET", budgets, "~sweep"));
      await rig.connection.command("HSET", budgets, "~sweep", `0 ${sweep.split(" ")[1]}`);
    }
    const left = await rig.connection.command("HKEYS", budgets);
    assert.deepEqual(
      (left as Buffer[]).map(String).toSorted(),
      ["@g", "@here", "d|", "d|k", "m|", "m|k", "~sweep"].toSorted(),
    );
  });

  it("lets usage go after 401 days, and budgets 40 days after the last use", async () => {
    const keys = new Keys("life");
    const store = new UsageStore(rig.connection, keys);
    const { now } = await store.use(
      { tenant: "t", tag: "g" },
      { number: 1, after: 0, ageMs: 0, counts: [used("k", 1)] },
    );
    const lives = await Promise.all(
      [keys.usage("t", dayOf(now)), keys.budgets("t")].map((key) => rig.connection.command("TTL", key)),
    );
    assert.deepEqual(
      lives.map((life) => Math.round(Number(life) / 86_400)),
      [401, 40],
    );
  });

  it("lists the tenants of the last 400 days", async () => {
    const store = new UsageStore(rig.connection, new Keys("tenants"));
    const now = await store.now();
    await store.noteTenant("old", now - 402 * DAY_MS);
    await store.noteTenant("b", now);
    await store.noteTenant("a", now);
    assert.deepEqual(await store.tenants(), ["a", "b"]);
  });

  it("reads a foreign hash or type as far as it can", async () => {
    const keys = new Keys("foreign");
    const store = new UsageStore(rig.connection, keys);
    await rig.connection.command(
      "HSET",
      keys.usage("t", "20260101"),
      "x",
      "1",
      "k|m|in",
      "no",
      "k|m|new",
      "3",
    );
    await rig.connection.command("SET", keys.usage("t", "20260102"), "text");
    assert.deepEqual(await store.usageOn("t", "20260101"), []);
    assert.deepEqual(await store.usageOn("t", "20260102"), []);
    await rig.connection.command(
      "HSET",
      keys.budgets("t"),
      "d|k",
      "nonsense",
      "@g",
      "nonsense",
      "~sweep",
      "x",
    );
    const answer = await store.use(
      { tenant: "t", tag: "g" },
      { number: 1, after: 0, ageMs: 0, counts: [used("k", 1)] },
    );
    assert.deepEqual([answer.batch, answer.keys.get("k")], [1, { day: 1, month: 1 }]);
  });
});
