import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { pack, unpack } from "msgpackr";
import { Fault } from "../../src/core/fault.ts";
import type { Task } from "../../src/core/task.ts";
import { decodeTask, encodeTask } from "../../src/wire/task-codec.ts";

const ms = fc.maxSafeNat();
const limits = fc.record(
  { queueUntil: ms, connectMs: ms, firstTokenMs: ms, idleMs: ms },
  { noNullPrototype: true },
);

const FIELDS = [
  "id",
  "endpoint",
  "model",
  "stream",
  "createdAt",
  "deadline",
  "requestId",
  "trace",
  "body",
] as const;

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
    limits,
    admin: fc.constant(true),
    path: fc.string(),
    contentType: fc.constantFrom("multipart/form-data; boundary=b", 'multipart/form-data; boundary="a b"'),
    modelAt: fc.maxSafeNat(),
  },
  { noNullPrototype: true, requiredKeys: [...FIELDS] },
);

/** A record of a task with these last elements. */
function record(...form: readonly unknown[]): Buffer {
  return pack([
    1,
    "g.1",
    "openai-transcriptions",
    "m",
    false,
    1,
    2,
    "r",
    "",
    null,
    null,
    null,
    0,
    false,
    ...form,
  ]);
}

function isMalformed(error: unknown): boolean {
  return error instanceof Fault && error.code === "internal" && /could not be decoded/.test(error.message);
}

describe("task codec", () => {
  it("gives back what went in", () => {
    fc.assert(
      fc.property(tasks, (task) => {
        assert.deepEqual(decodeTask(encodeTask(task, true)), task);
      }),
    );
  });

  it("reads what is written of a form, and refuses what is none", () => {
    const { contentType, modelAt } = decodeTask(record(null, "multipart/form-data; boundary=b", 9));
    assert.deepEqual([contentType, modelAt], ["multipart/form-data; boundary=b", 9]);
    // As written by gateways that know of no forms.
    assert.equal(decodeTask(record()).contentType, undefined);
    assert.equal(decodeTask(record(null, null, null)).modelAt, undefined);
    for (const type of ["", "a\r\nb: c", "é", 1, true, "a".repeat(201)]) {
      assert.throws(() => decodeTask(record(null, type, 1)), isMalformed, String(type));
    }
    for (const at of [-1, 1.5, "1", true, 2 ** 53]) {
      assert.throws(() => decodeTask(record(null, "a/b", at)), isMalformed, String(at));
    }
  });

  it("leaves a large body out on request", () => {
    fc.assert(
      fc.property(tasks, (task) => {
        assert.deepEqual(decodeTask(encodeTask(task, false)), { ...task, body: undefined });
      }),
    );
  });

  it("reads a task without limits, as older gateways write it, and one with more than it knows", () => {
    const older = [1, "g.1", "ollama-chat", "m", true, 1, 2, "r", "", Buffer.from("{}")];
    assert.equal(decodeTask(pack(older)).limits, undefined);
    const newer = [...older, [5, 6, 7, 8, 9], "more"];
    const known = { queueUntil: 5, connectMs: 6, firstTokenMs: 7, idleMs: 8 };
    assert.deepEqual(decodeTask(pack(newer)).limits, known);
  });

  it("refuses limits that are no times", () => {
    const task = [1, "g.1", "ollama-chat", "m", true, 1, 2, "r", "", Buffer.from("{}")];
    for (const bad of [[1, 2, 3], [1, 2, 3, "4"], [1, 2, 3, -4], [1, 2, 3, Number.NaN], 7, "x", {}]) {
      assert.throws(
        () => decodeTask(pack([...task, bad])),
        (error) => error instanceof Fault && error.code === "internal",
      );
    }
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

describe("the names of a task's key", () => {
  const task = { ...encodable(), keyName: "ann", tenant: "lab" };

  it("survive, and are absent in what an older gateway wrote", () => {
    assert.deepEqual(decodeTask(encodeTask(task, true)), task);
    const older = decodeTask(encodeTask(encodable(), true));
    assert.ok(!("keyName" in older) && !("tenant" in older));
  });

  it("are left out when they cannot be names, and the task is read all the same", () => {
    for (const keyName of ["", "a\nb", "a\u001B[2J", "x".repeat(200)]) {
      assert.deepEqual(decodeTask(encodeTask({ ...task, keyName }, true)), encodable());
    }
    const elements = encodeTask(task, true);
    const value = [...(unpack(elements) as unknown[])];
    for (const hostile of [1, null, {}, ["ann"]]) {
      value[value.length - 2] = hostile;
      assert.deepEqual(decodeTask(pack(value)), encodable());
    }
  });
});

function encodable(): Task {
  return {
    id: "g.1",
    endpoint: "openai-chat",
    model: "tiny",
    stream: true,
    createdAt: 1,
    deadline: 2,
    requestId: "r",
    trace: "",
    body: Buffer.from("{}"),
  };
}
