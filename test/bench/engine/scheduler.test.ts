import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { usualModels } from "../../../bench/engine/spec.ts";
import { EngineRig } from "./engine-rig.ts";
import type { Seen } from "./engine-rig.ts";

const GB = 1e9;

/** Room for two models of 4 GB; answers in a quarter of a second, loads in one. */
function roomForTwo(change: ConstructorParameters<typeof EngineRig>[0] = {}): EngineRig {
  return new EngineRig({ models: usualModels(4, { prefillRate: 1e9 }), memory: 9 * GB, ...change });
}

describe("which models are in memory", () => {
  it("loads a model once, however many wait for it", () => {
    const desk = roomForTwo();
    const seen = Array.from({ length: 4 }, () => desk.ask("sim-a"));
    desk.timeline.advance(5000);
    assert.equal(desk.engine.counters.loads, 1);
    assert.deepEqual(
      seen.map(({ endedAt }) => Math.round(endedAt ?? 0)),
      [1250, 1250, 1250, 1250],
    );
    assert.equal(seen[0]?.report?.loadMs, 1000);
  });

  it("keeps as many as fit, and lets the least recently used go", () => {
    const desk = roomForTwo();
    for (const model of ["sim-a", "sim-b", "sim-a", "sim-c"]) {
      desk.ask(model);
      desk.timeline.advance(desk.timeline.nowMs + 3000);
    }
    assert.deepEqual(desk.loaded, ["sim-a", "sim-c"]);
    const { loads, unloads, evictions } = desk.engine.counters;
    assert.deepEqual([loads, unloads, evictions], [3, 1, 1]);
  });

  it("lets an idle one go before a busy one, though it was used later", () => {
    const desk = roomForTwo();
    desk.ask("sim-a", { tokens: 400 });
    desk.ask("sim-b");
    desk.timeline.advance(5000);
    desk.ask("sim-c");
    desk.timeline.advance(7000);
    assert.deepEqual(desk.loaded, ["sim-a", "sim-c"]);
  });

  it("lets one with a shorter keep_alive go before, and never one that is kept for ever while another is idle", () => {
    const desk = roomForTwo();
    desk.ask("sim-a", { keepAliveMs: 60_000 });
    desk.ask("sim-b", { keepAliveMs: -1 });
    desk.timeline.advance(5000);
    desk.ask("sim-a");
    desk.timeline.advance(8000);
    desk.ask("sim-c");
    desk.timeline.advance(11_000);
    assert.deepEqual(desk.loaded, ["sim-b", "sim-c"]);
  });

  it("bounds the number of models", () => {
    const desk = roomForTwo({ maxLoaded: 1 });
    desk.ask("sim-a");
    desk.ask("sim-b");
    desk.timeline.advance(10_000);
    assert.deepEqual(desk.loaded, ["sim-b"]);
  });

  it("counts a larger context as more memory", () => {
    const desk = roomForTwo({ bytesPerToken: 100_000 });
    desk.ask("sim-a", { options: { num_ctx: 4096 } });
    desk.timeline.advance(5000);
    assert.equal(desk.engine.usedBytes, 4 * GB + 4096 * 4 * 100_000);
  });

  it("refuses what is larger than its memory", () => {
    const desk = roomForTwo({ memory: 3 * GB });
    assert.equal(desk.ask("sim-a").refusal, "memory");
    assert.deepEqual([desk.loaded, desk.engine.counters.loads], [[], 0]);
  });
});

