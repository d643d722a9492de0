import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import type { Backend } from "../../src/backends/backend.ts";
import { systemAmbient } from "../../src/core/ambient.ts";
import { BLANK_CARD } from "../../src/core/announcement.ts";
import type { ModelCard } from "../../src/core/model.ts";
import { silentTasks } from "../../src/redis/task-stream.ts";
import { Placement } from "../../src/worker/placement.ts";
import { Station } from "../../src/worker/station.ts";
import { until } from "../journey/until.ts";
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
  looks = 0;
  readonly swaps: string[] = [];
  readonly placement: Placement;
  readonly cards: ModelCard[];

  constructor(
    models: readonly string[],
    limits: { readonly swapWaitMs?: number; readonly modelsLoaded?: number } = {},
  ) {
    this.cards = models.map((model) => card(model));
    const { swapWaitMs = 0, modelsLoaded = 0 } = limits;
    const options = { swapWaitMs, swapResidencyMs: 0, modelsLoaded, mono: () => this.now };
    this.placement = new Placement(options, {
      onLook: () => {
        this.looks += 1;
      },
      onSwap: (model, waitedMs) => this.swaps.push(`${model} ${waitedMs}`),
      onPlan: () => {},
    });
  }

  /** The backend tells what it holds. */
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

describe("what a worker knows of a backend's memory", () => {
  it("is nothing to choose with one model, or when all are loaded", () => {
    assert.equal(new Scene(["a"]).claim, undefined);
    const scene = new Scene(["a", "b"]);
    scene.holds("a", "b");
    assert.equal(scene.claim, undefined);
  });

  it("counts a model as loaded from the claim of its task, and that for which it had to go as gone", () => {
    const scene = new Scene(["a", "b"]);
    scene.holds("a");
    assert.equal(scene.placement.entered("b"), true);
    assert.deepEqual([scene.placement.isLoaded("a"), scene.placement.isLoaded("b")], [false, true]);
    assert.equal(scene.placement.entered("b"), true, "the next one waits for the load, too");
    assert.equal(scene.looks, 0);
    scene.placement.answered("b");
    assert.equal(scene.looks, 1, "the backend is looked at after the first piece");
    assert.equal(scene.placement.entered("b"), false);
  });

  it("is not changed by a look that began before the load was over", () => {
    const scene = new Scene(["a", "b"]);
    scene.holds("a");
    const askedAt = scene.now;
    scene.placement.entered("b");
    scene.placement.seen([card("a", true), card("b")], askedAt);
    assert.deepEqual([scene.placement.isLoaded("a"), scene.placement.isLoaded("b")], [false, true]);
    scene.now += 1000;
    scene.placement.answered("b");
    scene.placement.seen([card("a", true), card("b")], askedAt);
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
    assert.equal(scene.placement.places.models, 1);
    scene.serve("a", 1000);
    scene.holds("a");
    scene.serve("b", 1000);
    scene.holds("a", "b");
    assert.deepEqual(scene.placement.places, { models: 2, bytes: 2 * SIZE });
    scene.serve("c", 1000);
    scene.holds("c");
    assert.deepEqual(scene.placement.places, { models: 1, bytes: SIZE });
  });

  it("is told how many fit", () => {
    const scene = new Scene(["a", "b", "c"], { modelsLoaded: 2 });
    scene.holds("a");
    scene.placement.entered("b");
    assert.equal(scene.placement.isLoaded("a"), true);
  });

  it("gives a model of another server no place, and lets nothing wait for it", () => {
    const scene = new Scene(["a", "b", "far"]);
    const far = { ...card("far"), resident: true, remote: true };
    scene.placement.seen([card("a", true), card("b"), far], scene.now);
    assert.equal(scene.placement.places.models, 1);
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
    assert.equal(scene.looks, 1, "what had to go may be there still");
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
    assert.deepEqual([scene.placement.isLoaded("b"), scene.looks], [false, 2]);
    scene.holds("a");
    scene.waiting({ a: 10, b: 60_000 });
    scene.now += 2000;
    assert.deepEqual(
      scene.claim,
      ["b"],
      "after the residency of what is loaded, and not after a wait of its own",
    );
  });

  it("keeps a model whose short answer was over before the look that began during its load", () => {
    const scene = new Scene(["a", "b"]);
    scene.holds("a");
    const askedAt = scene.now + 1;
    scene.serve("b", 1000);
    scene.placement.seen([card("a", true), card("b")], askedAt);
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

  it("is told with the swap: how long the head had waited when the load began", () => {
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

test("where Redis does not tell who waits, nothing is placed", () => {
  const scene = new Scene(["a", "b"]);
  assert.equal(scene.placement.heads([], true), false);
  assert.equal(scene.claim, undefined);
});

/** A station with two models, of which `tiny` is not loaded. */
function stationOf(loadsOnDemand = true): Station {
  const backend: Backend = {
    name: "two",
    kind: "ollama",
    url: "",
    loadsOnDemand,
    inspect: () => Promise.reject(new Error("nobody looks")),
    run: () => Promise.reject(new Error("nothing was to be run")),
    close: () => Promise.resolve(),
  };
  const { mono } = systemAmbient;
  const placement = { swapWaitMs: 50, swapResidencyMs: 1, modelsLoaded: 0, mono };
  const station = new Station(backend, 4, { placement });
  station.update({ models: [card("other", true), card("tiny")], slots: 4 }, 0);
  return station;
}

test("a task that was handed back waits for its model's turn, and keeps no slot from the loaded one", async () => {
  const ran: string[] = [];
  await rig.silent("g.1");
  const station = stationOf();
  const other = station.occupy("other");
  const sweeper = rig.sweeperOf("placed", ran, { station });
  await sweeper.sweepModel("tiny");
  assert.deepEqual(ran, []);
  assert.deepEqual([station.roomFor("tiny"), station.free], [0, 3]);
  assert.notEqual(station.placement?.waitingSince("tiny"), undefined, "its wait counts");
  station.release(other);
  await until("a run", () => ran.length > 0);
  assert.deepEqual(ran, ["g.1"]);
  assert.equal(station.placement?.waitingSince("tiny"), undefined);
});

test("a task that was handed back closes the loaded model when its bound is reached", async () => {
  const ran: string[] = [];
  await rig.silent("g.2");
  const station = stationOf();
  const other = station.occupy("other");
  const sweeper = rig.sweeperOf("bound", ran, { station });
  await sweeper.sweepModel("tiny");
  await until("its turn", () => station.plan()?.swapTo === "tiny");
  assert.deepEqual(station.plan()?.closing, ["other"]);
  station.release(other);
  await until("a run", () => ran.length > 0);
});

test("a backend that does not load on demand takes over at once", async () => {
  const ran: string[] = [];
  await rig.silent("g.3");
  const station = stationOf(false);
  station.occupy("other");
  const sweeper = rig.sweeperOf("at-once", ran, { station });
  await sweeper.sweepModel("tiny");
  assert.deepEqual(ran, ["g.3"]);
  assert.deepEqual(
    await silentTasks(rig.redis.connection, rig.redis.keys, { model: "tiny", idleMs: 60_000 }),
    [],
  );
});

test("a task that was on the way when another model began to load is turned away", () => {
  const station = stationOf();
  const tiny = station.occupy("tiny");
  assert.deepEqual([station.admits("tiny"), station.admits("other")], [true, false]);
  station.release(tiny);
  assert.equal(station.admits("other"), true);
});

test("an answer that the worker made itself is no load", () => {
  const station = stationOf();
  const visit = station.occupy("tiny");
  assert.equal(visit.cold, true);
  station.worked(visit, undefined);
  station.release(visit);
  assert.equal(station.placement?.isLoaded("tiny"), false);
});
