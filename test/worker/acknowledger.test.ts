import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Connection } from "../../src/redis/connection/connection.ts";
import { Keys } from "../../src/redis/keys.ts";
import { openStores } from "../../src/redis/stores.ts";
import { Acknowledger, RecentlyEnded } from "../../src/worker/acknowledger.ts";
import { until } from "../rig/until.ts";
import { restartableRig } from "../rig/redis/restartable-rig.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";
import { movesOf } from "../rig/redis/suite-servers.ts";
import { queuedRecord } from "../rig/redis/queued-record.ts";

const MODEL = "tiny";
const keys = new Keys("test");
const mono = (): number => performance.now();

/** Puts tasks into the entries `<n>-0`, n as given. */
async function put(connection: Connection, tasks: Readonly<Record<number, string>>): Promise<void> {
  await connection.command("DEL", keys.queue(MODEL));
  await openStores(connection, keys).queue.ensureGroup(MODEL);
  for (const [n, task] of Object.entries(tasks)) {
    await connection.command("XADD", keys.queue(MODEL), `${n}-0`, "t", queuedRecord(task));
  }
}

async function isThere(connection: Connection, n: number): Promise<boolean> {
  return openStores(connection, keys).queue.has(MODEL, `${n}-0`);
}

describe("after a restart with data in which entries are other tasks'", () => {
  const rig = restartableRig("--appendonly yes --appendfsync always");
  const { opened } = rig;
  it("an end that waited for Redis is acknowledged only where the entry is still that task's", async () => {
    const connection = await opened();
    await put(connection, { 1: "g.1", 2: "g.other" });
    const acknowledger = new Acknowledger({
      connection,
      stores: openStores(connection, keys),
      ambient: { mono },
    });
    const moves = movesOf(connection);
    await rig.server.kill();
    await until("an end of the connection", () => !connection.ready);
    acknowledger.add(MODEL, "1-0", "g.1");
    acknowledger.add(MODEL, "2-0", "g.2");
    await acknowledger.flush();
    await rig.server.startAgain();
    await until("its return", () => moves.length > 0);
    await until("the acknowledgement", async () => !(await isThere(connection, 1)));
    assert.equal(await isThere(connection, 2), true);
  });

  it("so is what ends later, but was claimed before", async () => {
    const connection = await opened();
    await put(connection, { 1: "g.1", 2: "g.other", 3: "g.3" });
    const acknowledger = new Acknowledger({
      connection,
      stores: openStores(connection, keys),
      ambient: { mono },
    });
    const moves = movesOf(connection);
    const heldSince = mono();
    await rig.server.kill();
    await rig.server.startAgain();
    await until("its return", () => moves.length > 0);
    acknowledger.add(MODEL, "1-0", "g.1", heldSince);
    acknowledger.add(MODEL, "2-0", "g.2", heldSince);
    acknowledger.add(MODEL, "3-0", "g.3", mono() + 1);
    await acknowledger.flush();
    assert.deepEqual(await Promise.all([1, 2, 3].map(async (n) => isThere(connection, n))), [
      false,
      true,
      false,
    ]);
    assert.equal(acknowledger.hasEnded({ entry: "1-0", task: "g.1" }), true);
  });

  it("and what could not be looked for is when Redis is back once more", async () => {
    const connection = await opened();
    await put(connection, { 1: "g.1", 2: "g.other", 3: "no id" });
    await connection.command("XADD", keys.queue(MODEL), "4-0", "t", "no task");
    const acknowledger = new Acknowledger({
      connection,
      stores: openStores(connection, keys),
      ambient: { mono },
    });
    const moves = movesOf(connection);
    await rig.server.kill();
    await until("an end of the connection", () => !connection.ready);
    acknowledger.add(MODEL, "1-0", "g.1");
    acknowledger.add(MODEL, "2-0", "g.2");
    acknowledger.add(MODEL, "3-0", "");
    acknowledger.add(MODEL, "4-0", "");
    await rig.server.startAgain();
    await until("its return", () => moves.length > 0);
    // Whether they were sent by now or not: they are checked.
    await rig.server.kill();
    await acknowledger.flush();
    await rig.server.startAgain();
    await until("its next return", () => moves.length > 1);
    await until("the acknowledgement", async () => !(await isThere(connection, 4)));
    await until("the acknowledgement", async () => !(await isThere(connection, 1)));
    assert.deepEqual([await isThere(connection, 2), await isThere(connection, 3)], [true, true]);
  });
});

it("an end that Redis does not take is remembered once, however often it is tried, and earlier ends stay", async () => {
  const connection = new FakeConnection();
  const acknowledger = new Acknowledger({
    connection,
    stores: openStores(connection, keys),
    ambient: { mono },
  });
  const searches = (): string[] => connection.arrived.filter((command) => command.startsWith("XREVRANGE"));
  acknowledger.add(MODEL, "1-0", "g.old");
  await acknowledger.flush();
  connection.cut();
  for (let n = 1; n <= 300; n += 1) {
    acknowledger.add(MODEL, `2-${n}`, `g.${n}`);
    await acknowledger.flush();
  }
  connection.answer = (command) => (command.startsWith("XREVRANGE") ? [] : 1);
  connection.mend(true);
  assert.equal(acknowledger.hasEnded({ task: "g.old", entry: "1-0" }), true);
  await acknowledger.flush();
  assert.deepEqual([searches().length, new Set(searches()).size], [301, 301]);
});

const task = (n: number): { task: string; entry: string } => ({ task: `g.${n}`, entry: `${n}-0` });

it("tasks that ended before Redis went away are remembered for as long as it is away", () => {
  let clock = 0;
  const recent = new RecentlyEnded({ mono: () => clock });
  recent.add("m", [task(1)]);
  clock = 9000;
  recent.away();
  clock = 40_000;
  recent.away();
  recent.add("m", [task(2)]);
  assert.deepEqual(
    recent
      .byModel()
      .get("m")
      ?.map((ended) => ended.task),
    ["g.1", "g.2"],
  );
  recent.back();
  assert.deepEqual(
    recent
      .byModel()
      .get("m")
      ?.map((ended) => ended.task),
    ["g.2"],
  );
});

it("an end is remembered however long this worker stands still between it and the cut", async () => {
  const connection = new FakeConnection();
  const clock = { now: 0, stalled: 0 };
  const acknowledger = new Acknowledger({
    connection,
    stores: openStores(connection, keys),
    ambient: { mono: () => clock.now },
    awake: () => clock.now - clock.stalled,
  });
  acknowledger.add(MODEL, "1-0", "g.old");
  await acknowledger.flush();
  clock.now = 60_000;
  clock.stalled = 59_000;
  connection.cut();
  connection.mend(true);
  assert.equal(acknowledger.hasEnded({ task: "g.old", entry: "1-0" }), true);
});
