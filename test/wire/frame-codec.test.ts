import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { Packr } from "msgpackr";
import { Fault } from "../../src/core/fault.ts";
import type { Frame } from "../../src/core/frame.ts";
import { decodeFrames, encodeFrame } from "../../src/wire/frame-codec.ts";

const plain = { noNullPrototype: true };

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));

const httpStatus = fc.integer({ min: 200, max: 599 });

const frames: fc.Arbitrary<Frame> = fc.record(
  {
    task: fc.string({ minLength: 1 }),
    attempt: fc.maxSafeNat(),
    seq: fc.nat(),
    bytes,
    head: fc.record(
      {
        status: httpStatus,
        contentType: fc.string(),
        worker: fc.string(),
        dropped: fc.array(fc.string(), { maxLength: 3 }),
      },
      { requiredKeys: ["status", "contentType", "worker"], ...plain },
    ),
    end: fc.record(
      {
        usage: fc.record({ promptTokens: fc.nat(), completionTokens: fc.nat() }, plain),
        fault: fc.record(
          { code: fc.constant("backend_lost" as const), message: fc.string(), http: httpStatus },
          plain,
        ),
        totalMs: fc.nat(),
      },
      { requiredKeys: [], ...plain },
    ),
  },
  { requiredKeys: ["task", "attempt", "seq", "bytes"], ...plain },
);

describe("frame codec", () => {
  it("gives back what went in, also several frames in one payload", () => {
    fc.assert(
      fc.property(fc.array(frames, { maxLength: 5 }), (list) => {
        const payload = Buffer.concat(list.map((frame) => encodeFrame(frame)));
        assert.deepEqual(payload.length === 0 ? [] : decodeFrames(payload), list);
      }),
    );
  });

  it("answers any other bytes with a fault, never with a crash or a wrong frame", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), (array) => {
        try {
          for (const frame of decodeFrames(Buffer.from(array))) assert.equal(typeof frame.task, "string");
        } catch (error) {
          assert.ok(error instanceof Fault);
          assert.equal(error.code, "internal");
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("refuses a frame of an unknown version by name", () => {
    const known = encodeFrame({ task: "g.1", attempt: 1, seq: 1, bytes: Buffer.alloc(0) });
    const newer = Buffer.from(known);
    assert.equal(newer[1], 1);
    newer[1] = 9;
    assert.throws(() => decodeFrames(newer), /version is 9, known is 1/);
  });

  it("reads a head of a worker that tells nothing of dropped fields, and refuses names that are no texts", () => {
    const packr = new Packr({ useRecords: false });
    const payload = (...head: readonly unknown[]): Buffer => {
      return packr.pack([1, "g.1", 1, 1, head, Buffer.alloc(0), null]);
    };
    const head = { status: 200, contentType: "text/x", worker: "w" };
    assert.deepEqual(decodeFrames(payload(200, "text/x", "w"))[0]?.head, head);
    assert.throws(() => decodeFrames(payload(200, "text/x", "w", [1])), /head is of the wrong type/);
    assert.throws(() => decodeFrames(payload(200, "text/x", "w", "top_k")), /head is of the wrong type/);
  });
});
