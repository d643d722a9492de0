import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Outcome } from "../../src/gateway/exchange.ts";
import { queueWaitMs } from "../../src/gateway/reporter.ts";

const OUTCOME: Outcome = {
  status: 200,
  fault: undefined,
  end: { firstByteMs: 300, totalMs: 1000 },
  leftIn: undefined,
  firstByteMs: 450,
  totalMs: 5000,
  abandon: false,
};

describe("the wait in the queue", () => {
  it("of a stream is told by its first byte: its end may have waited for a slow client", () => {
    assert.equal(queueWaitMs(true, OUTCOME), 150);
  });

  it("of a whole answer is told by its end", () => {
    assert.equal(queueWaitMs(false, { ...OUTCOME, firstByteMs: 1200, totalMs: 1200 }), 200);
  });

  it("of a stream that failed before its first byte is told by its end", () => {
    const failed = { ...OUTCOME, end: { totalMs: 40 }, firstByteMs: undefined, totalMs: 90 };
    assert.equal(queueWaitMs(true, failed), 50);
  });

  it("is not known where the worker told no times, and never below nothing", () => {
    assert.equal(queueWaitMs(true, { ...OUTCOME, end: undefined }), undefined);
    assert.equal(queueWaitMs(false, { ...OUTCOME, end: {} }), undefined);
    assert.equal(queueWaitMs(false, { ...OUTCOME, totalMs: 999.6 }), 0);
  });
});
