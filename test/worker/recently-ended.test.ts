import assert from "node:assert/strict";
import test from "node:test";
import { RecentlyEnded } from "../../src/worker/recently-ended.ts";

const task = (n: number): { task: string; entry: string } => ({ task: `g.${n}`, entry: `${n}-0` });

test("what ended before Redis went away is remembered for as long as it is away", () => {
  let clock = 0;
  const recent = new RecentlyEnded(() => clock);
  recent.add("m", [task(1)]);
  clock = 9000;
  recent.away();
  clock = 40_000;
  recent.away();
  recent.add("m", [task(2)]);
  assert.deepEqual(
    recent
      .byModel()
      .get("m")
      ?.map((ended) => ended.task),
    ["g.1", "g.2"],
  );
  recent.back();
  assert.deepEqual(
    recent
      .byModel()
      .get("m")
      ?.map((ended) => ended.task),
    ["g.2"],
  );
});
