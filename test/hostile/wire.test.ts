import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { Fault } from "../../src/core/fault.ts";
import { ChunkBuffer, LineSplitter } from "../../src/wire/lines.ts";
import { decodeFrames, encodeFrame } from "../../src/wire/frame-codec.ts";
import { SseSplitter } from "../../src/wire/sse.ts";
import { decodeTask, encodeTask, taskIdOf } from "../../src/wire/task-codec.ts";
import { effort } from "./effort.ts";
import { msgpack, mutated } from "./msgpack.ts";
import { aTask } from "../rig/task.ts";

const FRAME = encodeFrame({
  task: "gateway.1",
  attempt: 7,
  seq: 1,
  head: { status: 200, contentType: "application/x-ndjson", worker: "w", dropped: ["top_k"] },
  bytes: Buffer.from("bytes"),
  end: {
    fault: { code: "backend_lost", message: "gone", http: 502, retryAfter: 1 },
    usage: { promptTokens: 1, completionTokens: 2 },
    totalMs: 9,
  },
});
const TASK = encodeTask(
  aTask({
    id: "gateway.1",
    endpoint: "ollama-chat",
    createdAt: 1,
    deadline: 2,
    limits: { queueUntil: 1, connectMs: 2, firstTokenMs: 3, idleMs: 4 },
  }),
  true,
);

/** Decoding ends, soon and without much memory, in values or in a fault that says that they are none. */
function endsWell(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    assert.ok(error instanceof Fault, String(error));
    assert.equal(error.code, "internal");
  }
}

describe("msgpack out of a hostile Redis", () => {
  const payload = fc.oneof(
    msgpack,
    mutated(FRAME),
    mutated(TASK),
    fc.tuple(mutated(FRAME), msgpack).map((parts) => Buffer.concat(parts)),
  );

  test("is read or refused", (t) => {
    const look = fc.property(payload, (bytes) => {
      endsWell(() => {
        for (const { head, end, bytes: own } of decodeFrames(bytes)) {
          assert.ok(Buffer.isBuffer(own));
          assert.ok(head === undefined || (head.status >= 200 && head.status < 600));
          assert.ok(end?.fault === undefined || typeof end.fault.message === "string");
        }
      });
      endsWell(() => decodeTask(bytes));
      endsWell(() => taskIdOf(bytes));
    });
    fc.assert(look, effort(t, 2000));
  });

  // Found by fuzzing: read again and again until the memory was full.
  test("strings in a bundle that ends before it begins are refused", () => {
    const bundle = Buffer.from("a0a0a0a0a0a0a0a0d662fffffff6010101", "hex");
    assert.throws(() => decodeFrames(bundle), { code: "internal" });
  });

  test("no value of a known extension is made", () => {
    for (let type = 0; type < 256; type += 1) {
      const extension = Buffer.from([0xd6, type, 0x92, 0xa1, 0x61, 0xc0]);
      assert.equal(taskIdOf(Buffer.concat([Buffer.from([0x92, 0x01]), extension])), undefined);
    }
  });

  for (const [about, end] of [
    ["a fault that is none", { fault: null }],
    ["a fault of numbers", { fault: { code: 1, message: 2, http: 3 } }],
    ["a fault with a status that is none", { fault: { code: "internal", message: "", http: 99 } }],
    ["token counts of text", { usage: { promptTokens: "1", completionTokens: "2" } }],
    ["token counts below zero", { usage: { promptTokens: -1, completionTokens: 2 } }],
    ["a time that is none", { totalMs: Number.NaN }],
  ] as const) {
    test(`an end with ${about} is refused`, () => {
      const frame = { task: "g.1", attempt: 1, seq: 1, bytes: Buffer.alloc(0) };
      const bytes = encodeFrame({ ...frame, end: end as object });
      assert.throws(() => decodeFrames(bytes), { code: "internal" });
    });
  }
});

describe("a backend that never ends a line", () => {
  const MANY = 2_000_000;
  const BYTE = Buffer.from("x");

  test("in pieces of one byte takes no more memory than its bytes, many times over", () => {
    const gatherer = new ChunkBuffer();
    const before = process.memoryUsage().heapUsed;
    for (let at = 0; at < MANY; at += 1) gatherer.add(Buffer.from(BYTE));
    const taken = process.memoryUsage().heapUsed - before;
    assert.ok(taken < 64 * 1024 * 1024, `${taken} bytes for ${MANY}`);
    assert.equal(gatherer.take().length, MANY);
  });

  const splitters = {
    "lines of NDJSON": () => new LineSplitter(),
    "events that end with LF": () => new SseSplitter(),
    "events that end with CR": () => new SseSplitter(),
  };
  for (const [about, make] of Object.entries(splitters)) {
    test(`is cut off at its limit, in a time that grows with it: ${about}`, () => {
      const splitter = make();
      splitter.push(Buffer.from(about.includes("CR") ? "data: 1\r\r" : "data: 1\n\n"));
      const piece = Buffer.alloc(256, "x");
      const before = process.cpuUsage();
      let pushed = 0;
      const push = (): void => {
        for (; pushed < 20 * 1024 * 1024; pushed += piece.length) splitter.push(piece);
      };
      assert.throws(push, { code: "backend_lost" });
      assert.ok(pushed >= 15 * 1024 * 1024 && pushed <= 17 * 1024 * 1024);
      const { user, system } = process.cpuUsage(before);
      // 60 to 200 ms of work; the square of its length were minutes.
      assert.ok(user + system < 20_000_000, `${user + system} us`);
    });
  }
});
