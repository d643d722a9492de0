import assert from "node:assert/strict";
import { Fault } from "../../src/core/fault.ts";

/** Runs work that may refuse its input with a fault. Any other error fails the test, and so does an internal fault. */
export function orFault(work: () => void): void {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof Fault, error instanceof Error ? error.stack : String(error));
    assert.notEqual(error.code, "internal", error.message);
  }
}
