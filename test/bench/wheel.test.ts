import assert from "node:assert/strict";
import test from "node:test";
import { TimerWheel } from "../../bench/wheel.ts";

test("members are called at their due times, and a late call does not move the next one", () => {
  let now = 1000;
  const calls: string[] = [];
  const wheel = new TimerWheel(() => now);
  const member = (name: string, gapMs: number, times: number): { due: () => number } => {
    let left = times;
    return {
      due: () => {
        calls.push(`${name}@${now}`);
        left -= 1;
        return left > 0 ? gapMs : 0;
      },
    };
  };
  wheel.add(member("slow", 20, 3), 50);
  wheel.add(member("once", 0, 1), 5);
  for (const time of [1004, 1005, 1049, 1065, 1069, 1070, 1090, 1200]) {
    now = time;
    wheel.turn();
  }
  assert.deepEqual(calls, ["once@1005", "slow@1065", "slow@1070", "slow@1090"]);
});
