import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Fault } from "../../src/core/fault.ts";
import { Cleaner } from "../../src/gateway/requests/cleaner.ts";
import type { Exchange } from "../../src/gateway/requests/exchange.ts";
import { connect } from "../../src/redis/connection/connect.ts";
import { Keys } from "../../src/redis/keys.ts";
import { encodeTask } from "../../src/wire/task-codec.ts";
import { until } from "../rig/until.ts";
import { RedisServer } from "../rig/redis/redis-server.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";
import { movesOf } from "../rig/redis/suite-servers.ts";
import { queuedRecord } from "../rig/redis/queued-record.ts";
import { openStores } from "../../src/redis/stores.ts";
import { exchangeOf } from "./exchange-rig.ts";

/** @param clock ms, moved by the test; `stalled` is the part in which the process stood still */
function cleanerOf(
  connection: FakeConnection,
  clock: { now: number; readonly stalled?: number } = { now: 0 },
): Cleaner {
  const stores = openStores(connection, new Keys("test"));
  const awake = (): number => clock.now - (clock.stalled ?? 0);
  return new Cleaner({ connection, stores, mono: () => clock.now, awake });
}

test("what was abandoned while Redis was away is given up when it is back", async () => {
  const connection = new FakeConnection();
  const cleaner = cleanerOf(connection);
  const { exchange } = exchangeOf("g.1");
  exchange.queued("5-0");
  connection.cut();
  cleaner.abandoned(exchange);
  await turn();
  assert.deepEqual(connection.arrived, []);
  connection.mend();
  await turn();
  assert.deepEqual(connection.arrived, [
    "UNLINK test:r:{g}:g.1",
    "PUBLISH test:ctl cancel g.1",
    "XDEL test:q:{tiny}:p0 5-0",
    "LPOP test:t:{d}:tiny:p0",
  ]);
  connection.mend();
  await turn();
  const again = ["UNLINK test:r:{g}:g.1", "XREVRANGE test:q:{tiny}:p0 5-0 5-0"];
  assert.deepEqual(connection.arrived.slice(4), again, "the worker is told once");
});

test("what was removed a moment before a reconnect is removed again: a new master may not know", async () => {
  const connection = new FakeConnection();
  const clock = { now: 0 };
  const cleaner = cleanerOf(connection, clock);
  cleaner.abandoned(exchangeOf("g.1").exchange);
  await turn();
  clock.now = 6000;
  cleaner.abandoned(exchangeOf("g.2", { body: Buffer.alloc(200_000) }).exchange);
  await turn();
  const before = connection.arrived.length;
  clock.now = 11_000;
  connection.mend();
  await turn();
  const again = ["UNLINK test:r:{g}:g.2", "UNLINK test:b:{g}:g.2"];
  assert.deepEqual(connection.arrived.slice(before), again);
  connection.cut();
  connection.mend();
  await turn();
  assert.deepEqual(connection.arrived.slice(before), [...again, ...again]);
  clock.now = 17_000;
  connection.mend();
  await turn();
  assert.equal(connection.arrived.length, before + 4, "not for ever");
});

test("what was removed just before this process stood still is removed again, however long it stood", async () => {
  const connection = new FakeConnection();
  const clock = { now: 0, stalled: 0 };
  const cleaner = cleanerOf(connection, clock);
  cleaner.abandoned(exchangeOf("g.1").exchange);
  await turn();
  const before = connection.arrived.length;
  clock.now = 60_000;
  clock.stalled = 59_000;
  connection.cut();
  connection.mend();
  await turn();
  assert.deepEqual(connection.arrived.slice(before), ["UNLINK test:r:{g}:g.1"]);
});

test("what was removed just before Redis went away is removed again however late it is back", async () => {
  const connection = new FakeConnection();
  const clock = { now: 0 };
  const cleaner = cleanerOf(connection, clock);
  cleaner.abandoned(exchangeOf("g.1").exchange);
  await turn();
  const before = connection.arrived.length;
  connection.cut();
  clock.now = 60_000;
  connection.mend();
  await turn();
  assert.deepEqual(connection.arrived.slice(before), ["UNLINK test:r:{g}:g.1"]);
});

test("a task that was taken back is so again where a new master has it still, but not another in its place", async () => {
  const connection = new FakeConnection();
  const cleaner = cleanerOf(connection);
  const { exchange } = exchangeOf("g.1");
  const queue = new Map([["5-0", "g.1"]]);
  connection.answer = (command) => {
    if (!command.startsWith("XREVRANGE")) return null;
    return [
      [
        Buffer.from("5-0"),
        [Buffer.from("t"), encodeTask({ ...exchange.task, id: queue.get("5-0") ?? "" }, true)],
      ],
    ];
  };
  exchange.queued("5-0");
  cleaner.abandoned(exchange);
  await turn();
  const removals = (): number => connection.arrived.filter((command) => command.startsWith("XDEL")).length;
  assert.equal(removals(), 1);
  connection.mend(true);
  await turn();
  assert.equal(removals(), 2);
  queue.set("5-0", "g.2");
  connection.mend(true);
  await turn();
  assert.equal(removals(), 2);
});

