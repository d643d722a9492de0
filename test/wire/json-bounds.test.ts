import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { exceededBound } from "../../src/wire/json-bounds.ts";

const PLENTY = { members: 1e9, values: 1e9, depth: 1e9 };

interface Counted {
  members: number;
  values: number;
  depth: number;
}

/** Counts as the scan is said to: an element is told by the comma before it, a list or object by itself. */
function count(value: unknown): Counted {
  if (typeof value !== "object" || value === null) return { members: 0, values: 0, depth: 0 };
  const inner = Object.values(value).map(count);
  const sum = (of: keyof Counted): number => inner.reduce((total, one) => total + one[of], 0);
  return {
    members: sum("members") + (Array.isArray(value) ? 0 : inner.length),
    values: sum("values") + 1 + Math.max(0, inner.length - 1),
    depth: 1 + Math.max(0, ...inner.map(({ depth }) => depth)),
  };
}

describe("the bounds of a JSON text", () => {
  it("are found exactly, whatever the strings say", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = Buffer.from(JSON.stringify(value));
        const counted = count(JSON.parse(text.toString()));
        assert.equal(exceededBound(text, { ...PLENTY, ...counted }), undefined);
        for (const kind of ["members", "values", "depth"] as const) {
          if (counted[kind] === 0) continue;
          assert.equal(exceededBound(text, { ...PLENTY, [kind]: counted[kind] - 1 }), kind);
        }
      }),
    );
  });

  it("are not passed by what a string holds, nor by a text that is cut", () => {
    for (const text of ['"[[[[,,,,::::"', '"\\"[[[[', "", '{"a', "}}}}", '"\\']) {
      assert.equal(exceededBound(Buffer.from(text), { members: 1, values: 2, depth: 2 }), undefined, text);
    }
  });
});
