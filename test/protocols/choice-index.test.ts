import assert from "node:assert/strict";
import test from "node:test";
import type { Json } from "../../src/core/json.ts";
import { choiceIndex, isFirstChoice } from "../../src/protocols/openai/chunks.ts";

const INDEXES: readonly (readonly [Json | undefined, number])[] = [
  [undefined, 0],
  [null, 0],
  [0, 0],
  [2, 2],
  ["0", 0],
  ["1", 1],
  ["one", Number.NaN],
  [true, Number.NaN],
  [[], Number.NaN],
  // Found by fuzzing: a conversion into a number throws.
  [{ toString: 1, valueOf: 1 }, Number.NaN],
];

for (const [index, expected] of INDEXES) {
  test(`the index ${JSON.stringify(index)} of a choice is ${expected}`, () => {
    const choice = index === undefined ? {} : { index };
    assert.equal(choiceIndex(choice), expected);
    assert.equal(isFirstChoice(choice), expected === 0);
  });
}
