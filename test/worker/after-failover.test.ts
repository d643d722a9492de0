import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { openStores } from "../../src/redis/stores.ts";
import type { QueuedTask } from "../../src/redis/task-queue.ts";
import { Acknowledger, RecentlyEnded } from "../../src/worker/acknowledger.ts";
import { FailoverGuard } from "../../src/worker/failover-guard.ts";
import { linkTo } from "../../src/worker/links.ts";
import type { Link } from "../../src/worker/links.ts";
import { until } from "../rig/until.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";
import { queuedRecord } from "../rig/redis/queued-record.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";

const MODEL = "tiny";

/**
 * A connection to a real Redis that can report that another master has taken over. Tests add entries to it: they stand
 * for removals that the new master does not know.
 */
class MovedConnection extends FakeConnection {
  readonly #rig: RedisRig;

  constructor(rig: RedisRig) {
    super();
    this.#rig = rig;
  }

  override async command(...args: (string | Buffer)[]): Promise<unknown> {
    return this.#rig.connection.command(...args);
  }
}

describe("after another master has taken over", () => {
  let rig: RedisRig;
  before(async () => {
    rig = await openRedisRig();
    await rig.stores.queue.ensureGroup(MODEL);
  });
  after(() => rig.close());

  const put = async (task: string): Promise<QueuedTask> => {
    const payload = queuedRecord(task);
    return { model: MODEL, entry: await rig.stores.queue.add(MODEL, payload), payload };
  };
  const isThere = async (entry: string): Promise<boolean> => rig.stores.queue.has(MODEL, entry);
  /** As it was before it was acknowledged. */
  const putBack = async (entry: string, task: string): Promise<unknown> =>
    rig.connection.command("XADD", rig.keys.queue(MODEL), entry, "t", queuedRecord(task));

  it("an end of a moment before is acknowledged again, but for another task in its place", async () => {
    const connection = new MovedConnection(rig);
    const acknowledger = new Acknowledger({
      connection,
      stores: openStores(connection, rig.keys),
      ambient: { mono: () => 0 },
    });
    for (const [entry, task] of [
      ["9999999999990-0", "g.1"],
      ["9999999999990-1", "g.2"],
    ] as const)
      acknowledger.add(MODEL, entry, task);
    await acknowledger.flush();
    await putBack("9999999999990-0", "g.1");
    await putBack("9999999999990-1", "g.other");
    connection.mend(false);
    await turn();
    assert.equal(await isThere("9999999999990-0"), true, "the same server knows");
    connection.mend(true);
    await until("a repetition", async () => !(await isThere("9999999999990-0")));
    assert.equal(await isThere("9999999999990-1"), true);
    await rig.connection.command("XTRIM", rig.keys.queue(MODEL), "MAXLEN", "0");
  });

  it("ended tasks are found by their ids, however many there are", async () => {
    await rig.connection.command("DEL", rig.keys.queue("many"));
    const ended = await Promise.all(
      Array.from({ length: 250 }, async (_, index) => {
        const task = `g.${index}`;
        const entry = await rig.stores.queue.add("many", queuedRecord(task));
        return { entry, task: index % 2 === 0 ? task : "g.else" };
      }),
    );
    const found = await rig.stores.queue.stillQueued("many", [...ended, { entry: "5-0", task: "g.gone" }]);
    assert.equal(found.length, 125);
  });

  /** A worker that has worked for long. */
  class MovedWorker {
    readonly connection: MovedConnection = new MovedConnection(rig);
    readonly link: Link = linkTo(this.connection, rig.keys);
    readonly acknowledger: Acknowledger;
    readonly failoverGuard: FailoverGuard;
    /** Mono ms. */
    clock = 0;
    /** Whether what Redis shows of gateways is believed. */
    believing = true;
    undecided = 0;

    constructor() {
      const { connection } = this;
      connection.server = "new";
      const ambient = { mono: (): number => this.clock };
      this.acknowledger = new Acknowledger({ connection, stores: openStores(connection, rig.keys), ambient });
      const leaseJudge = { check: () => Promise.resolve(this.believing) };
      this.failoverGuard = new FailoverGuard({
        ambient,
        acknowledger: this.acknowledger,
        leaseJudge,
        leaseMs: 1000,
      });
      this.failoverGuard.watch(connection);
      this.failoverGuard.onUndecided(() => (this.undecided += 1));
      this.clock = 100_000;
    }
  }

  /** Announces the gateway of all tasks here. @param server absent as of an older gateway */
  const announce = async (server?: string): Promise<void> => {
    await rig.connection.command("SET", rig.keys.gateway("g"), JSON.stringify({ tag: "g", server }));
  };

  it("nothing is claimed for a moment, and what is over is not run", async () => {
    const one = new MovedWorker();
    const { connection, acknowledger, failoverGuard } = one;
    await announce("new");
    const waited = await put("g.1");
    const [left, ended] = [await put("g.2"), await put("g.3")];
    const strange = { model: MODEL, entry: "5-0", payload: Buffer.from("x") };
    const all = [waited, left, ended, strange];
    await rig.stores.replies.open([
      { id: "g.1", life: 60_000 },
      { id: "g.3", life: 60_000 },
    ]);
    acknowledger.add(MODEL, ended.entry, "g.3");
    await acknowledger.flush();
    assert.deepEqual(
      [failoverGuard.settleMs(connection), await failoverGuard.filterRunnable(one.link, all)],
      [0, all],
      "without a cause nothing is checked",
    );
    connection.mend(false);
    assert.deepEqual(
      [failoverGuard.settleMs(connection), await failoverGuard.filterRunnable(one.link, all)],
      [0, all],
    );
    await putBack("9999999999991-0", "g.3");
    connection.mend(true);
    assert.ok(failoverGuard.settleMs(connection) > 100);
    one.clock += 2000;
    assert.equal(failoverGuard.settleMs(connection), 0);
    assert.deepEqual(await failoverGuard.filterRunnable(one.link, all), [waited, strange]);
    await until("its removal", async () => !(await isThere(left.entry)));
    assert.equal(await isThere(waited.entry), true);
    // Queued again under the same id, as what its gateway did not hear of.
    const again = { ...ended, entry: "9999999999991-0" };
    assert.deepEqual(await failoverGuard.filterRunnable(one.link, [again]), [again]);
    assert.equal(one.undecided, 0);
    one.clock += 60_000;
    assert.deepEqual(await failoverGuard.filterRunnable(one.link, all), all);
  });

  it("a connection that breaks again and again pauses and checks its own claims, and no others", async () => {
    const one = new MovedWorker();
    const flapping = new MovedConnection(rig);
    flapping.server = "new";
    const link = linkTo(flapping, rig.keys);
    const { failoverGuard } = one;
    failoverGuard.watch(flapping);
    await announce("old");
    const queued = await put("g.61");
    await rig.stores.replies.open([{ id: "g.61", life: 60_000 }]);
    for (let times = 0; times < 40; times += 1) {
      flapping.mend(true);
      assert.ok(failoverGuard.settleMs(flapping) > 100);
      assert.equal(failoverGuard.settleMs(one.connection), 0);
      one.clock += 500;
    }
    assert.deepEqual(await failoverGuard.filterRunnable(one.link, [queued]), [queued]);
    assert.deepEqual(await failoverGuard.filterRunnable(link, [queued]), []);
  });

  it("a gateway has settled on one server: a connection at another checks it anew", async () => {
    const one = new MovedWorker();
    const queued = await put("g.62");
    await rig.stores.replies.open([{ id: "g.62", life: 60_000 }]);
    one.connection.mend(true);
    one.clock += 2000;
    await announce("old");
    assert.deepEqual(await one.failoverGuard.filterRunnable(one.link, [queued]), []);
    await announce("new");
    assert.deepEqual(await one.failoverGuard.filterRunnable(one.link, [queued]), [queued]);
    one.connection.server = "newer";
    assert.deepEqual(await one.failoverGuard.filterRunnable(one.link, [queued]), []);
  });

  it("claims of a connection that was never announced to the guard are checked, too", async () => {
    const one = new MovedWorker();
    const other = new MovedConnection(rig);
    other.server = "new";
    await announce("old");
    const queued = await put("g.63");
    await rig.stores.replies.open([{ id: "g.63", life: 60_000 }]);
    assert.deepEqual(await one.failoverGuard.filterRunnable(linkTo(other, rig.keys), [queued]), []);
  });

  it("a task waits until its gateway says that it has removed again what it removed, however late that is", async () => {
    const one = new MovedWorker();
    await announce("old");
    one.connection.mend(true);
    const [answered, waited] = [await put("g.11"), await put("g.12")];
    await rig.stores.replies.open([
      { id: "g.11", life: 60_000 },
      { id: "g.12", life: 60_000 },
    ]);
    for (const late of [1, 2]) {
      one.clock += 6000;
      assert.deepEqual(await one.failoverGuard.filterRunnable(one.link, [answered, waited]), []);
      assert.equal(one.undecided, late, "it is looked for again");
    }
    assert.deepEqual([await isThere(answered.entry), await isThere(waited.entry)], [true, true]);
    await rig.connection.command("UNLINK", rig.keys.reply("g.11"));
    await announce("new");
    assert.deepEqual(await one.failoverGuard.filterRunnable(one.link, [answered, waited]), [waited]);
    await until("its removal", async () => !(await isThere(answered.entry)));
    assert.equal(one.undecided, 2);
  });

  it("a task of a gateway that is gone waits until that is certain, then ends", async () => {
    const one = new MovedWorker();
    await rig.connection.command("DEL", rig.keys.gateway("g"));
    one.connection.mend(true);
    const queued = await put("g.21");
    await rig.stores.replies.open([{ id: "g.21", life: 60_000 }]);
    one.clock += 10_000;
    assert.deepEqual(await one.failoverGuard.filterRunnable(one.link, [queued]), []);
    one.clock += 6000;
    one.believing = false;
    assert.deepEqual(await one.failoverGuard.filterRunnable(one.link, [queued]), []);
    assert.deepEqual([one.undecided, await isThere(queued.entry)], [2, true]);
    one.believing = true;
    assert.deepEqual(await one.failoverGuard.filterRunnable(one.link, [queued]), []);
    await until("its removal", async () => !(await isThere(queued.entry)));
    assert.equal(one.undecided, 2);
  });

  it("an older gateway, and a Redis that does not report its run, are not waited for", async () => {
    const one = new MovedWorker();
    one.connection.mend(true);
    const queued = await put("g.31");
    await rig.stores.replies.open([{ id: "g.31", life: 60_000 }]);
    await announce();
    assert.deepEqual(await one.failoverGuard.filterRunnable(one.link, [queued]), [queued]);
    await rig.connection.command("DEL", rig.keys.gateway("g"));
    await rig.connection.command("RPUSH", rig.keys.gateway("g"), "something else");
    assert.deepEqual(await one.failoverGuard.filterRunnable(one.link, [queued]), [queued]);
    await announce("");
    assert.deepEqual(await one.failoverGuard.filterRunnable(one.link, [queued]), []);
    one.connection.server = undefined;
    assert.deepEqual(await one.failoverGuard.filterRunnable(one.link, [queued]), [queued]);
  });

  it("a worker that has just started waits for gateways that are behind, and runs nothing that one has removed", async () => {
    const one = new MovedWorker();
    one.clock = 0;
    const [queued, left] = [await put("g.41"), await put("g.42")];
    await rig.stores.replies.open([{ id: "g.41", life: 60_000 }]);
    await announce("old");
    assert.deepEqual(
      [
        one.failoverGuard.settleMs(one.connection),
        await one.failoverGuard.filterRunnable(one.link, [queued]),
      ],
      [0, []],
    );
    await rig.connection.command("DEL", rig.keys.gateway("g"));
    assert.deepEqual(await one.failoverGuard.filterRunnable(one.link, [queued, left]), [queued, left]);
    await announce("new");
    assert.deepEqual(await one.failoverGuard.filterRunnable(one.link, [queued, left]), [queued]);
    await until("its removal", async () => !(await isThere(left.entry)));
    assert.equal(one.undecided, 1);
  });

  it("on a cluster a reply that is missing may be about to come back, until its gateway has opened all", async () => {
    const one = new MovedWorker();
    one.connection.sharded = true;
    const queued = await put("g.51");
    one.connection.mend(true);
    await announce();
    assert.deepEqual(await one.failoverGuard.filterRunnable(one.link, [queued]), [queued]);
    await announce("old");
    assert.deepEqual(await one.failoverGuard.filterRunnable(one.link, [queued]), []);
    assert.equal(await isThere(queued.entry), true);
    await announce("new");
    assert.deepEqual(await one.failoverGuard.filterRunnable(one.link, [queued]), []);
    await until("its removal", async () => !(await isThere(queued.entry)));
  });
});

it("ended tasks are remembered for some seconds, and not without bound", () => {
  let clock = 0;
  const recent = new RecentlyEnded({ mono: () => clock });
  recent.add(MODEL, [{ entry: "1-0", task: "g.1" }]);
  recent.add("other", [{ entry: "2-0", task: "g.2" }]);
  assert.equal(recent.has({ entry: "1-0", task: "g.1" }), true);
  assert.equal(recent.has({ entry: "1-1", task: "g.1" }), false, "another delivery");
  assert.deepEqual([...recent.byModel().keys()], [MODEL, "other"]);
  clock = 9000;
  recent.add(MODEL, [{ entry: "3-0", task: "g.1" }]);
  clock = 11_000;
  assert.deepEqual(
    [...recent.byModel()].map(([model, ended]) => [model, ended.map(({ entry }) => entry)]),
    [[MODEL, ["3-0"]]],
  );
  recent.add(
    MODEL,
    Array.from({ length: 25_000 }, (_, index) => ({ entry: `${index}-0`, task: `g.x${index}` })),
  );
  assert.equal(recent.byModel().get(MODEL)?.length, 20_000);
});
