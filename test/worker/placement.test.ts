import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import type { Backend } from "../../src/backends/backend.ts";
import { systemAmbient } from "../../src/core/ambient.ts";
import { BLANK_CARD } from "../../src/core/announcement.ts";
import type { ModelCard } from "../../src/core/model.ts";
import { Placement } from "../../src/worker/placement.ts";
import { BackendSlots } from "../../src/worker/backend-slots.ts";
import { until } from "../rig/until.ts";
import { forAllTests } from "./lease-rig.ts";
import type { LeaseRig } from "./lease-rig.ts";

let rig: LeaseRig;
forAllTests((opened) => {
  rig = opened;
});

const SIZE = 100;

function card(key: string, resident = false, size = SIZE): ModelCard {
  const load = { size, sizeVram: size, expiresAt: undefined, contextLength: 4096 };
  return { ...BLANK_CARD, key, name: key, size, resident, ...(resident ? { load } : {}) };
}

class Scene {
  now = 1000;
  checks = 0;
  readonly swaps: string[] = [];
  readonly placement: Placement;
  readonly cards: ModelCard[];

  constructor(
    models: readonly string[],
    limits: { readonly swapWaitMs?: number; readonly modelsLoaded?: number } = {},
  ) {
    this.cards = models.map((model) => card(model));
    const { swapWaitMs = 0, modelsLoaded = 0 } = limits;
    const options = { swapWaitMs, swapResidencyMs: 0, modelsLoaded, ambient: { mono: () => this.now } };
    this.placement = new Placement(options, {
      onMemory: () => {
        this.checks += 1;
      },
      onSwap: (model, waitedMs) => this.swaps.push(`${model} ${waitedMs}`),
      onPlan: () => {},
    });
  }

  /** The backend reports the models that it holds. */
  holds(...resident: readonly string[]): void {
    this.placement.seen(
      this.cards.map(({ key }) => card(key, resident.includes(key))),
      this.now,
    );
  }

  /** The heads of queues, by age in ms. */
  waiting(ages: Readonly<Record<string, number>>, delivered = "0-0"): void {
    const heads = this.cards.map(({ key: model }) => {
      const age = ages[model];
      const entry = age === undefined ? undefined : `${model}-${this.now - age}`;
      return { model, entry, ageMs: age ?? 0, delivered };
    });
    this.placement.heads(heads, false);
  }

  get claim(): readonly string[] | undefined {
    return this.placement.plan(this.cards, this.cards, 0)?.claim;
  }

  /** A task of the model runs and is answered, its load included. */
  serve(model: string, loadMs: number): void {
    this.placement.entered(model);
    this.now += loadMs;
    this.placement.answered(model);
    this.placement.left(model);
  }
}

