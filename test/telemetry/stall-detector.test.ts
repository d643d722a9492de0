import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { describe, it } from "node:test";
import { array, assert as check, boolean, integer, property, tuple } from "fast-check";
import { processStalls, StallDetector } from "../../src/telemetry/stall-detector.ts";

interface Rig {
  at: number;
  readonly meter: StallDetector;
  readonly told: number[];
  /** Lets time pass while the loop turns. */
  live(ms: number): void;
}

function rigAt(): Rig {
  const told: number[] = [];
  const clock = { at: 1000 };
  const meter = new StallDetector({ mono: () => clock.at, ticks: false });
  meter.onStall((ms) => told.push(Math.round(ms)));
  return Object.assign(clock, {
    meter,
    told,
    live: (ms: number) => {
      for (let left = ms; left > 0; left -= 200) {
        clock.at += Math.min(200, left);
        meter.tick();
      }
    },
  });
}

function standStill(ms: number): void {
  const till = performance.now() + ms;
  while (performance.now() < till);
}

describe("the meter of a process's own stalls", () => {
  it("tells whether work is over in time, and rejects with it", async () => {
    assert.equal(await processStalls.within(60_000, Promise.resolve()), true);
    const { promise, resolve } = Promise.withResolvers<void>();
    assert.equal(await processStalls.within(10, promise), false);
    resolve();
    await assert.rejects(processStalls.within(60_000, Promise.reject(new Error("lost"))), /lost/);
  });

  it("counts time in which the loop did not turn, and no other", () => {
    const rig = rigAt();
    rig.live(10_000);
    const before = rig.meter.awake();
    rig.at += 5000;
    rig.meter.tick();
    rig.live(1000);
    assert.deepEqual(rig.told, [4800]);
    assert.equal(rig.meter.since(0), 4800);
    assert.equal(rig.meter.since(rig.at - 1000), 0);
    assert.equal(rig.meter.awake() - before, 1200);
  });

  it("is known to the first caller that asks, before its own timer has run", () => {
    const rig = rigAt();
    rig.live(1000);
    rig.at += 7000;
    assert.equal(rig.meter.since(rig.at - 6000), 6000);
    assert.deepEqual(rig.told, [6800]);
    rig.meter.tick();
    assert.equal(rig.meter.since(0), 6800);
  });

  it("goes on while the stall does: what asks in the middle of it hides nothing", () => {
    const rig = rigAt();
    for (let step = 0; step < 10; step += 1) {
      rig.at += 1000;
      rig.meter.awake();
    }
    assert.ok(rig.meter.since(0) > 9000);
  });

  it("makes a clock that never goes back, and never runs faster than time", () => {
    const step = tuple(integer({ min: 0, max: 3000 }), boolean());
    check(
      property(array(step), (steps) => {
        const rig = rigAt();
        let [at, awake] = [rig.at, rig.meter.awake()];
        for (const [ms, ticks] of steps) {
          rig.at += ms;
          if (ticks) rig.meter.tick();
          const now = rig.meter.awake();
          assert.ok(now >= awake);
          awake = now;
        }
        assert.ok(awake - 1000 <= rig.at - at);
        at = rig.at;
      }),
    );
  });

  it("does not let a limit run out while this very process stands still", async () => {
    const signal = processStalls.signal(1500);
    let told = 0;
    const end = processStalls.onStall((ms) => (told = ms));
    standStill(2500);
    await delay(1);
    end();
    assert.equal(signal.aborted, false);
    assert.ok(told > 2000, `${told}`);
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    assert.equal((signal.reason as DOMException).name, "TimeoutError");
  });
});
