import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { MODEL_TIMEOUTS, parseModelTimeouts, parseTimeouts, shorten } from "../../src/core/timeouts.ts";
import type { Timeouts } from "../../src/core/timeouts.ts";

const NAMES = {
  queue: "queue",
  connect: "connect",
  firstToken: "first-token",
  idle: "idle",
  total: "total",
} as const;

const ms = fc.integer({ min: 1, max: 999_999_999 });
const some = fc.record(
  { queue: ms, connect: ms, firstToken: ms, idle: ms, total: ms },
  { requiredKeys: [], noNullPrototype: true },
);
const given = some.filter((timeouts) => Object.keys(timeouts).length > 0);
const separator = fc.constantFrom(",", ", ", " , ");

function written(timeouts: Partial<Timeouts>, between: string): string {
  const entries = Object.entries(timeouts) as [keyof Timeouts, number][];
  return entries.map(([phase, limit]) => `${NAMES[phase]}=${limit}`).join(between);
}

function length(limit: number): number {
  return limit === 0 ? Infinity : limit;
}

describe("timeouts", () => {
  it("are read as they were written", () => {
    fc.assert(
      fc.property(given, separator, (timeouts, between) => {
        assert.deepEqual(parseTimeouts(written(timeouts, between)), timeouts);
      }),
    );
  });

  it("are nothing else: no other text is read, and none takes long", () => {
    const bad = ["", " ", "5", "idle", "idle=", "idle=x", "idle=-1", "idle=1.5", "idle=1;queue=2", "IDLE=1"];
    for (const text of [...bad, "total=0", "idle=1,", ",idle=1", "idle=1 queue=2", "__proto__=1"]) {
      assert.equal(parseTimeouts(text), undefined, text);
    }
    assert.equal(parseTimeouts(`idle=1${" ".repeat(20_000)},`), undefined);
  });

  it("of models are read by model key", () => {
    const text = "Llama3:70B first-token=3600000 , idle=0;qwen3:latest total=5; org/m-1 queue=1";
    assert.ok(MODEL_TIMEOUTS.test(text), text);
    assert.deepEqual(
      [...parseModelTimeouts(text)],
      [
        ["llama3:70b", { firstToken: 3_600_000, idle: 0 }],
        ["qwen3", { total: 5 }],
        ["org/m-1", { queue: 1 }],
      ],
    );
    assert.equal(parseModelTimeouts("").size, 0);
    for (const bad of ["a", "a idle", "a idle=1;", "idle=1", "a idle=1 b idle=1", "a: total=0"]) {
      assert.ok(!MODEL_TIMEOUTS.test(bad), bad);
    }
  });

  it("are only ever shortened by a request, and 0 is the longest", () => {
    const zeroed = fc.integer({ min: 0, max: 100 });
    const most = fc.record({ queue: zeroed, connect: zeroed, firstToken: zeroed, idle: zeroed, total: ms });
    fc.assert(
      fc.property(most, some, (limits, own) => {
        const short = shorten(limits, own);
        for (const phase of Object.keys(NAMES) as (keyof Timeouts)[]) {
          const expected = Math.min(length(limits[phase]), length(own[phase] ?? 0));
          assert.equal(length(short[phase]), expected, phase);
        }
      }),
    );
  });
});
