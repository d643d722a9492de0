import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { loadSettings } from "../../src/config/load.ts";
import { Fault } from "../../src/core/fault.ts";
import { Admission } from "../../src/gateway/requests/admission.ts";

const SETTINGS = { ...loadSettings({ flags: {}, env: {} }), maxOpen: 3, maxQueue: 2, maxQueueBytes: 1000 };

function refusal(work: () => void): Fault | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    assert.ok(error instanceof Fault);
    return error;
  }
}

describe("admission", () => {
  it("bounds the tasks of a model, without harm to other models", () => {
    const admission = new Admission(SETTINGS, () => 0);
    admission.opened("a", 1);
    admission.opened("a", 1);
    const fault = refusal(() => admission.admit("a", 1));
    assert.equal(fault?.code, "queue_full");
    assert.ok((fault?.retryAfter ?? 0) >= 1);
    assert.equal(
      refusal(() => admission.admit("b", 1)),
      undefined,
    );
    admission.ended("a", 1);
    assert.equal(
      refusal(() => admission.admit("a", 1)),
      undefined,
    );
  });

  it("bounds the bytes of a model's bodies", () => {
    const admission = new Admission(SETTINGS, () => 0);
    admission.opened("a", 800);
    assert.equal(refusal(() => admission.admit("a", 201))?.code, "queue_full");
    assert.equal(
      refusal(() => admission.admit("a", 200)),
      undefined,
    );
    admission.ended("a", 800);
    assert.equal(
      refusal(() => admission.admit("a", 1000)),
      undefined,
    );
  });

  it("bounds the tasks of all models together", () => {
    const admission = new Admission(SETTINGS, () => 0);
    for (const model of ["a", "b", "c"]) admission.opened(model, 1);
    assert.equal(refusal(() => admission.admit("d", 1))?.code, "overloaded");
    assert.equal(admission.overloaded()?.http, 503);
    admission.ended("b", 1);
    assert.equal(admission.overloaded(), undefined);
  });

  it("tells a wait by the pace at which tasks of this model end", () => {
    let now = 0;
    const admission = new Admission(SETTINGS, () => now);
    admission.opened("a", 1);
    admission.opened("a", 1);
    for (let n = 0; n < 4; n += 1) {
      now += 7000;
      admission.ended("a", 1);
      admission.opened("a", 1);
    }
    assert.equal(refusal(() => admission.admit("a", 1))?.retryAfter, 7);
  });
});
