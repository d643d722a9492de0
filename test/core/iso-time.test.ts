import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { BLANK_CARD } from "../../src/core/announcement.ts";
import { isoTime } from "../../src/core/iso-time.ts";
import type { ModelCard } from "../../src/core/model.ts";
import { limitHeaders } from "../../src/gateway/access/limit-headers.ts";
import { modelInfo } from "../../src/protocols/anthropic/models.ts";
import { psBody, tagsBody } from "../../src/protocols/model-lists.ts";

/** RFC 3339 with ms, in UTC. */
const FORM = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

const ODD = [1e300, -1e300, Infinity, -Infinity, NaN, 8.64e15 + 1, Number.MAX_SAFE_INTEGER];

describe("a time as text", () => {
  it("is that of the date within the years that RFC 3339 has", () => {
    const within = fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 });
    fc.assert(fc.property(within, (ms) => isoTime(ms) === new Date(ms).toISOString()));
  });

  it("has its form for any number", () => {
    fc.assert(fc.property(fc.double(), (ms) => FORM.test(isoTime(ms))));
    for (const ms of ODD) assert.match(isoTime(ms), FORM, String(ms));
  });

  it("keeps lists of models whole, whatever time a worker announces", () => {
    for (const ms of ODD) {
      const load = { size: 0, sizeVram: 0, contextLength: 0, expiresAt: ms };
      const card: ModelCard = { ...BLANK_CARD, key: "m", name: "m", modifiedAt: ms, resident: true, load };
      for (const body of [tagsBody([card]), psBody([card]), modelInfo(card, "m")]) {
        assert.match(body, /"m/);
      }
    }
  });

  it("keeps the headers of a limit whole, however late its bucket is full", () => {
    const state = { limit: "requests", perMinute: 1, remaining: 0, resetMs: 6e16 } as const;
    const headers = limitHeaders("anthropic", [state], Date.now());
    assert.ok(headers.some(([name, value]) => name.endsWith("-reset") && value.startsWith("9999-")));
  });
});
