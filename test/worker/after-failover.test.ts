import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { openReplies } from "../../src/redis/reply-stream.ts";
import { enqueue, ensureGroup, isQueued, stillQueued } from "../../src/redis/task-stream.ts";
import type { QueuedTask } from "../../src/redis/task-stream.ts";
import { Acknowledger } from "../../src/worker/acknowledger.ts";
import { Doubts } from "../../src/worker/doubts.ts";
import { RecentlyEnded } from "../../src/worker/recently-ended.ts";
import { until } from "../journey/until.ts";
import { FakeConnection } from "../redis/fake-connection.ts";
import { queuedRecord } from "../redis/records.ts";
import { openRedisRig } from "../redis/rig.ts";
import type { RedisRig } from "../redis/rig.ts";

const MODEL = "tiny";

/**
 * A connection to a real Redis that can be told that another master has taken over. That this one has entries that were
 * removed is done by putting them there.
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
    await ensureGroup(rig.connection, rig.keys, MODEL);
  });
  after(() => rig.close());

  const put = async (task: string): Promise<QueuedTask> => {
    const payload = queuedRecord(task);
    return { model: MODEL, entry: await enqueue(rig.connection, rig.keys, MODEL, payload), payload };
  };
  const isThere = async (entry: string): Promise<boolean> => isQueued(rig.connection, rig.keys, MODEL, entry);
  /** As it was before it was acknowledged. */
  const putBack = async (entry: string, task: string): Promise<unknown> =>
    rig.connection.command("XADD", rig.keys.queue(MODEL), entry, "t", queuedRecord(task));

  it("what was acknowledged a moment before is so again, but for another task in its place", async () => {
    const connection = new MovedConnection(rig);
    const acknowledger = new Acknowledger({ connection, keys: rig.keys, mono: () => 0 });
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

  it("what is over is found by its task, however many there are", async () => {
    await rig.connection.command("DEL", rig.keys.queue("many"));
    const ended = await Promise.all(
      Array.from({ length: 250 }, async (_, index) => {
        const task = `g.${index}`;
        const entry = await enqueue(rig.connection, rig.keys, "many", queuedRecord(task));
        return { entry, task: index % 2 === 0 ? task : "g.else" };
      }),
    );
    const found = await stillQueued(rig.connection, rig.keys, "many", [
      ...ended,
      { entry: "5-0", task: "g.gone" },
    ]);
    assert.equal(found.length, 125);
  });

  /** A worker that has worked for long. */
  class Doubting {
    readonly connection: MovedConnection = new MovedConnection(rig);
    readonly acknowledger: Acknowledger;
    readonly doubts: Doubts;
    /** Mono ms. */
    clock = 0;
    /** Whether what Redis shows of gateways is believed. */
    trusting = true;
    unsure = 0;

    constructor() {
      const { connection } = this;
      connection.server = "new";
      const common = { connection, keys: rig.keys, mono: (): number => this.clock, leaseMs: 1000 };
      this.acknowledger = new Acknowledger(common);
      const trust = { look: () => Promise.resolve(this.trusting) };
      const onUnsure = (): void => void (this.unsure += 1);
      this.doubts = new Doubts({ ...common, acknowledger: this.acknowledger, trust, onUnsure });
      this.clock = 100_000;
    }
  }

  /** What the gateway of all tasks here announces. @param server absent as of an older gateway */
  const announce = async (server?: string): Promise<void> => {
    await rig.connection.command("SET", rig.keys.gateway("g"), JSON.stringify({ tag: "g", server }));
  };

  it("nothing is claimed for a moment, and what is over is not run", async () => {
    const one = new Doubting();
    const { connection, acknowledger, doubts } = one;
    await announce("new");
    const waited = await put("g.1");
    const [left, ended] = [await put("g.2"), await put("g.3")];
    const strange = { model: MODEL, entry: "5-0", payload: Buffer.from("x") };
    const all = [waited, left, ended, strange];
    await openReplies(rig.connection, rig.keys, [
      { id: "g.1", life: 60_000 },
      { id: "g.3", life: 60_000 },
    ]);
    acknowledger.add(MODEL, ended.entry, "g.3");
    await acknowledger.flush();
    assert.deepEqual([doubts.settleMs, await doubts.sift(all)], [0, all], "without a cause nobody looks");
    connection.mend(false);
    assert.deepEqual([doubts.settleMs, await doubts.sift(all)], [0, all]);
    await putBack("9999999999991-0", "g.3");
    connection.mend(true);
    assert.ok(doubts.settleMs > 100);
    one.clock += 2000;
    assert.equal(doubts.settleMs, 0);
    assert.deepEqual(await doubts.sift(all), [waited, strange]);
    await until("its removal", async () => !(await isThere(left.entry)));
    assert.equal(await isThere(waited.entry), true);
    // Queued again under the same id, as what its gateway did not hear of.
    const again = { ...ended, entry: "9999999999991-0" };
    assert.deepEqual(await doubts.sift([again]), [again]);
    assert.equal(one.unsure, 0);
    one.clock += 60_000;
    assert.deepEqual(await doubts.sift(all), all);
  });

  it("a task waits until its gateway says that it has removed again what it removed, however late that is", async () => {
    const one = new Doubting();
    await announce("old");
    one.connection.mend(true);
    const [answered, waited] = [await put("g.11"), await put("g.12")];
    await openReplies(rig.connection, rig.keys, [
      { id: "g.11", life: 60_000 },
      { id: "g.12", life: 60_000 },
    ]);
    for (const late of [1, 2]) {
      one.clock += 6000;
      assert.deepEqual(await one.doubts.sift([answered, waited]), []);
      assert.equal(one.unsure, late, "it is looked for again");
    }
    assert.deepEqual([await isThere(answered.entry), await isThere(waited.entry)], [true, true]);
    await rig.connection.command("UNLINK", rig.keys.reply("g.11"));
    await announce("new");
    assert.deepEqual(await one.doubts.sift([answered, waited]), [waited]);
    await until("its removal", async () => !(await isThere(answered.entry)));
    assert.equal(one.unsure, 2);
  });

  it("a task of a gateway that is gone waits until that is certain, then ends", async () => {
    const one = new Doubting();
    await rig.connection.command("DEL", rig.keys.gateway("g"));
    one.connection.mend(true);
    const queued = await put("g.21");
    await openReplies(rig.connection, rig.keys, [{ id: "g.21", life: 60_000 }]);
    one.clock += 10_000;
    assert.deepEqual(await one.doubts.sift([queued]), []);
    one.clock += 6000;
    one.trusting = false;
    assert.deepEqual(await one.doubts.sift([queued]), []);
    assert.deepEqual([one.unsure, await isThere(queued.entry)], [2, true]);
    one.trusting = true;
    assert.deepEqual(await one.doubts.sift([queued]), []);
    await until("its removal", async () => !(await isThere(queued.entry)));
    assert.equal(one.unsure, 2);
  });

  it("an older gateway, and a Redis that does not tell its run, are not waited for", async () => {
    const one = new Doubting();
    one.connection.mend(true);
    const queued = await put("g.31");
    await openReplies(rig.connection, rig.keys, [{ id: "g.31", life: 60_000 }]);
    await announce();
    assert.deepEqual(await one.doubts.sift([queued]), [queued]);
    await rig.connection.command("DEL", rig.keys.gateway("g"));
    await rig.connection.command("RPUSH", rig.keys.gateway("g"), "something else");
    assert.deepEqual(await one.doubts.sift([queued]), [queued]);
    await announce("");
    assert.deepEqual(await one.doubts.sift([queued]), []);
    one.connection.server = undefined;
    assert.deepEqual(await one.doubts.sift([queued]), [queued]);
  });

  it("a worker that has just started waits for gateways that are behind, runs nothing that one has removed, and doubts nothing else", async () => {
    const one = new Doubting();
    one.clock = 0;
    const [queued, left] = [await put("g.41"), await put("g.42")];
    await openReplies(rig.connection, rig.keys, [{ id: "g.41", life: 60_000 }]);
    await announce("old");
    assert.deepEqual([one.doubts.settleMs, await one.doubts.sift([queued])], [0, []]);
    await rig.connection.command("DEL", rig.keys.gateway("g"));
    assert.deepEqual(await one.doubts.sift([queued, left]), [queued, left]);
    await announce("new");
    assert.deepEqual(await one.doubts.sift([queued, left]), [queued]);
    await until("its removal", async () => !(await isThere(left.entry)));
    assert.equal(one.unsure, 1);
  });

  it("on a cluster a reply that is missing may be about to come back, until its gateway has opened all", async () => {
    const one = new Doubting();
    one.connection.sharded = true;
    const queued = await put("g.51");
    one.connection.mend(true);
    await announce();
    assert.deepEqual(await one.doubts.sift([queued]), [queued]);
    await announce("old");
    assert.deepEqual(await one.doubts.sift([queued]), []);
    assert.equal(await isThere(queued.entry), true);
    await announce("new");
    assert.deepEqual(await one.doubts.sift([queued]), []);
    await until("its removal", async () => !(await isThere(queued.entry)));
  });
});

it("what ended is remembered for some seconds, and not without bound", () => {
  let clock = 0;
  const recent = new RecentlyEnded(() => clock);
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
