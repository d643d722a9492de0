import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { dayEnd, dayOf, daysBetween, monthEnd, readDay, writtenDay } from "../../src/core/access/calendar.ts";

const TIME = fc.integer({ min: Date.UTC(1970, 0), max: Date.UTC(2400, 0) });

describe("the calendar of usage", () => {
  it("ends a day and a month at the first moment of the next one", () => {
    fc.assert(
      fc.property(TIME, (time) => {
        const [day, month] = [dayEnd(time), monthEnd(time)];
        assert.ok(day > time && day - time <= 86_400_000);
        assert.equal(dayOf(day - 1), dayOf(time));
        assert.notEqual(dayOf(day), dayOf(time));
        assert.equal(dayOf(month - 1).slice(0, 6), dayOf(time).slice(0, 6));
        assert.equal(dayOf(month).slice(6), "01");
        assert.ok(month >= day && month - time <= 31 * 86_400_000);
      }),
    );
  });

  it("reads the days that it writes, in both forms", () => {
    fc.assert(
      fc.property(TIME, (time) => {
        const day = dayOf(time);
        assert.equal(readDay(day, 0), day);
        assert.equal(readDay(writtenDay(day), 0), day);
      }),
    );
  });

  it("knows leap days, and days that no calendar has", () => {
    assert.equal(readDay("2024-02-29", 0), "20240229");
    assert.equal(readDay("2000-02-29", 0), "20000229");
    for (const text of [
      "2023-02-29",
      "1900-02-29",
      "2026-13-01",
      "2026-04-31",
      "2026-00-10",
      "2026-1130",
      "",
      "now",
    ]) {
      assert.equal(readDay(text, 0), undefined, text);
    }
    const now = Date.parse("2024-03-01T00:00:00Z");
    assert.deepEqual([readDay("today", now), readDay("yesterday", now)], ["20240301", "20240229"]);
  });

  it("lists the days between two, both included", () => {
    assert.deepEqual(daysBetween("20240228", "20240301"), ["20240228", "20240229", "20240301"]);
    assert.deepEqual(daysBetween("20261231", "20270101"), ["20261231", "20270101"]);
    assert.deepEqual(daysBetween("20270101", "20261231"), []);
  });
});
