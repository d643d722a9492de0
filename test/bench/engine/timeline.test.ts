import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { Timeline } from "../../../bench/engine/timeline.ts";

describe("simulated time", () => {
  it("does what is due in the order of its times, and of the appointments within one", () => {
    const delays = fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 60 });
    fc.assert(
      fc.property(delays, (ms) => {
        const timeline = new Timeline();
        const done: { index: number; atMs: number }[] = [];
        for (const [index, delay] of ms.entries()) {
          timeline.after(delay, () => done.push({ index, atMs: timeline.nowMs }));
        }
        timeline.advance(20);
        const wanted = [...ms.entries()].toSorted(([i, a], [j, b]) => a - b || i - j);
        assert.deepEqual(
          done,
          wanted.map(([index, atMs]) => ({ index, atMs })),
        );
      }),
    );
  });

  it("does nothing that was called off, and nothing before its time", () => {
    const timeline = new Timeline();
    const done: string[] = [];
    timeline.after(5, () => done.push("called off")).cancel();
    timeline.after(7, () => done.push("later"));
    timeline.advance(6.9);
    assert.deepEqual([done, timeline.nextMs], [[], 7]);
    timeline.advance(7);
    assert.deepEqual([done, timeline.nextMs], [["later"], undefined]);
  });

  it("does in the same advance what an action makes due", () => {
    const timeline = new Timeline();
    const times: number[] = [];
    const tick = (): void => {
      times.push(timeline.nowMs);
      timeline.after(10, tick);
    };
    timeline.after(10, tick);
    timeline.advance(35);
    assert.deepEqual([times, timeline.nowMs], [[10, 20, 30], 35]);
  });

  it("never goes back", () => {
    const timeline = new Timeline();
    timeline.advance(10);
    timeline.advance(3);
    assert.equal(timeline.nowMs, 10);
  });
});
