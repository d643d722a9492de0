import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { readDuration, readTime } from "../../src/core/access/time-text.ts";

const NOW = Date.UTC(2026, 10, 30, 12);
const DAY_MS = 86_400_000;

describe("durations as people write them", () => {
  const read: readonly (readonly [text: string, ms: number])[] = [
    ["0", 0],
    ["90d", 90 * DAY_MS],
    ["12h", DAY_MS / 2],
    ["30m", 1_800_000],
    ["5s", 5000],
    ["2w", 14 * DAY_MS],
    ["36525d", 36_525 * DAY_MS],
  ];
  for (const [text, ms] of read) it(`reads ${text}`, () => assert.equal(readDuration(text), ms));

  for (const text of ["", "90", "d", "-1d", "1.5h", "1 d", "1D", "1y", "36526d", "999999999w", "1d2h"]) {
    it(`refuses '${text}'`, () => assert.equal(readDuration(text), undefined));
  }
});

describe("times to come", () => {
  const read: readonly (readonly [text: string, at: number])[] = [
    ["90d", NOW + 90 * DAY_MS],
    ["2026-12-01", Date.UTC(2026, 11, 1)],
    ["2028-02-29", Date.UTC(2028, 1, 29)],
    ["2026-12-01T10:30", Date.UTC(2026, 11, 1, 10, 30)],
    ["2026-12-01 10:30:05", Date.UTC(2026, 11, 1, 10, 30, 5)],
    ["2026-12-01T10:30Z", Date.UTC(2026, 11, 1, 10, 30)],
    ["2026-12-01T10:30+02:00", Date.UTC(2026, 11, 1, 8, 30)],
    ["2026-12-01t10:30z", Date.UTC(2026, 11, 1, 10, 30)],
  ];
  for (const [text, at] of read) it(`reads ${text}`, () => assert.equal(readTime(text, NOW), at));

  const refused = [
    "",
    "0",
    "soon",
    "2026-11-30",
    "2020-01-01",
    "2027-02-29",
    "2027-02-30",
    "2027-13-01",
    "2027-1-1",
    "2027-01-01T25:00",
    "2027-01-01T10",
    "01/02/2027",
    "9999-01-01",
    "1796083626892",
  ];
  for (const text of refused) it(`refuses '${text}'`, () => assert.equal(readTime(text, NOW), undefined));

  it("reads what it reads for every text in the future, and never throws", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), (text) => {
        const at = readTime(text, NOW);
        assert.ok(at === undefined || (Number.isSafeInteger(at) && at > NOW));
      }),
    );
    fc.assert(
      fc.property(
        fc.date({ min: new Date(NOW + 1), max: new Date(NOW + 36_000 * DAY_MS), noInvalidDate: true }),
        (date) => assert.equal(readTime(date.toISOString(), NOW), date.getTime()),
      ),
    );
  });
});
