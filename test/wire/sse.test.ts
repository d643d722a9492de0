import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { isFaultCode } from "../../src/core/fault.ts";
import {
  isHeartbeat,
  parseEvents,
  splitEvents,
  sseComment,
  sseData,
  sseEvent,
  SseParser,
  SseSplitter,
} from "../../src/wire/sse.ts";

/** The bytes cut at the given places (taken modulo the length). */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].toSorted((a, b) => a - b);
  return [0, ...at].map((from, index) => bytes.subarray(from, at[index] ?? bytes.length));
}

function parse(chunks: readonly Buffer[]): unknown[] {
  const parser = new SseParser();
  return [...chunks.flatMap((chunk) => parser.push(chunk)), ...parser.end()];
}

const places = fc.array(fc.nat(), { maxLength: 12 });
const lineEnd = fc.constantFrom("\n", "\r\n", "\r");
const word = fc.string({
  unit: fc.constantFrom("a", " ", ":", "é", "😀", '"', "data", "\u2028"),
  maxLength: 6,
});
const line = fc.oneof(
  fc.constant(""),
  word.map((text) => `data: ${text}`),
  word.map((text) => `data:${text}`),
  word.map((text) => `event: ${text}`),
  word.map((text) => `: ${text}`),
  word,
);
const stream = fc
  .array(fc.tuple(line, lineEnd), { maxLength: 30 })
  .map((lines) => Buffer.from(lines.map(([text, end]) => text + end).join("")));

describe("SseParser", () => {
  it("reads the same events at any split", () => {
    fc.assert(
      fc.property(stream, places, (bytes, at) => {
        assert.deepEqual(parse(cut(bytes, at)), parse([bytes]));
      }),
    );
  });

  it("reads comments, multi-line data, names, CRLF and CR", () => {
    const text = "\uFEFFdata: 0\n\n: hello\r\n\r\nevent: a\ndata: 1\ndata:2\n\ndata\r\rid: 7\ndata: {}\n\n";
    assert.deepEqual(parse([Buffer.from(text)]), [
      { event: "message", data: "0" },
      { event: "a", data: "1\n2" },
      { event: "message", data: "" },
      { event: "message", data: "{}" },
    ]);
  });

  it("gives the last event although its blank line is missing", () => {
    assert.deepEqual(parse([Buffer.from("data: [DONE]")]), [{ event: "message", data: "[DONE]" }]);
  });

  it("gives an event with its blank line, not later, whatever ends the lines", () => {
    for (const end of ["\n", "\r\n", "\r"]) {
      const parser = new SseParser();
      assert.deepEqual(parser.push(Buffer.from(`data: 1${end}`)), []);
      assert.deepEqual(parser.push(Buffer.from(`${end}data: 2`)), [{ event: "message", data: "1" }]);
    }
  });

  it("refuses an event beyond its limit", () => {
    const parser = new SseParser(16);
    parser.push(Buffer.from("data: 0123456789\n\n"));
    assert.throws(
      () => parser.push(Buffer.from("data: 0123456789abc")),
      (fault: { code?: unknown }) => isFaultCode(fault.code) && fault.code === "backend_lost",
    );
  });
});

describe("SseSplitter", () => {
  it("keeps every byte, in whole events, at any split", () => {
    fc.assert(
      fc.property(stream, places, (bytes, at) => {
        const splitter = new SseSplitter();
        const regions = cut(bytes, at).map((chunk) => splitter.push(chunk));
        assert.deepEqual(
          regions.flatMap((region) => parseEvents(region.toString())),
          parseEvents(Buffer.concat(regions).toString()),
        );
        assert.deepEqual(Buffer.concat([...regions, splitter.rest()]), bytes);
      }),
    );
  });

  it("returns a chunk of whole events itself", () => {
    const chunk = Buffer.from("data: 1\n\ndata: 2\n\n");
    assert.equal(new SseSplitter().push(chunk), chunk);
  });
});

describe("splitEvents", () => {
  it("cuts after every blank line and loses nothing", () => {
    const events = splitEvents(Buffer.from("data: 1\n\ndata: 2\r\n\r\n: x\r\r"));
    assert.deepEqual(events.map(String), ["data: 1\n\n", "data: 2\r\n\r\n", ": x\r\r"]);
  });
});

describe("formatting", () => {
  it("is read back", () => {
    const text = sseData('{"a":1}') + sseComment("keep-alive") + sseEvent("error", "{}");
    assert.deepEqual(parseEvents(text), [
      { event: "message", data: '{"a":1}' },
      { event: "error", data: "{}" },
    ]);
  });
});

describe("a heartbeat", () => {
  for (const text of [
    ": keep-alive\n\n",
    ":\n",
    "\n",
    "\r\n\r\n",
    " ",
    "",
    ": a\r\n: b\r\n\r\n",
    ": cut in the mid",
  ]) {
    it(`${JSON.stringify(text)} is one`, () => {
      assert.equal(isHeartbeat(Buffer.from(text)), true);
    });
  }

  for (const text of [
    "data: 1\n\n",
    ": a\n\ndata: 1\n\n",
    "\r\rdata:1",
    '{"done":false}\n',
    '  "x": 1',
    "event: ping\n",
  ]) {
    it(`${JSON.stringify(text)} is none`, () => {
      assert.equal(isHeartbeat(Buffer.from(text)), false);
    });
  }

  it("is found quickly, however long", () => {
    const chunk = Buffer.from(`${":\r\n \t".repeat(20_000)}x`);
    assert.equal(isHeartbeat(chunk), false);
  });
});
