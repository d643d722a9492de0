import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Fault } from "../../src/core/fault.ts";
import { surfaceOf } from "../../src/protocols/openai/surface.ts";
import type { PassthroughOptions } from "../../src/protocols/codec.ts";
import { surfacePassthrough } from "../../src/protocols/openai/surface-passthrough.ts";

/** Answers of the surface in the odd shapes that servers, and what stands before them, have. */

interface Came {
  readonly type: string;
  readonly pieces: readonly (Buffer | string)[];
  readonly stream?: boolean;
}

function relayed(endpoint: string, { type, pieces, stream = false }: Came): string {
  const row = surfaceOf(endpoint);
  assert.ok(row !== undefined);
  const options: PassthroughOptions = {
    body: Buffer.from('{"model":"mine"}'),
    stream,
    asked: "mine",
    model: "its",
  };
  const relay = surfacePassthrough(row, new Set()).relay(options);
  relay.head?.(type);
  const sent = pieces.map((piece) => relay.push(Buffer.from(piece)));
  return Buffer.concat([...sent, relay.end()]).toString();
}

const MARK = "\uFEFF";
const RANKED = '{"model":"its","results":[]}';
const PARTIAL = '{"type":"image_generation.partial_image","b64_json":"AA"}';
const COMPLETED = '{"type":"image_generation.completed","b64_json":"AA"}';

describe("an answer of the surface", () => {
  it("may have a byte order mark, which no client needs", () => {
    const json = { type: "application/json", pieces: [MARK + RANKED] };
    assert.equal(relayed("openai-rerank", json), '{"model":"mine","results":[]}');
    const list = { type: "application/json", pieces: [`${MARK}[{"index":0}]`] };
    assert.equal(relayed("openai-rerank", list), '[{"index":0}]');
    const events = { type: "text/event-stream", stream: true, pieces: [`${MARK}data: ${COMPLETED}\n\n`] };
    assert.equal(relayed("openai-images", events), `data: ${COMPLETED}\n\n`);
    const cut = [Buffer.from(MARK).subarray(0, 2), Buffer.from(MARK).subarray(2), `data: ${COMPLETED}\n\n`];
    assert.equal(relayed("openai-images", { ...events, pieces: cut }), `data: ${COMPLETED}\n\n`);
  });

  it("may have several events without a blank line between them", () => {
    const joined = `data: ${PARTIAL}\ndata: ${COMPLETED}\n\n`;
    const apart = `data: ${PARTIAL}\n\ndata: ${COMPLETED}\n\n`;
    const came = { type: "text/event-stream", stream: true, pieces: [joined] };
    assert.equal(relayed("openai-images", came), apart);
    const twice = { ...came, pieces: [`data: data: ${COMPLETED}\n\n`] };
    assert.equal(relayed("openai-images", twice), `data: ${COMPLETED}\n\n`);
  });

  it("is none where a page or a text stands in the place of JSON", () => {
    const page = "<html><body>Sign in, please.</body></html>";
    for (const endpoint of ["openai-rerank", "openai-images", "openai-moderations", "openai-infill"]) {
      for (const type of ["text/html; charset=utf-8", "text/plain", ""]) {
        for (const stream of [false, true]) {
          const came = { type, stream, pieces: [page] };
          assert.throws(
            () => relayed(endpoint, came),
            (error) =>
              error instanceof Fault && error.code === "backend_lost" && /Sign in/.test(error.message),
            `${endpoint} ${type} ${stream}`,
          );
        }
      }
    }
    const sound = { type: "text/html", stream: true, pieces: [page] };
    assert.throws(() => relayed("openai-speech", sound), { code: "backend_lost" });
  });

  it("may be an image, or sound, where the server says so", () => {
    const png = { type: "image/png", pieces: ["\u0089PNG"] };
    assert.equal(relayed("openai-images", png), "\u0089PNG");
    assert.equal(relayed("openai-speech", { type: "audio/wav", stream: true, pieces: ["RIFF"] }), "RIFF");
  });

  it("may have events as large as an answer in one piece", () => {
    const image = "A".repeat(30 * 1024 * 1024);
    const event = `data: ${COMPLETED.replace("AA", image)}\n\n`;
    const pieces = [event.slice(0, 20_000_000), event.slice(20_000_000)];
    const told = relayed("openai-images", { type: "text/event-stream", stream: true, pieces });
    assert.ok(told === event);
  });

  it("in one piece, told as an event, says the model that was asked for", () => {
    const came = {
      type: "application/json",
      stream: true,
      pieces: ['{"model":"its","content":"","stop":true}'],
    };
    assert.equal(relayed("openai-infill", came), 'data: {"model":"mine","content":"","stop":true}\n\n');
  });

  it("of events that has none is no silence", () => {
    for (const pieces of [[], ["\n"], [": keep-alive\n\n"]]) {
      const came = { type: "text/event-stream", stream: true, pieces };
      assert.throws(() => relayed("openai-transcriptions", came), { code: "backend_lost" });
    }
    assert.equal(relayed("openai-transcriptions", { type: "text/plain", pieces: ["\n"] }), "\n");
  });
});
