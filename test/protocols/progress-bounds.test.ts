import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ProgressMerger } from "../../src/protocols/ollama/progress-merger.ts";

const MANY = 50_000;

describe("the progress that a server tells without end", () => {
  it("is told up to a number of steps and digests, and its end as always", () => {
    const merger = new ProgressMerger(["a"]);
    let told = 0;
    for (let index = 0; index < MANY; index += 1) {
      told += Number(merger.line(0, JSON.stringify({ status: `step ${index}` })) !== undefined);
      const amount = JSON.stringify({ status: "pulling", digest: `d${index}`, total: 2, completed: 1 });
      told += Number(merger.line(0, amount) !== undefined);
    }
    assert.equal(told, 4000);
    const known = merger.line(0, '{"status":"pulling","digest":"d0","total":2,"completed":2}');
    assert.deepEqual(known, { status: "pulling", digest: "d0", total: 2, completed: 2 });
    merger.line(0, '{"status":"success"}');
    assert.deepEqual(merger.end(0, { status: 200, rest: "" }), { error: undefined, status: 200 });
  });

  it("has no step of megabytes, and an error that fits on a screen", () => {
    const merger = new ProgressMerger(["a"]);
    assert.equal(merger.line(0, JSON.stringify({ status: "x".repeat(1e6) })), undefined);
    assert.equal(merger.line(0, JSON.stringify({ status: "p", digest: "x".repeat(1e6) })), undefined);
    merger.line(0, JSON.stringify({ error: "e".repeat(1e6) }));
    assert.equal(merger.end(0, { status: 200, rest: "" })?.error?.length, 8192);
  });
});
