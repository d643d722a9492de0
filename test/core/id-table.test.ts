import assert from "node:assert/strict";
import test from "node:test";
import * as fc from "fast-check";
import { IdTable } from "../../src/core/id-table.ts";

/** Few ids, so that steps meet; many steps, so that it grows and its runs are long. */
const steps = fc.array(fc.tuple(fc.constantFrom("set", "delete", "get"), fc.integer({ min: 0, max: 300 })), {
  minLength: 1,
  maxLength: 2000,
  size: "max",
});

test("a table of ids answers like a Map", () => {
  fc.assert(
    fc.property(steps, (taken) => {
      const table = new IdTable<object>();
      const map = new Map<string, object>();
      for (const [step, n] of taken) {
        const id = `gateway-1.${n.toString(36)}`;
        const value = { n };
        if (step === "set") table.set(id, value);
        if (step === "set") map.set(id, value);
        if (step === "delete") assert.equal(table.delete(id), map.delete(id));
        assert.equal(table.get(id), map.get(id));
        assert.equal(table.size, map.size);
      }
      assert.deepEqual(new Set(table.values()), new Set(map.values()));
    }),
  );
});

test("tasks that come and go leave a table as large as what is in hand, and nothing of theirs in it", () => {
  const table = new IdTable<object>();
  for (let n = 0; n < 100_000; n += 1) {
    table.set(`g.${n.toString(36)}`, { n });
    if (n >= 200) assert.ok(table.delete(`g.${(n - 200).toString(36)}`));
  }
  assert.equal(table.size, 200);
  assert.deepEqual(
    table
      .values()
      .map((value) => (value as { n: number }).n)
      .toSorted((one, other) => one - other),
    Array.from({ length: 200 }, (_, index) => 99_800 + index),
  );
});
