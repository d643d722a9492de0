import assert from "node:assert/strict";
import test from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Upkeep } from "../../src/redis/connection/upkeep.ts";
import { until } from "../rig/until.ts";

interface Rig {
  readonly upkeep: Upkeep;
  readonly events: string[];
  /** Outcomes of the next attempts. The last one stays. */
  readonly outcomes: (() => Promise<boolean>)[];
  attempts: number;
}

const works = async (changed = false): Promise<boolean> => Promise.resolve(changed);
const fails = async (): Promise<boolean> => Promise.reject(new Error("no server"));

function rigOf(...outcomes: (() => Promise<boolean>)[]): Rig {
  const events: string[] = [];
  const upkeep = new Upkeep(async () => {
    rig.attempts += 1;
    const [outcome = works] = outcomes.length > 1 ? outcomes.splice(0, 1) : outcomes;
    return outcome();
  });
  const rig: Rig = { upkeep, events, outcomes, attempts: 0 };
  upkeep.onDown(() => events.push("down"));
  upkeep.onReconnect((moved) => events.push(moved ? "moved" : "up"));
  return rig;
}

test("a first attempt that fails is one that fails", async () => {
  const { upkeep, events } = rigOf(fails);
  await assert.rejects(upkeep.open(), { code: "redis_down" });
  assert.equal(upkeep.up, false);
  assert.deepEqual(events, []);
});

test("what breaks while it is opened is not taken for up", async () => {
  const { upkeep } = rigOf(async () => {
    upkeep.broke(new Error("gone again"));
    return works();
  });
  await assert.rejects(upkeep.open(), { code: "redis_down" });
});

test("what broke is mended, however often that fails, and told once, with what was found on the way", async () => {
  const rig = rigOf(works);
  await rig.upkeep.open();
  rig.outcomes.splice(
    0,
    1,
    fails,
    fails,
    async () => {
      rig.upkeep.broke(new Error("another one"));
      return works(true);
    },
    works,
  );
  rig.upkeep.broke(new Error("gone"));
  assert.equal(rig.upkeep.up, false);
  await until("up", () => rig.upkeep.up);
  assert.equal(rig.attempts, 5);
  assert.deepEqual(rig.events, ["down", "down", "down", "down", "moved"]);
  rig.upkeep.close();
});

test("a look that finds another server is told as a reconnect, one that finds nothing new is not", async () => {
  const rig = rigOf(works);
  await rig.upkeep.open();
  await rig.upkeep.check();
  assert.deepEqual(rig.events, []);
  rig.outcomes.splice(0, 1, () => works(true));
  await Promise.all([rig.upkeep.check(), rig.upkeep.check()]);
  assert.deepEqual(rig.events, ["moved"]);
  assert.equal(rig.attempts, 3, "looks at the same time are one");
  rig.upkeep.close();
});

test("a closed one mends nothing and tells nothing", async () => {
  const rig = rigOf(works);
  await rig.upkeep.open();
  rig.outcomes.splice(0, 1, fails);
  rig.upkeep.broke(new Error("gone"));
  await until("attempts", () => rig.attempts > 2);
  rig.upkeep.close();
  await turn();
  const { attempts } = rig;
  rig.events.length = 0;
  rig.upkeep.broke(new Error("late"));
  await turn();
  assert.deepEqual([rig.attempts, rig.events, rig.upkeep.up], [attempts, [], false]);
  assert.throws(
    () => {
      rig.upkeep.assertOpen();
    },
    { code: "redis_down" },
  );
});

test("what breaks each time it was mended is mended ever more seldom, until it is closed", async () => {
  const rig = rigOf(works);
  await rig.upkeep.open();
  // As on a Redis Cluster: one node says CLUSTERDOWN, while the node that gives the map is well.
  rig.upkeep.onReconnect(() => {
    setImmediate(() => {
      rig.upkeep.broke(new Error("CLUSTERDOWN"));
    });
  });
  const began = performance.now();
  rig.upkeep.broke(new Error("CLUSTERDOWN"));
  await until("attempts", () => rig.attempts >= 7);
  const tookMs = performance.now() - began;
  rig.upkeep.close();
  // Pauses of 40, 80, 160 and 320 ms, each a quarter shorter at most.
  assert.ok(tookMs > 400, `7 attempts in ${tookMs} ms`);
});
