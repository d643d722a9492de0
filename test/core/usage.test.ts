import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { type Usage, UsageTally } from "../../src/core/usage.ts";

const count = fc.nat({ max: 1000 });

function totalOf(usages: readonly (Usage | undefined)[], perPrompt?: number): Usage | undefined {
  const tally = new UsageTally(perPrompt);
  for (const [choice, usage] of usages.entries()) tally.add(usage, choice);
  return tally.total;
}

describe("the counts of several answers", () => {
  it("have each prompt once and all that was generated, in whatever order the answers end", () => {
    const shape = {
      prompts: fc.array(count, { minLength: 1, maxLength: 16 }),
      perPrompt: fc.integer({ min: 1, max: 4 }),
    };
    fc.assert(
      fc.property(fc.record(shape), fc.infiniteStream(count), ({ prompts, perPrompt }, dice) => {
        const answers = prompts.flatMap((promptTokens) => {
          return Array.from({ length: perPrompt }, () => {
            return { promptTokens, completionTokens: Number(dice.next().value) };
          });
        });
        const tally = new UsageTally(perPrompt);
        const order = Array.from(answers.keys(), (choice) => [Number(dice.next().value), choice] as const);
        for (const [, choice] of order.toSorted(([one], [other]) => one - other)) {
          tally.add(answers[choice], choice);
        }
        assert.deepEqual(tally.total, {
          promptTokens: prompts.reduce((sum, tokens) => sum + tokens, 0),
          completionTokens: answers.reduce((sum, { completionTokens }) => sum + completionTokens, 0),
        });
      }),
    );
  });

  it("have of a cache what the run had that found least of its prompt there", () => {
    const usages = [4, 9, 7, 8].map((cachedTokens): Usage => {
      return { promptTokens: 10, completionTokens: 1, cachedTokens, reasoningTokens: 2 };
    });
    const all = { completionTokens: 4, reasoningTokens: 8 };
    assert.deepEqual(totalOf(usages), { promptTokens: 10, cachedTokens: 4, ...all });
    assert.deepEqual(totalOf(usages, 2), { promptTokens: 20, cachedTokens: 11, ...all });
  });

  it("are those that are known", () => {
    const known: Usage = { promptTokens: 3, completionTokens: 5 };
    assert.equal(totalOf([]), undefined);
    assert.equal(totalOf([undefined, undefined], 1), undefined);
    assert.deepEqual(totalOf([undefined, known], 1), known);
    assert.deepEqual(totalOf([known, undefined]), known);
  });
});