describe("who waits for a load", () => {
  it("waits until what must go is idle", () => {
    const desk = new EngineRig({ models: usualModels(2, { prefillRate: 1e9 }) });
    desk.ask("sim-a", { tokens: 100 });
    desk.timeline.advance(1500);
    const other = desk.ask("sim-b");
    desk.timeline.advance(3499);
    assert.deepEqual(desk.loaded, ["sim-a"]);
    desk.timeline.advance(10_000);
    assert.equal(Math.round(other.endedAt ?? 0), 1000 + 2500 + 1000 + 250);
  });

  it("waits in order: behind one that waits for a load, even for what is loaded", () => {
    const desk = new EngineRig({ models: usualModels(2, { prefillRate: 1e9 }) });
    desk.ask("sim-a");
    desk.timeline.advance(1100);
    const other = desk.ask("sim-b");
    const again = desk.ask("sim-a");
    desk.timeline.advance(20_000);
    assert.ok((again.endedAt ?? 0) > (other.endedAt ?? Infinity));
    assert.equal(desk.engine.counters.loads, 3);
  });

  it("overtakes where the engine lets it, and then a busy model starves all others", () => {
    const desk = new EngineRig({ models: usualModels(2, { prefillRate: 1e9 }), overtaking: true });
    const [busy, other]: [Seen[], Seen[]] = [[], []];
    for (let client = 0; client < 12; client += 1) desk.keepAsking("sim-a", busy);
    desk.timeline.advance(1100);
    desk.keepAsking("sim-b", other);
    desk.timeline.advance(30_000);
    assert.equal(other[0]?.endedAt, undefined);
    assert.equal(desk.engine.counters.loads, 1);
    assert.ok(busy.length > 450, `${busy.length} requests`);
  });

  it("waits on when one that overtook asked to keep what was to go: until that expires, as in Ollama", () => {
    const desk = new EngineRig({ models: usualModels(2, { prefillRate: 1e9 }), overtaking: true });
    desk.ask("sim-a");
    desk.timeline.advance(1100);
    const other = desk.ask("sim-b");
    desk.ask("sim-a", { keepAliveMs: 20_000 });
    desk.timeline.advance(21_000);
    assert.equal(other.endedAt, undefined);
    desk.timeline.advance(30_000);
    assert.equal(Math.round(other.endedAt ?? 0), 1100 + 250 + 20_000 + 1250);
  });

  it("joins a load under way, and begins a new one when its client leaves", () => {
    for (const overtaking of [false, true]) {
      const desk = new EngineRig({ models: usualModels(1, { prefillRate: 1e9 }), overtaking });
      const first = desk.ask("sim-a");
      desk.timeline.advance(600);
      const second = desk.ask("sim-a");
      first.visit.leave();
      desk.timeline.advance(10_000);
      assert.equal(Math.round(second.endedAt ?? 0), 600 + 1000 + 250);
      assert.deepEqual([desk.engine.counters.loads, desk.engine.counters.abortedLoads], [2, 1]);
    }
  });

  it("is refused when too many wait, but not the one that is being brought to a runner", () => {
    const desk = new EngineRig({ models: usualModels(1), maxQueue: 2 });
    const seen = Array.from({ length: 5 }, () => desk.ask("sim-a"));
    // The first loads, the second is at the head, two wait.
    assert.deepEqual(
      seen.map(({ refusal }) => refusal),
      [undefined, undefined, undefined, undefined, "busy"],
    );
    assert.equal(desk.engine.counters.refused, 1);
  });

  it("gives a model that a client asked to be unloaded at its end no more time", () => {
    const desk = roomForTwo();
    desk.ask("sim-a", { keepAliveMs: 0 });
    desk.timeline.advance(1249);
    assert.deepEqual(desk.loaded, ["sim-a"]);
    desk.timeline.advance(1300);
    assert.deepEqual(desk.loaded, []);
  });

  it("unloads an idle model after its keep_alive, anew from each request on", () => {
    const desk = roomForTwo({ keepAliveMs: 5000 });
    desk.ask("sim-a");
    desk.timeline.advance(5000);
    desk.ask("sim-a");
    desk.timeline.advance(10_249);
    assert.deepEqual(desk.loaded, ["sim-a"]);
    desk.timeline.advance(10_300);
    assert.deepEqual([desk.loaded, desk.engine.counters.expirations], [[], 1]);
  });

  it("unloads a model by request, once it is idle", () => {
    const desk = roomForTwo();
    desk.ask("sim-a");
    desk.timeline.advance(1100);
    const model = desk.engine.modelOf("sim-a");
    assert.ok(model !== undefined);
    desk.engine.unload(model);
    assert.deepEqual(desk.loaded, ["sim-a"]);
    desk.timeline.advance(1300);
    assert.deepEqual(desk.loaded, []);
  });

  it("loads a model anew for other options, one after the other", () => {
    const desk = roomForTwo();
    const contexts = [4096, 8192, undefined, 4096, 4096];
    for (const context of contexts) {
      desk.ask("sim-a", { options: context === undefined ? {} : { num_ctx: context } });
    }
    desk.timeline.advance(20_000);
    const { loads, reloads } = desk.engine.counters;
    // 4096, 8192, the server's own 4096, which suits the rest.
    assert.deepEqual([loads, reloads], [3, 2]);
  });

  it("loads nothing for a client that left while it waited its turn", () => {
    const desk = new EngineRig({ models: usualModels(3, { prefillRate: 1e9 }) });
    desk.ask("sim-a");
    desk.ask("sim-b");
    desk.ask("sim-c").visit.leave();
    desk.timeline.advance(20_000);
    assert.equal(desk.engine.counters.loads, 2);
  });
});

describe("two models of twelve clients each, in a place for one", () => {
  it("take turns of twelve answers without a gateway, as was measured", () => {
    const desk = new EngineRig({ models: usualModels(2) });
    const seen: Seen[] = [];
    for (const model of ["sim-a", "sim-b"]) {
      for (let client = 0; client < 12; client += 1) desk.keepAsking(model, seen);
    }
    desk.timeline.advance(30_000);
    const { answers, loads } = desk.engine.counters;
    assert.ok(answers >= 195 && answers <= 216, `${answers} answers`);
    assert.ok(loads >= 17 && loads <= 18, `${loads} loads`);
  });
});
