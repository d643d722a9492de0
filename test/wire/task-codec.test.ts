import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { Fault } from "../../src/core/fault.ts";
import type { Task } from "../../src/core/task.ts";
import { decodeTask, encodeTask } from "../../src/wire/task-codec.ts";

const tasks: fc.Arbitrary<Task> = fc.record(
  {
    id: fc.string({ minLength: 1 }),
    endpoint: fc.constantFrom("ollama-chat" as const, "openai-chat" as const),
    model: fc.string(),
    stream: fc.boolean(),
    createdAt: fc.maxSafeNat(),
    deadline: fc.maxSafeNat(),
    requestId: fc.string(),
    trace: fc.string(),
    body: fc.uint8Array({ maxLength: 500 }).map((array) => Buffer.from(array)),
  },
  { noNullPrototype: true },
);

describe("task codec", () => {
  it("gives back what went in", () => {
    fc.assert(
      fc.property(tasks, (task) => {
        assert.deepEqual(decodeTask(encodeTask(task, true)), task);
      }),
    );
  });

  it("leaves a large body out on request", () => {
    fc.assert(
      fc.property(tasks, (task) => {
        assert.deepEqual(decodeTask(encodeTask(task, false)), { ...task, body: undefined });
      }),
    );
  });

  it("answers any other bytes with a fault", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (array) => {
        assert.throws(
          () => decodeTask(Buffer.from(array)),
          (error) => error instanceof Fault && error.code === "internal",
        );
      }),
      { numRuns: 1000 },
    );
  });
});
