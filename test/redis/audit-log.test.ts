import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import type { AuditEntry } from "../../src/core/access/audit-entry.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";

const ENTRY: AuditEntry = {
  action: "keys.create",
  target: "alice",
  who: "root",
  from: "10.0.0.7",
  outcome: "done",
  changes: { rpm: 60, expires: null },
};

describe("the audit log", () => {
  let rig: RedisRig;
  before(async () => {
    rig = await openRedisRig();
  });
  after(() => rig.close());
  afterEach(async () => {
    await rig.connection.command("FLUSHDB");
  });

  it("keeps an entry as it was told, with the time of Redis", async () => {
    await rig.stores.audit.append(ENTRY);
    const [seconds] = (await rig.connection.command("TIME")) as Buffer[];
    const [entry = assert.fail()] = await rig.stores.audit.latest({ count: 10 });
    const { id, at, ...rest } = entry;
    assert.deepEqual(rest, ENTRY);
    assert.equal(Number(id.split("-")[0]), at);
    assert.ok(Math.abs(at - Number(seconds) * 1000) < 60_000);
  });

  it("is read from the newest on, page by page", async () => {
    for (const target of ["a", "b", "c"]) await rig.stores.audit.append({ ...ENTRY, target });
    const first = await rig.stores.audit.latest({ count: 2 });
    assert.deepEqual(
      first.map(({ target }) => target),
      ["c", "b"],
    );
    const rest = await rig.stores.audit.latest({ count: 2, before: first.at(-1)?.id ?? "" });
    assert.deepEqual(
      rest.map(({ target }) => target),
      ["a"],
    );
  });

  it("is bounded in entries and in the length of each", async () => {
    const long = "x".repeat(100_000);
    await rig.stores.audit.append({ ...ENTRY, target: long, who: long, from: long, action: long });
    const [entry = assert.fail()] = await rig.stores.audit.latest({ count: 1 });
    assert.ok(JSON.stringify(entry).length < 2000);
    await Promise.all(Array.from({ length: 12_000 }, () => rig.stores.audit.append(ENTRY)));
    const length = Number(await rig.connection.command("XLEN", rig.keys.audit()));
    assert.ok(length >= 10_000 && length < 10_500, String(length));
    assert.equal((await rig.stores.audit.latest({ count: 1_000_000 })).length, 1000);
  });

  it("skips entries that are none", async () => {
    for (const text of [
      "",
      "{",
      "[]",
      "null",
      '{"action":5}',
      JSON.stringify({ ...ENTRY, outcome: "odd" }),
    ]) {
      await rig.connection.command("XADD", rig.keys.audit(), "*", "e", text);
    }
    await rig.connection.command("XADD", rig.keys.audit(), "*", "other", "x", "y", "z");
    assert.deepEqual(await rig.stores.audit.latest({ count: 10 }), []);
  });
});
