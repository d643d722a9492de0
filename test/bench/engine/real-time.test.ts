import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RealTime } from "../../../bench/engine/real-time.ts";
import { Timeline } from "../../../bench/engine/timeline.ts";

describe("simulated time on a real clock", () => {
  it("does what is due, at its own time, as much quicker as told", async () => {
    const timeline = new Timeline();
    const time = new RealTime(timeline, 100);
    const begin = performance.now();
    const at = await new Promise<number>((resolve) => {
      time.enter(() => timeline.after(5000, () => resolve(timeline.nowMs)));
    });
    // Due 5 s after it was asked for, which is 50 ms here.
    assert.ok(at >= 5000 && at < 5000 + (performance.now() - begin) * 100);
    assert.ok(performance.now() - begin >= 45);
    time.stop();
  });

  it("waits for what is due in months without a pause for nothing", async (test) => {
    test.mock.timers.enable({ apis: ["setTimeout"] });
    const timeline = new Timeline();
    const time = new RealTime(timeline);
    let fired = 0;
    time.enter(() => timeline.after(2 ** 40, () => (fired += 1)));
    const enter = test.mock.method(time, "enter");
    test.mock.timers.tick(1_000_000);
    assert.deepEqual([fired, enter.mock.callCount()], [0, 0]);
    time.stop();
  });

  it("does nothing more once it is stopped", (test) => {
    test.mock.timers.enable({ apis: ["setTimeout"] });
    const timeline = new Timeline();
    const time = new RealTime(timeline);
    time.enter(() => timeline.after(10, () => undefined));
    time.stop();
    const enter = test.mock.method(time, "enter");
    test.mock.timers.tick(1000);
    assert.equal(enter.mock.callCount(), 0);
  });
});
