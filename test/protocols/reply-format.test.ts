import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SurfaceRelay } from "../../src/protocols/openai/surface-relay.ts";
import { sniffTextFormat } from "../../src/protocols/reply-format.ts";
import { surfaceOf } from "../../src/protocols/openai/surface.ts";

describe("the form of an answer that may be plain text", () => {
  const JSON_TYPE = "application/json";
  const cases: readonly [type: string, text: string, form: ReturnType<typeof sniffTextFormat>][] = [
    ["text/plain", "{", "bytes"],
    ["text/vtt", "WEBVTT", "bytes"],
    ["application/x-subrip", "1\n", "bytes"],
    ["text/event-stream", "x", "events"],
    [JSON_TYPE, '{"text":""}', "json"],
    [JSON_TYPE, `\ufeff${" ".repeat(500)}\n{}`, "json"],
    ["application/problem+json", "{}", "json"],
    [JSON_TYPE, "[music]", "bytes"],
    [JSON_TYPE, "Hello", "bytes"],
    [JSON_TYPE, "data: x", "bytes"],
    [JSON_TYPE, " \n", undefined],
    ["", " \n", undefined],
    ["", "{", "json"],
    ["", "data: x", "events"],
    ["", "event: x", "events"],
    ["", ": x", "events"],
    ["", "dates: x", "bytes"],
  ];
  for (const [type, text, form] of cases) {
    it(`${type} ${JSON.stringify(text.slice(0, 20))}`, () => {
      assert.equal(sniffTextFormat(type, Buffer.from(text)), form);
    });
  }
});

/** The client's bytes of an answer that comes in pieces of this size (bytes). */
function passed(type: string, text: string, size: number): string {
  const relay = new SurfaceRelay({
    asked: "mine",
    stream: false,
    events: surfaceOf("openai-transcriptions")?.events,
    binary: false,
    text: true,
  });
  relay.head(type);
  const bytes = Buffer.from(text);
  const out: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) out.push(relay.push(bytes.subarray(at, at + size)));
  return Buffer.concat([...out, relay.end()]).toString();
}

describe("an answer that may be plain text", () => {
  it("is passed on as it came, whatever the pieces", () => {
    const texts: readonly [type: string, text: string][] = [
      ["text/plain; charset=utf-8", "  Hällo.\n"],
      ["text/plain", ""],
      ["text/plain", "\n"],
      ["application/json", "\n\n  [music]\n"],
      ["application/json; charset=utf-8", ' {"text":"[music]"}\n'],
      ["", "Hello"],
    ];
    for (const [type, text] of texts) {
      for (const size of [1, 2, 3, 100]) assert.equal(passed(type, text, size), text, `${type}, ${size}`);
    }
  });

  it("is none when it is empty without a type of text, or when its JSON is cut", () => {
    for (const [type, text] of [
      ["", ""],
      ["application/json", ""],
      ["application/json", " "],
      ["application/json", '{"text":"a'],
    ] as const) {
      assert.throws(() => passed(type, text, 100), { code: "backend_lost" }, `${type} ${text}`);
    }
  });

  it("is a fault when it says so", () => {
    const text = '{"error":{"message":"bad sound","type":"invalid_request_error"}}';
    assert.throws(() => passed("application/json", text, 7), { message: "bad sound", http: 400 });
  });
});
