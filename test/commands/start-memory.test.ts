import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, it } from "node:test";

const ROUND = `
  import { getHeapSpaceStatistics } from "node:v8";
  import { releaseStartMemory } from "${new URL("../../src/commands/start-memory.ts", import.meta.url).href}";
  const nursery = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space").space_size;
  // As loading a program does: much that lives just long enough to make the nursery grow.
  let kept = [];
  for (let round = 0; round < 60; round += 1) {
    kept = [...kept.slice(-20_000), ...Array.from({ length: 20_000 }, (_, index) => ({ index, text: "x" + index }))];
  }
  kept = [];
  const before = nursery();
  releaseStartMemory();
  console.log(JSON.stringify({ before, after: nursery(), exposed: "gc" in globalThis }));
`;

describe("the memory of the start", () => {
  it("is given back, and leaves no collector lying about", () => {
    const output = execFileSync(process.execPath, ["--input-type=module", "--eval", ROUND]).toString();
    const { before, after, exposed } = JSON.parse(output) as {
      before: number;
      after: number;
      exposed: boolean;
    };
    assert.ok(after <= before / 4, `the nursery went from ${before} to ${after} bytes`);
    assert.equal(exposed, false);
  });
});
