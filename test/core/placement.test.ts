import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { planPlacement } from "../../src/core/placement.ts";
import type { PlacementModel, MemoryCapacity, PlacementPlan } from "../../src/core/placement.ts";

const NOW = 100_000;
const ONE: MemoryCapacity = { models: 1, bytes: 0 };

function model(key: string, given: Partial<PlacementModel> = {}): PlacementModel {
  return {
    key,
    loaded: false,
    loadedAt: undefined,
    running: 0,
    idleAt: -Infinity,
    open: true,
    waitingSince: undefined,
    queued: given.waitingSince !== undefined,
    dueAt: given.waitingSince === undefined ? Infinity : given.waitingSince + 4000,
    retryAt: -Infinity,
    residencyMs: 2000,
    lingerMs: 100,
    bytes: 0,
    ...given,
  };
}

const warm = (key: string, given: Partial<PlacementModel> = {}): PlacementModel =>
  model(key, { loaded: true, loadedAt: NOW - 10_000, ...given });
const waitsFor = (ms: number): Partial<PlacementModel> => ({ waitingSince: NOW - ms });

function planned(models: readonly PlacementModel[], capacity = ONE, turn = 0): PlacementPlan {
  return planPlacement(models, capacity, { now: NOW, turn });
}

describe("a plan for a server with one place", () => {
  it("listens to all while nothing runs and none waits", () => {
    const { claim, listen, waits, recheckAt } = planned([warm("a"), model("b"), model("c")]);
    assert.deepEqual([claim, listen, waits, recheckAt], [["a"], ["a", "b", "c"], false, Infinity]);
  });

  it("lets loaded models go first while they have work and no bound is reached", () => {
    const { claim, listen, recheckAt } = planned([warm("a", waitsFor(100)), model("b", waitsFor(3000))]);
    assert.deepEqual([claim, listen, recheckAt], [["a"], ["a"], NOW + 1000]);
  });

  it("loads nothing beside a model that runs, though none of its tasks waits", () => {
    const { claim, listen } = planned([warm("a", { running: 1 }), model("b", waitsFor(10)), model("c")]);
    assert.deepEqual([claim, listen], [["a"], ["a"]]);
  });

  it("loads the cold model that has waited longest, alone, when nothing loaded has work", () => {
    const { claim, listen, waits } = planned([warm("a"), model("b", waitsFor(10)), model("c", waitsFor(20))]);
    assert.deepEqual([claim, listen, waits], [["c"], ["c"], true]);
  });

  it("leaves a model whose load has just failed to others, while it has work", () => {
    const broken = model("b", { retryAt: NOW + 700 });
    const two = { models: 2, bytes: 0 };
    assert.deepEqual(planned([warm("a", { running: 1 }), broken], two).listen, ["a"]);
    assert.deepEqual(planned([warm("a"), broken], two).listen, ["a", "b"]);
  });

  it("waits some milliseconds for the next task of a model that has just become idle", () => {
    const early = planned([warm("a", { idleAt: NOW - 10 }), model("b", waitsFor(5))]);
    assert.deepEqual([early.claim, early.recheckAt], [["a"], NOW + 90]);
    const late = planned([warm("a", { idleAt: NOW - 100 }), model("b", waitsFor(5))]);
    assert.deepEqual(late.claim, ["b"]);
    const due = planned([warm("a", { idleAt: NOW - 10 }), model("b", waitsFor(4000))]);
    assert.deepEqual(due.claim, ["b"]);
  });

  it("claims nothing more once the bound is reached, until the present model is idle", () => {
    const busy = warm("a", { ...waitsFor(100), running: 2 });
    const draining = planned([busy, model("b", waitsFor(4000))]);
    assert.deepEqual([draining.claim, draining.listen], [[], []]);
    assert.deepEqual([draining.swapTo, draining.closing], ["b", ["a"]]);
    const drained = planned([{ ...busy, running: 0 }, model("b", waitsFor(4000))]);
    assert.deepEqual([drained.claim, drained.swapTo], [["b"], "b"]);
  });

  it("keeps the present model for its residency, whatever waits", () => {
    const young = warm("a", { ...waitsFor(100), running: 2, loadedAt: NOW - 500 });
    const { claim, recheckAt } = planned([young, model("b", waitsFor(9000))]);
    assert.deepEqual([claim, recheckAt], [["a"], NOW + 1500]);
    const loading = planned([{ ...young, loadedAt: undefined }, model("b", waitsFor(9000))]);
    assert.deepEqual([loading.claim, loading.recheckAt], [["a"], Infinity]);
  });

  it("does not load again what has just failed to load, unless nothing else is to be done", () => {
    const broken = model("b", { ...waitsFor(9000), retryAt: NOW + 700 });
    const beside = planned([warm("a", waitsFor(100)), broken]);
    assert.deepEqual([beside.claim, beside.recheckAt], [["a"], NOW + 700]);
    assert.deepEqual(planned([warm("a"), broken]).claim, ["b"]);
  });

  it("passes over models whose circuit is open, cold or loaded", () => {
    const shut = { open: false };
    assert.deepEqual(planned([warm("a"), model("b", { ...waitsFor(9000), ...shut })]).claim, ["a"]);
    const { claim } = planned([warm("a", { ...waitsFor(9000), ...shut }), model("b", waitsFor(10))]);
    assert.deepEqual(claim, ["b"]);
  });

  it("lets others take over requeued tasks, and goes on with what is loaded", () => {
    const back = model("b", { ...waitsFor(4000), queued: false });
    const idle = planned([warm("a"), back]);
    assert.deepEqual([idle.claim, idle.listen], [[], ["b"]]);
    const busy = planned([warm("a", { ...waitsFor(5), running: 1 }), back]);
    assert.deepEqual([busy.claim, busy.swapTo], [[], "b"]);
  });
});

