import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { usualModels } from "../../../bench/engine/spec.ts";
import type { EngineSpec, SimModel } from "../../../bench/engine/spec.ts";
import { EngineRig } from "./engine-rig.ts";
import type { Seen } from "./engine-rig.ts";

type Step =
  | { readonly do: "ask"; readonly model: number; readonly context: number; readonly keep: number }
  | { readonly do: "leave"; readonly which: number }
  | { readonly do: "pass"; readonly ms: number }
  | { readonly do: "unload"; readonly model: number };

const MODELS = 4;
const CONTEXTS = [undefined, 2048, 4096, 8192] as const;
const KEEPS = [undefined, 0, -1, 500, 60_000] as const;

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("ask" as const),
      model: fc.nat({ max: MODELS - 1 }),
      context: fc.nat({ max: CONTEXTS.length - 1 }),
      keep: fc.nat({ max: KEEPS.length - 1 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("leave" as const), which: fc.nat({ max: 30 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("pass" as const), ms: fc.nat({ max: 1500 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("unload" as const), model: fc.nat({ max: MODELS - 1 }) }),
  },
);

const engine: fc.Arbitrary<Partial<EngineSpec>> = fc.record({
  memory: fc.integer({ min: 4, max: 14 }).map((gb) => gb * 1e9),
  maxLoaded: fc.nat({ max: 3 }),
  bytesPerToken: fc.constantFrom(0, 50_000),
  maxQueue: fc.constantFrom(2, 512),
  overtaking: fc.boolean(),
  models: fc
    .array(
      fc.record({
        gb: fc.integer({ min: 1, max: 5 }),
        loadMs: fc.nat({ max: 2000 }),
        slots: fc.integer({ min: 1, max: 4 }),
      }),
      { minLength: MODELS, maxLength: MODELS },
    )
    .map((parts) =>
      usualModels(MODELS).map((model, at): SimModel => {
        const { gb = 1, ...part } = parts[at] ?? {};
        return Object.assign({}, model, part, { bytes: gb * 1e9 });
      }),
    ),
});

/** Checks what must hold at any time. */
function check(desk: EngineRig, spec: Partial<EngineSpec>): void {
  const { runners, usedBytes, counters } = desk.engine;
  assert.ok(usedBytes <= (spec.memory ?? 0), "memory is exceeded");
  if ((spec.maxLoaded ?? 0) > 0) assert.ok(runners.length <= (spec.maxLoaded ?? 0), "too many models");
  assert.equal(
    counters.loads - counters.unloads - counters.abortedLoads,
    runners.length,
    "loads do not add up",
  );
  assert.ok(runners.filter(({ load }) => load !== undefined).length <= 1, "two loads at once");
  for (const { pool, model, holders } of runners) {
    assert.ok(pool.busy <= model.slots, "more answers than slots");
    assert.ok(pool.busy + pool.deferred <= holders.size, "work without a hold on its runner");
  }
}

function run(desk: EngineRig, steps: readonly Step[], spec: Partial<EngineSpec>): readonly Seen[] {
  const seen: Seen[] = [];
  for (const its of steps) {
    if (its.do === "ask") {
      const context = CONTEXTS[its.context];
      const options = context === undefined ? {} : { num_ctx: context };
      const model = desk.engine.spec.models[its.model]?.name ?? "";
      seen.push(desk.ask(model, { options, keepAliveMs: KEEPS[its.keep], tokens: 1 + its.context }));
    } else if (its.do === "leave") {
      seen[its.which]?.visit.leave();
    } else if (its.do === "unload") {
      const model = desk.engine.spec.models[its.model];
      if (model !== undefined) desk.engine.unload(model);
    } else {
      // In small steps, so that what lies between is looked at.
      for (let ms = 0; ms < its.ms; ms += 50) {
        desk.timeline.advance(desk.timeline.nowMs + 50);
        check(desk, spec);
      }
    }
    check(desk, spec);
  }
  return seen;
}

/** Lets all end. With overtaking a model may have been kept for ever by a later request, as in Ollama: it is told to go. */
function settle(desk: EngineRig): void {
  desk.timeline.advance(desk.timeline.nowMs + 400_000);
  for (let round = 0; round < 50 && desk.engine.waiting > 0; round += 1) {
    for (const { model } of desk.engine.runners) desk.engine.unload(model);
    desk.timeline.advance(desk.timeline.nowMs + 20_000);
  }
}

describe("whatever clients do", () => {
  it("memory is never exceeded, no running model is unloaded, loads add up, and all are answered", () => {
    fc.assert(
      fc.property(engine, fc.array(step, { maxLength: 40 }), (spec, steps) => {
        const desk = new EngineRig(spec);
        const seen = run(desk, steps, spec);
        settle(desk);
        check(desk, spec);
        const { requests, answers, aborted, refused } = desk.engine.counters;
        const tooLarge = seen.filter(({ refusal }) => refusal === "memory").length;
        assert.equal(answers + aborted + refused + tooLarge, requests, "a request is lost");
        assert.equal(desk.engine.waiting + desk.engine.deferred, 0, "a request waits for nothing");
        const ended = seen.filter(({ endedAt }) => endedAt !== undefined);
        assert.equal(ended.length, answers);
        for (const { tokens, report } of ended) assert.equal(tokens.length, report?.tokens);
      }),
      { numRuns: 2000 },
    );
  });
});