test("what is taken back after a restart, but was queued before, goes only where its entry is still its own", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "sgnet-cleaner-"));
  const server = await RedisServer.start({ dir, args: ["--appendonly", "yes", "--appendfsync", "always"] });
  const connection = await connect(server.url, "test");
  t.after(async () => {
    connection.close();
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  });
  const keys = new Keys("test");
  const cleaner = new Cleaner({
    connection,
    stores: openStores(connection, keys),
    mono: () => performance.now(),
    awake: () => performance.now(),
  });
  const moves = movesOf(connection);
  const exchanges = new Map<string, Exchange>();
  // Each of "theirs" has an entry that is another task's in the data that Redis comes back with.
  for (const [index, name] of ["mine.1", "theirs.1", "mine.2", "theirs.2"].entries()) {
    const entry = `${index + 1}-0`;
    const inIts = name.startsWith("mine") ? name : `other.${index}`;
    await connection.command("XADD", keys.queue("tiny"), entry, "t", queuedRecord(inIts));
    const { exchange } = exchangeOf(name);
    exchange.queued(entry);
    exchanges.set(name, exchange);
  }
  const abandon = (name: string): void => {
    const exchange = exchanges.get(name);
    assert.ok(exchange);
    cleaner.abandoned(exchange);
  };
  const isThere = async (n: number): Promise<boolean> =>
    openStores(connection, keys).queue.has("tiny", `${n}-0`);
  await server.kill();
  await until("an end of the connection", () => !connection.ready);
  abandon("theirs.1");
  abandon("mine.1");
  await turn();
  await server.startAgain();
  await until("its return", () => moves.length > 0);
  abandon("theirs.2");
  abandon("mine.2");
  await until("their removal", async () => !(await isThere(1)) && !(await isThere(3)));
  assert.deepEqual([await isThere(2), await isThere(4)], [true, true]);
  cleaner.stop();
});

test("a large body goes with its task, also when it was answered", async () => {
  const connection = new FakeConnection();
  const cleaner = cleanerOf(connection);
  const body = Buffer.alloc(200_000);
  cleaner.abandoned(exchangeOf("g.2", { body }).exchange);
  assert.ok(connection.arrived.includes("UNLINK test:b:{g}:g.2"));
  const { exchange: begun } = exchangeOf("g.4", { body });
  begun.receive({ task: "g.4", attempt: 1, seq: 1, bytes: Buffer.from("a") });
  cleaner.abandoned(begun);
  assert.ok(connection.arrived.includes("UNLINK test:b:{g}:g.4"));
  connection.cut();
  cleaner.answered(exchangeOf("g.3", { body }).exchange);
  await turn();
  cleaner.stop();
  const before = connection.arrived.length;
  connection.mend();
  await turn();
  assert.ok(connection.arrived.slice(before).includes("UNLINK test:b:{g}:g.3"));
});

test("what Redis refuses without a cut is tried again", async () => {
  const connection = new FakeConnection();
  const cleaner = cleanerOf(connection);
  const { exchange } = exchangeOf("g.3");
  connection.answer = () => Promise.reject(new Fault("redis_down", "LOADING"));
  cleaner.abandoned(exchange);
  await turn();
  connection.answer = () => null;
  const refused = connection.arrived.length;
  await until("another try", () => connection.arrived.length > refused);
  assert.equal(connection.arrived[refused], "UNLINK test:r:{g}:g.3");
  cleaner.stop();
});

test("it is settled when Redis knows all that was removed before the reconnect, and not before", async () => {
  const connection = new FakeConnection();
  const cleaner = cleanerOf(connection);
  cleaner.abandoned(exchangeOf("g.1").exchange);
  await turn();
  connection.cut();
  cleaner.abandoned(exchangeOf("g.2").exchange);
  cleaner.answered(exchangeOf("g.3").exchange);
  const gates = ["g.1", "g.2", "g.3"].map((id) => ({ id, gate: Promise.withResolvers<null>() }));
  connection.answer = (command) => gates.find(({ id }) => command.endsWith(id))?.gate.promise ?? null;
  connection.mend(true);
  let settled = false;
  const waited = cleaner.settled().then(() => (settled = true));
  for (const { gate } of gates.slice(1)) gate.resolve(null);
  await turn();
  assert.equal(settled, false);
  gates[0]?.gate.reject(new Fault("redis_down", "LOADING"));
  await turn();
  assert.equal(settled, false, "it is tried again");
  connection.answer = () => null;
  await waited;
  assert.equal(connection.arrived.at(-1), "UNLINK test:r:{g}:g.1");
  cleaner.stop();
});

test("what was removed lately is removed again also where Redis loads its data first", async () => {
  const connection = new FakeConnection();
  const cleaner = cleanerOf(connection);
  cleaner.abandoned(exchangeOf("g.1").exchange);
  await turn();
  connection.cut();
  connection.answer = () => Promise.reject(new Fault("redis_down", "LOADING"));
  connection.mend();
  await turn();
  connection.answer = () => null;
  const refused = connection.arrived.length;
  await until("another try", () => connection.arrived.length > refused);
  assert.equal(connection.arrived[refused], "UNLINK test:r:{g}:g.1");
  cleaner.stop();
});
