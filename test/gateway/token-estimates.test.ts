import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ANONYMOUS } from "../../src/core/access/principal.ts";
import { countsTokens, TokenEstimates } from "../../src/gateway/requests/token-estimates.ts";
import type { SizedRequest } from "../../src/gateway/requests/token-estimates.ts";
import { principalWith } from "./rate-rig.ts";

const IGNORE = { settle: () => {}, refund: () => {} };

function sized(size: SizedRequest["size"], model = "tiny"): SizedRequest {
  return { principal: principalWith({ otpm: 100 }), model, size };
}

describe("the estimated tokens of a request", () => {
  it("are wanted only where a key or its tenant limits tokens", () => {
    assert.equal(countsTokens(ANONYMOUS), false);
    assert.equal(countsTokens(principalWith({ rpm: 5, maxOpen: 3 }, { rpm: 10 })), false);
    for (const limits of [{ itpm: 1 }, { otpm: 1 }, { budgetDay: 1 }, { budgetMonth: 1 }]) {
      assert.equal(countsTokens(principalWith(limits)), true);
      assert.equal(countsTokens(principalWith({}, limits)), true);
    }
  });

  it("are none for a request that was not measured", () => {
    assert.deepEqual(new TokenEstimates().of(sized(undefined)), { inputTokens: 0, outputTokens: 0 });
  });

  it("are the bound of the request, or the usual answer when that is less, for each choice", () => {
    const estimates = new TokenEstimates();
    const outputs = (size: SizedRequest["size"]): number => estimates.of(sized(size)).outputTokens;
    assert.equal(outputs({ inputTokens: 5, answers: 1 }), 256);
    assert.equal(outputs({ inputTokens: 5, answers: 3 }), 768);
    assert.equal(outputs({ inputTokens: 5, answers: 2, mostOutput: 10 }), 20);
    assert.equal(outputs({ inputTokens: 5, answers: 1, mostOutput: 4096 }), 256);
    assert.equal(outputs({ inputTokens: 5, answers: 0, mostOutput: 10 }), 0);
  });

  it("follow the answers of the same tenant and model", () => {
    const estimates = new TokenEstimates();
    const two = sized({ inputTokens: 5, answers: 2 });
    for (let n = 0; n < 40; n += 1) {
      estimates.learning(IGNORE, two).settle({ promptTokens: 5, completionTokens: 2000 });
    }
    estimates.learning(IGNORE, two).settle(undefined);
    estimates.learning(IGNORE, two).refund();
    const one = { inputTokens: 5, answers: 1 };
    const { outputTokens } = estimates.of(sized(one));
    assert.ok(outputTokens > 990 && outputTokens <= 1000, String(outputTokens));
    assert.equal(estimates.of(sized(one, "other")).outputTokens, 256);
  });

  it("keep a bounded number of averages", () => {
    const estimates = new TokenEstimates();
    const one = { inputTokens: 5, answers: 1 };
    for (let n = 0; n <= 10_000; n += 1) {
      estimates.learning(IGNORE, sized(one, `m${n}`)).settle({ promptTokens: 5, completionTokens: 1 });
    }
    assert.equal(estimates.of(sized(one, "m0")).outputTokens, 256);
    assert.ok(estimates.of(sized(one, "m1")).outputTokens < 256);
  });
});