describe("a plan for a server with two places", () => {
  const TWO: MemoryCapacity = { models: 2, bytes: 0 };

  it("loads beside a busy model what fits there, at once", () => {
    const { claim } = planned([warm("a", { ...waitsFor(5), running: 3 }), model("b", waitsFor(5))], TWO);
    assert.deepEqual(claim, ["b"]);
  });

  it("loads in the place of an idle model, not of a busy one", () => {
    const models = [warm("a", { ...waitsFor(5), running: 3 }), warm("b"), model("c", waitsFor(5))];
    assert.deepEqual(planned(models, TWO).claim, ["c"]);
  });

  it("closes the one that has been there longest", () => {
    const busy = { ...waitsFor(5), running: 1 };
    const models = [
      warm("a", busy),
      warm("b", { ...busy, loadedAt: NOW - 20_000 }),
      model("c", waitsFor(5000)),
    ];
    const { claim, closing, swapTo } = planned(models, TWO);
    assert.deepEqual([claim, closing, swapTo], [["a"], ["b"], "c"]);
  });

  it("takes bytes into account where they are known", () => {
    const big = { ...waitsFor(5), running: 1, bytes: 60 };
    const capacity = { models: 2, bytes: 100 };
    assert.deepEqual(planned([warm("a", big), model("b", { ...waitsFor(5), bytes: 50 })], capacity).claim, [
      "a",
    ]);
    assert.deepEqual(planned([warm("a", big), model("b", { ...waitsFor(5), bytes: 40 })], capacity).claim, [
      "b",
    ]);
  });

  it("lets each of several loaded models be first in turn", () => {
    const models = [warm("a"), warm("b"), model("c")];
    assert.deepEqual(planned(models, TWO, 0).claim, ["a", "b"]);
    assert.deepEqual(planned(models, TWO, 1).claim, ["b", "a"]);
  });
});

describe("any plan", () => {
  const since = fc.option(fc.integer({ min: 0, max: 20_000 }), { nil: undefined });
  const anyModel = fc
    .record({
      loaded: fc.boolean(),
      age: fc.option(fc.integer({ min: 0, max: 10_000 }), { nil: undefined }),
      running: fc.integer({ min: 0, max: 2 }),
      idle: fc.integer({ min: 0, max: 300 }),
      open: fc.boolean(),
      waited: since,
      queued: fc.boolean(),
      retry: fc.integer({ min: -1000, max: 1000 }),
      bytes: fc.integer({ min: 0, max: 5 }),
    })
    .map(({ loaded, age, running, idle, open, waited, queued, retry, bytes }) =>
      model("", {
        loaded,
        loadedAt: loaded && age !== undefined ? NOW - age : undefined,
        running: loaded ? running : 0,
        idleAt: NOW - idle,
        open,
        waitingSince: waited === undefined ? undefined : NOW - waited,
        queued: waited !== undefined && queued,
        dueAt: waited === undefined ? Infinity : NOW - waited + 4000,
        retryAt: NOW + retry,
        bytes,
      }),
    );
  const models = fc
    .array(anyModel, { minLength: 2, maxLength: 6 })
    .map((list) => list.map((one, index) => ({ ...one, key: `m${index}` })));
  const capacity = fc.record({
    models: fc.integer({ min: 1, max: 3 }),
    bytes: fc.integer({ min: 0, max: 12 }),
  });

  it("claims what is open only, and cold models one at a time and beside no more than fit", () => {
    fc.assert(
      fc.property(models, capacity, fc.nat(7), (list, room, turn) => {
        const byKey = new Map(list.map((one) => [one.key, one]));
        const { claim, listen, closing } = planned(list, room, turn);
        for (const key of [...claim, ...listen]) assert.ok(byKey.get(key)?.open, `${key} is open`);
        const cold = claim.filter((key) => byKey.get(key)?.loaded === false);
        assert.ok(cold.length === 0 || claim.length === 1, "a cold model is claimed alone");
        if (cold.length > 0) {
          const kept = list.filter(({ key, running }) => running > 0 && !closing.includes(key));
          assert.ok(kept.length === 0 || kept.length + 1 <= room.models, "nothing that runs has to go");
        }
        for (const key of closing) assert.ok(!claim.includes(key), "what closes gets no more");
      }),
    );
  });

  it("does something about every task that waits: claims, drains, or knows when to look again", () => {
    fc.assert(
      fc.property(models, capacity, fc.nat(7), (list, room, turn) => {
        const waiting = list.filter(({ open, waitingSince }) => open && waitingSince !== undefined);
        const loading = list.some(({ loaded, loadedAt }) => loaded && loadedAt === undefined);
        const { claim, listen, swapTo, recheckAt } = planned(list, room, turn);
        const running = list.some((one) => one.running > 0);
        if (waiting.length === 0 || loading) return;
        const isServed = waiting.some(({ key }) => claim.includes(key) || listen.includes(key));
        assert.ok(isServed || (swapTo !== undefined && running) || recheckAt < Infinity);
        assert.ok(recheckAt > NOW);
      }),
    );
  });
});