describe("the memory of a backend, as its worker knows it", () => {
  it("is nothing to choose with one model, or when all are loaded", () => {
    assert.equal(new Scene(["a"]).claim, undefined);
    const scene = new Scene(["a", "b"]);
    scene.holds("a", "b");
    assert.equal(scene.claim, undefined);
  });

  it("counts a model as loaded from the claim of its task, and the evicted one as gone", () => {
    const scene = new Scene(["a", "b"]);
    scene.holds("a");
    assert.equal(scene.placement.entered("b"), true);
    assert.deepEqual([scene.placement.isLoaded("a"), scene.placement.isLoaded("b")], [false, true]);
    assert.equal(scene.placement.entered("b"), true, "the next one waits for the load, too");
    assert.equal(scene.checks, 0);
    scene.placement.answered("b");
    assert.equal(scene.checks, 1, "the backend is checked after the first piece");
    assert.equal(scene.placement.entered("b"), false);
  });

  it("is not changed by a check that began before the load was over", () => {
    const scene = new Scene(["a", "b"]);
    scene.holds("a");
    const checkedAt = scene.now;
    scene.placement.entered("b");
    scene.placement.seen([card("a", true), card("b")], checkedAt);
    assert.deepEqual([scene.placement.isLoaded("a"), scene.placement.isLoaded("b")], [false, true]);
    scene.now += 1000;
    scene.placement.answered("b");
    scene.placement.seen([card("a", true), card("b")], checkedAt);
    assert.deepEqual([scene.placement.isLoaded("a"), scene.placement.isLoaded("b")], [false, true]);
  });

  it("forgets what is gone when nothing of it runs, and learns what others have loaded", () => {
    const scene = new Scene(["a", "b"]);
    scene.holds("a");
    scene.holds("b");
    assert.deepEqual([scene.placement.isLoaded("a"), scene.placement.isLoaded("b")], [false, true]);
    scene.placement.entered("b");
    scene.holds();
    assert.equal(scene.placement.isLoaded("b"), true, "a task of it runs");
    scene.placement.left("b");
    scene.holds();
    assert.equal(scene.placement.isLoaded("b"), false);
  });

  it("forgets all of a backend that was lost", () => {
    const scene = new Scene(["a", "b"]);
    scene.holds("a");
    scene.placement.lost();
    assert.equal(scene.placement.isLoaded("a"), false);
  });

  it("learns that two fit when two were seen, and that they do not when one had to go", () => {
    const scene = new Scene(["a", "b", "c"]);
    assert.equal(scene.placement.capacity.models, 1);
    scene.serve("a", 1000);
    scene.holds("a");
    scene.serve("b", 1000);
    scene.holds("a", "b");
    assert.deepEqual(scene.placement.capacity, { models: 2, bytes: 2 * SIZE });
    scene.serve("c", 1000);
    scene.holds("c");
    assert.deepEqual(scene.placement.capacity, { models: 1, bytes: SIZE });
  });

  it("may be configured", () => {
    const scene = new Scene(["a", "b", "c"], { modelsLoaded: 2 });
    scene.holds("a");
    scene.placement.entered("b");
    assert.equal(scene.placement.isLoaded("a"), true);
  });

  it("gives a model of another server no place, and lets nothing wait for it", () => {
    const scene = new Scene(["a", "b", "far"]);
    const far = { ...card("far"), resident: true, remote: true };
    scene.placement.seen([card("a", true), card("b"), far], scene.now);
    assert.equal(scene.placement.capacity.models, 1);
    assert.equal(scene.placement.entered("far"), false);
    assert.equal(scene.placement.isLoaded("a"), true);
    scene.waiting({ b: 10, far: 10 });
    assert.deepEqual(scene.claim, ["b"]);
    scene.placement.entered("b");
    assert.deepEqual(scene.claim, ["b", "far"]);
  });

  it("does not count a model that failed to load as loaded, and tries the others first", () => {
    const scene = new Scene(["a", "b"]);
    scene.holds("a");
    scene.placement.entered("b");
    scene.now += 500;
    scene.placement.failed("b");
    scene.placement.left("b");
    assert.equal(scene.placement.isLoaded("b"), false);
    assert.equal(scene.checks, 1, "the model that had to go may be there still");
    scene.holds("a");
    scene.waiting({ a: 10, b: 60_000 });
    assert.deepEqual(scene.claim, ["a"]);
    scene.now += 2000;
    scene.waiting({ a: 10, b: 62_000 });
    assert.deepEqual(scene.claim, ["b"], "after its wait it is tried again");
  });

  it("does not hold against a model that a task ended which was not sent", () => {
    const scene = new Scene(["a", "b"]);
    scene.serve("b", 10_000);
    scene.holds("a");
    scene.placement.entered("b");
    scene.placement.left("b");
    assert.deepEqual([scene.placement.isLoaded("b"), scene.checks], [false, 2]);
    scene.holds("a");
    scene.waiting({ a: 10, b: 60_000 });
    scene.now += 2000;
    assert.deepEqual(
      scene.claim,
      ["b"],
      "after the residency of what is loaded, and not after a wait of its own",
    );
  });

  it("keeps a model whose short answer was over before the check that began during its load", () => {
    const scene = new Scene(["a", "b"]);
    scene.holds("a");
    const checkedAt = scene.now + 1;
    scene.serve("b", 1000);
    scene.placement.seen([card("a", true), card("b")], checkedAt);
    assert.deepEqual([scene.placement.isLoaded("a"), scene.placement.isLoaded("b")], [false, true]);
  });

  it("forgets all of models that the backend lists no more", () => {
    const scene = new Scene(["a", "b"]);
    scene.serve("b", 10_000);
    scene.holds("b");
    scene.waiting({ b: 10 });
    scene.placement.want("b", true);
    scene.placement.seen([card("a")], scene.now);
    assert.equal(scene.placement.waitingSince("b"), undefined);
    assert.equal(scene.placement.dueAt("b", scene.now), scene.now + 2000, "its load time, too");
  });
});

