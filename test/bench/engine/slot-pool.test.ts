import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { usualModels } from "../../../bench/engine/spec.ts";
import type { EngineSpec, SimModel } from "../../../bench/engine/spec.ts";
import { EngineRig } from "./engine-rig.ts";

/** Loads in no time, so that a test's clock begins with the work. */
function engineOf(change: Partial<SimModel>, more: Partial<EngineSpec> = {}): EngineRig {
  return new EngineRig({ models: usualModels(1, { loadMs: 0, prefillRate: 1000, ...change }), ...more });
}

const prompt = (tokens: number, letter = "x"): string => letter.repeat(tokens * 4);

describe("the work of one model", () => {
  it("processes a prompt at its rate, then makes a token each so many ms", () => {
    const desk = engineOf({ tokenMs: 25, tokens: 3 });
    const seen = desk.ask("sim-a", { prompt: prompt(100) });
    desk.timeline.advance(10_000);
    assert.deepEqual(seen.tokens, [125, 150, 175]);
    assert.equal(seen.endedAt, 175);
    const { promptTokens, tokens, prefillMs, decodeMs } = seen.report ?? {};
    assert.deepEqual([promptTokens, tokens, prefillMs, decodeMs], [100, 3, 100, 75]);
  });

  it("processes one prompt at a time", () => {
    const desk = engineOf({ tokenMs: 10, tokens: 1 });
    const seen = ["a", "b", "c"].map((letter) => desk.ask("sim-a", { prompt: prompt(100, letter) }));
    desk.timeline.advance(10_000);
    assert.deepEqual(
      seen.map(({ tokens }) => tokens),
      [[110], [210], [310]],
    );
  });

  it("runs no more answers at once than it has slots, the others in order", () => {
    const desk = engineOf({ slots: 2, prefillRate: 1e9, tokenMs: 100, tokens: 1 });
    const seen = Array.from({ length: 5 }, () => desk.ask("sim-a"));
    desk.timeline.advance(0);
    assert.equal(desk.engine.deferred, 3);
    desk.timeline.advance(10_000);
    assert.deepEqual(
      seen.map(({ endedAt }) => Math.round(endedAt ?? 0)),
      [100, 100, 200, 200, 300],
    );
  });

  it("makes tokens more slowly the more answers run", () => {
    const desk = engineOf({ slots: 3, prefillRate: 1e9, tokenMs: 100, batchCost: 0.5, tokens: 1 });
    const alone = desk.ask("sim-a");
    desk.timeline.advance(1000);
    const together = [1, 2, 3].map(() => desk.ask("sim-a", { tokens: 2 }));
    desk.timeline.advance(10_000);
    assert.equal(Math.round(alone.tokens[0] ?? 0), 100);
    const [, second] = together.at(-1)?.tokens ?? [];
    assert.equal(Math.round((second ?? 0) - (together.at(-1)?.tokens[0] ?? 0)), 200);
  });

  it("spends no time on what its prefix cache has, but always on one token", () => {
    const desk = engineOf({ tokens: 1 }, { blockTokens: 10 });
    const first = desk.ask("sim-a", { prompt: prompt(100) });
    desk.timeline.advance(1000);
    const again = desk.ask("sim-a", { prompt: prompt(100) });
    desk.timeline.advance(2000);
    assert.deepEqual([first.report?.prefillMs, again.report?.prefillMs], [100, 1]);
    assert.deepEqual([again.report?.cachedTokens, desk.engine.counters.hits], [99, 1]);
  });

  it("gives the slot and the turn of a client that left to the next", () => {
    const desk = engineOf({ slots: 1, tokenMs: 100, tokens: 10 });
    const gone = desk.ask("sim-a", { prompt: prompt(1) });
    const next = desk.ask("sim-a", { prompt: prompt(1, "y"), tokens: 1 });
    desk.timeline.advance(350);
    gone.visit.leave();
    desk.timeline.advance(10_000);
    assert.equal(gone.endedAt, undefined);
    assert.equal(next.endedAt, 350 + 1 + 100);
    const { aborted, wastedTokens, answers } = desk.engine.counters;
    assert.deepEqual([aborted, wastedTokens, answers], [1, 3, 1]);
  });

  it("goes on with the next prompt when a client leaves within its own", () => {
    const desk = engineOf({ tokenMs: 10, tokens: 1 });
    const [gone, second, third] = ["a", "b", "c"].map((letter) =>
      desk.ask("sim-a", { prompt: prompt(100, letter) }),
    );
    desk.timeline.advance(50);
    gone?.visit.leave();
    second?.visit.leave();
    desk.timeline.advance(10_000);
    assert.deepEqual(third?.tokens, [50 + 100 + 10]);
  });

  it("ends an embedding with its prompt", () => {
    const desk = engineOf({});
    const seen = desk.ask("sim-a", { kind: "embed", prompt: prompt(30) });
    desk.timeline.advance(10_000);
    assert.deepEqual([seen.endedAt, seen.tokens], [30, []]);
  });
});
