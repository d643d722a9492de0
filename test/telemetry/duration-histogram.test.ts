import assert from "node:assert/strict";
import test from "node:test";
import { array, assert as check, double, integer, property } from "fast-check";
import { Histogram } from "../../src/telemetry/duration-histogram.ts";

test("a quantile is the exact one or at most 0.8 % above it", () => {
  const durations = array(integer({ min: 0, max: 3_000_000_000 }), { minLength: 1, maxLength: 200 });
  check(
    property(durations, double({ min: 0.01, max: 1, noNaN: true }), (values, share) => {
      const histogram = new Histogram();
      for (const value of values) histogram.record(value);
      const exact = values.toSorted((a, b) => a - b)[Math.max(1, Math.ceil(share * values.length)) - 1] ?? 0;
      const found = histogram.quantile(share);
      assert.ok(found >= exact && found <= exact * 1.008, `${found} for ${exact}`);
    }),
  );
});

test("an empty histogram reports zeros, and times beyond its range count as its longest", () => {
  assert.deepEqual(new Histogram().percentiles(), { count: 0, p50: 0, p99: 0, max: 0 });
  const histogram = new Histogram();
  histogram.record(1e12);
  assert.equal(histogram.percentiles().count, 1);
  assert.equal(histogram.percentiles().max, 1e12);
});