describe("the wait bound", () => {
  it("is four loads, as measured, and 2 s at least", () => {
    const scene = new Scene(["a", "b"]);
    assert.equal(scene.placement.dueAt("b", scene.now), scene.now + 2000);
    scene.serve("b", 1000);
    assert.equal(scene.placement.dueAt("b", scene.now), scene.now + 4000);
    scene.placement.measured("b", 800);
    assert.equal(scene.placement.dueAt("b", scene.now), scene.now + 3200);
    scene.placement.measured("b", 200);
    assert.equal(
      scene.placement.dueAt("b", scene.now),
      scene.now + 3200,
      "it came in the middle of the load",
    );
    scene.holds();
    scene.serve("b", 100_000);
    assert.equal(scene.placement.dueAt("b", scene.now), scene.now + 60_000);
  });

  it("is not reached by a queue that is not looked at, as the circuit of its model is open", () => {
    const scene = new Scene(["a", "b"]);
    scene.holds("a");
    scene.placement.entered("a");
    scene.waiting({ b: 10 });
    const closed = (): readonly string[] | undefined =>
      scene.placement.plan(scene.cards, scene.cards, 0)?.closing;
    scene.placement.plan(scene.cards, scene.cards.slice(0, 1), 0);
    scene.now += 60_000;
    assert.deepEqual(closed(), [], "others may have served it");
    scene.waiting({ b: 60_000 });
    assert.deepEqual(closed(), ["a"]);
  });

  it("may be set", () => {
    const scene = new Scene(["a", "b"], { swapWaitMs: 70 });
    assert.equal(scene.placement.dueAt("b", scene.now), scene.now + 70);
  });

  it("is reported with the swap: the wait of the head when the load began", () => {
    const scene = new Scene(["a", "b"]);
    scene.holds("a");
    scene.waiting({ b: 2500 });
    assert.deepEqual(scene.claim, ["b"]);
    scene.waiting({});
    scene.placement.entered("b");
    assert.deepEqual(scene.swaps, ["b 2500"]);
  });

  it("begins anew when another worker serves the queue: two that share models do not both swap", () => {
    const scene = new Scene(["a", "b"]);
    scene.holds("a");
    scene.waiting({ a: 10, b: 1900 }, "5-0");
    scene.now += 100;
    scene.waiting({ a: 10, b: 2000 }, "6-0");
    assert.deepEqual(scene.claim, ["a"]);
    scene.now += 1999;
    assert.deepEqual(scene.claim, ["a"]);
    scene.now += 1;
    assert.deepEqual(scene.claim, ["b"]);
  });

  it("does not depend on steps of Redis's clock", () => {
    const scene = new Scene(["a", "b"]);
    scene.holds("a");
    const head = { model: "b", entry: "1-0", delivered: "0-0" };
    const other = { model: "a", entry: "2-0", ageMs: 1, delivered: "0-0" };
    scene.placement.heads([other, { ...head, ageMs: 10 }], false);
    scene.placement.heads([other, { ...head, ageMs: 3_600_000 }], false);
    assert.deepEqual(scene.claim, ["a"]);
  });
});

test("where Redis refuses to return queue heads, nothing is placed", () => {
  const scene = new Scene(["a", "b"]);
  assert.equal(scene.placement.heads([], true), false);
  assert.equal(scene.claim, undefined);
});

/** A backend with two models, of which `tiny` is not loaded. */
function backendSlotsOf(loadsOnDemand = true): BackendSlots {
  const backend: Backend = {
    name: "two",
    kind: "ollama",
    url: "",
    loadsOnDemand,
    inspect: () => Promise.reject(new Error("no check was due")),
    run: () => Promise.reject(new Error("nothing was to be run")),
    close: () => Promise.resolve(),
  };
  const { mono } = systemAmbient;
  const placement = { swapWaitMs: 50, swapResidencyMs: 1, modelsLoaded: 0, ambient: { mono } };
  const backendSlots = new BackendSlots(backend, 4, { placement });
  backendSlots.update({ models: [card("other", true), card("tiny")], slots: 4 }, 0);
  return backendSlots;
}

test("a requeued task waits for its model's turn, and keeps no slot from the loaded one", async () => {
  const ran: string[] = [];
  await rig.silent("g.1");
  const backendSlots = backendSlotsOf();
  const other = backendSlots.occupy("other");
  const sweeper = rig.sweeperOf("placed", ran, { backendSlots });
  await sweeper.sweepModel("tiny");
  assert.deepEqual(ran, []);
  assert.deepEqual([backendSlots.roomFor("tiny"), backendSlots.free], [0, 3]);
  assert.notEqual(backendSlots.placement?.waitingSince("tiny"), undefined, "its wait counts");
  other.release();
  await until("a run", () => ran.length > 0);
  assert.deepEqual(ran, ["g.1"]);
  assert.equal(backendSlots.placement?.waitingSince("tiny"), undefined);
});

test("a requeued task closes the loaded model when its bound is reached", async () => {
  const ran: string[] = [];
  await rig.silent("g.2");
  const backendSlots = backendSlotsOf();
  const other = backendSlots.occupy("other");
  const sweeper = rig.sweeperOf("bound", ran, { backendSlots });
  await sweeper.sweepModel("tiny");
  await until("its turn", () => backendSlots.plan()?.swapTo === "tiny");
  assert.deepEqual(backendSlots.plan()?.closing, ["other"]);
  other.release();
  await until("a run", () => ran.length > 0);
});

test("a backend that does not load on demand takes over at once", async () => {
  const ran: string[] = [];
  await rig.silent("g.3");
  const backendSlots = backendSlotsOf(false);
  backendSlots.occupy("other");
  const sweeper = rig.sweeperOf("at-once", ran, { backendSlots });
  await sweeper.sweepModel("tiny");
  assert.deepEqual(ran, ["g.3"]);
  assert.deepEqual(await rig.redis.stores.leases.silent({ model: "tiny", idleMs: 60_000 }), []);
});

test("a task that was on the way when another model began to load is turned away", () => {
  const backendSlots = backendSlotsOf();
  const tiny = backendSlots.occupy("tiny");
  assert.deepEqual([backendSlots.admits("tiny"), backendSlots.admits("other")], [true, false]);
  tiny.release();
  assert.equal(backendSlots.admits("other"), true);
});

test("an answer that the worker made itself is no load", () => {
  const backendSlots = backendSlotsOf();
  const permit = backendSlots.occupy("tiny");
  assert.equal(permit.cold, true);
  permit.succeeded();
  permit.release();
  assert.equal(backendSlots.placement?.isLoaded("tiny"), false);
});
