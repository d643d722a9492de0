import assert from "node:assert/strict";
import test, { describe } from "node:test";
import * as fc from "fast-check";
import type { Part } from "../../src/core/chat.ts";
import { isObject, type Json, type JsonObject } from "../../src/core/json.ts";
import type { Endpoint } from "../../src/core/task.ts";
import { ollamaClientCodec } from "../../src/protocols/ollama/client-codec.ts";
import { ollamaServerCodecs } from "../../src/protocols/ollama/endpoints.ts";
import type { PassthroughOptions, Relay, ReplyReader, ServerCodec } from "../../src/protocols/codec.ts";
import { splitAt } from "../rig/split.ts";
import { loadTranscript, type Transcript, transcriptNames } from "../rig/transcript.ts";

/** Every recorded reply that is complete, without those that only render a prompt. */
const complete = transcriptNames("ollama", "0", "1", "30")
  .map((name) => loadTranscript("ollama", name))
  .filter(({ name, status }) => status === 200 && !name.includes("debug-render"));
const streams = complete.filter(({ headers }) => headers.get("content-type") === "application/x-ndjson");
const wholes = complete.filter((transcript) => !streams.includes(transcript));
const cuts = fc.array(fc.nat(), { maxLength: 8 });

function endpointOf({ path }: Transcript): Endpoint {
  return path === "/api/chat" ? "ollama-chat" : "ollama-generate";
}

function serverOf(transcript: Transcript): ServerCodec {
  const found = ollamaServerCodecs.find(({ endpoint }) => endpoint === endpointOf(transcript));
  assert.ok(found);
  return found;
}

/** The recorded request: 054 carries garbage after its JSON, which Ollama does not look at. */
function requestOf({ request }: Transcript): JsonObject {
  return JSON.parse(request.replace(/} xyz$/, "}")) as JsonObject;
}

function readerOf(transcript: Transcript): ReplyReader {
  const stream = streams.includes(transcript);
  return ollamaClientCodec.reader({ request: serverOf(transcript).decode(requestOf(transcript)), stream });
}

function readAll(reader: ReplyReader, chunks: readonly Buffer[]): Part[] {
  return [...chunks.flatMap((chunk) => [...reader.push(chunk)]), ...reader.end()];
}

function relayOf(transcript: Transcript, options: Partial<PassthroughOptions> = {}): Relay {
  const passthrough = ollamaClientCodec.passthrough(endpointOf(transcript));
  assert.ok(passthrough);
  const body = Buffer.from(transcript.request);
  const stream = streams.includes(transcript) || transcript.name.startsWith("32");
  return passthrough.relay({ body, stream, asked: "m", model: "m", ...options });
}

function relayAll(relay: Relay, chunks: readonly Buffer[]): string {
  const forwarded = chunks.map((chunk) => relay.push(chunk));
  return Buffer.concat([...forwarded, relay.end()]).toString();
}

function linesOf(body: Buffer | string): JsonObject[] {
  const lines = body.toString().split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line) as JsonObject);
}

function messageOf(line: JsonObject): JsonObject {
  return isObject(line["message"]) ? line["message"] : { ...line, content: line["response"] };
}

function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

function joined(lines: readonly JsonObject[], field: string): string {
  return lines.map((line) => textOf(messageOf(line)[field])).join("");
}

function joinedParts(parts: readonly Part[], type: Part["type"]): string {
  return parts.map((part) => (part.type === type && "text" in part ? part.text : "")).join("");
}

test("there is something to replay", () => {
  assert.ok(streams.length >= 7 && wholes.length >= 30);
});

describe("the reader of the client codec", () => {
  for (const transcript of complete) {
    test(`reads ${transcript.name} at any split`, () => {
      const lines = linesOf(transcript.body);
      const last = lines.at(-1) ?? {};
      const calls = lines.flatMap((line) => messageOf(line)["tool_calls"] ?? []) as Json[];
      fc.assert(
        fc.property(cuts, (at) => {
          const parts = readAll(readerOf(transcript), splitAt(transcript.body, at));
          assert.equal(joinedParts(parts, "text-delta"), joined(lines, "content"));
          assert.equal(joinedParts(parts, "thinking-delta"), joined(lines, "thinking"));
          assert.equal(parts.filter(({ type }) => type === "tool-delta").length, calls.length);
          assert.equal(parts.filter(({ type }) => type === "end").length, 1);
          const end = parts.at(-1);
          assert.ok(end?.type === "end");
          assert.equal(end.usage?.completionTokens, last["eval_count"]);
          assert.equal(end.usage?.promptTokens, last["prompt_eval_count"]);
          assert.equal(end.timings?.total, last["total_duration"]);
          assert.equal(end.timings?.promptEval, last["prompt_eval_duration"]);
          assert.deepEqual(end.context, last["context"]);
        }),
        { numRuns: 25 },
      );
    });
  }

  test("reads a tool call whole, and its end as tool-calls", () => {
    for (const name of ["301", "302"]) {
      const transcript = loadTranscript("ollama", name);
      const [call, end] = readAll(readerOf(transcript), [transcript.body]);
      assert.ok(call?.type === "tool-delta" && end?.type === "end");
      assert.match(call.id ?? "", /^call_[a-z0-9]{8}$/);
      const { index, name: tool, arguments: values } = call;
      assert.deepEqual([index, tool, values], [0, "get_weather", '{"city":"Paris"}']);
      assert.equal(end.reason, "tool-calls");
    }
  });

  test("calls any reply that is cut short lost", () => {
    for (const transcript of [loadTranscript("ollama", "030"), loadTranscript("ollama", "093")]) {
      const least = transcript.body.length - (streams.some(({ name }) => name === transcript.name) ? 2 : 1);
      fc.assert(
        fc.property(fc.nat({ max: least }), (length) => {
          const cut = [transcript.body.subarray(0, length)];
          assert.throws(() => readAll(readerOf(transcript), cut), { code: "backend_lost" });
        }),
      );
    }
  });

  test("does not look at what follows the end", () => {
    const transcript = loadTranscript("ollama", "092");
    const parts = readAll(readerOf(transcript), [transcript.body, Buffer.from("\n"), transcript.body]);
    assert.equal(parts.filter(({ type }) => type === "end").length, 1);
    assert.equal(parts.at(-1)?.type, "end");
  });

  test("throws the backend's error after the text before it", () => {
    for (const name of ["320", "321"]) {
      const { body } = loadTranscript("ollama", name);
      const reader = readerOf(loadTranscript("ollama", name));
      const parts: Part[] = [];
      const read = (): void => {
        for (const part of reader.push(body)) parts.push(part);
      };
      assert.throws(read, {
        code: "backend_error",
        message: "an error was encountered while running the model: unexpected EOF",
      });
      assert.ok(parts.length > 30);
    }
  });
});

describe("the relay of the client codec", () => {
  for (const transcript of complete) {
    test(`forwards ${transcript.name} unchanged at any split`, () => {
      const last = linesOf(transcript.body).at(-1) ?? {};
      fc.assert(
        fc.property(cuts, (at) => {
          const relay = relayOf(transcript);
          assert.equal(relayAll(relay, splitAt(transcript.body, at)), transcript.body.toString());
          assert.equal(relay.usage?.completionTokens, last["eval_count"]);
          assert.equal(relay.usage?.promptTokens, last["prompt_eval_count"]);
        }),
        { numRuns: 25 },
      );
    });
  }

  test("hands over each recorded chunk of a stream as it came", () => {
    for (const transcript of streams) {
      const relay = relayOf(transcript);
      for (const chunk of transcript.chunks) assert.equal(relay.push(chunk), chunk);
      assert.equal(relay.end().length, 0);
    }
  });

  test("forwards a load, which is one object though a stream was asked for", () => {
    for (const name of ["037", "096"]) {
      const transcript = loadTranscript("ollama", name);
      const sent = relayAll(relayOf(transcript, { stream: true }), transcript.chunks);
      assert.equal(sent, transcript.body.toString());
    }
  });

  test("forwards a rendered prompt as a whole reply", () => {
    for (const name of ["082", "119"]) {
      const transcript = loadTranscript("ollama", name);
      for (const stream of [true, false]) {
        const sent = relayAll(relayOf(transcript, { stream }), transcript.chunks);
        assert.equal(sent, transcript.body.toString());
      }
    }
  });

  test("puts the client's name in place of the backend's, at any split", () => {
    for (const transcript of [...streams, ...wholes.slice(0, 5)]) {
      const [first] = linesOf(transcript.body);
      const asked = 'my "own" näme';
      const names = { asked, model: textOf(first?.["model"]) };
      const start = `{"model":${JSON.stringify(names.model)},`;
      const expected = transcript.body.toString().replaceAll(start, `{"model":${JSON.stringify(asked)},`);
      fc.assert(
        fc.property(cuts, (at) => {
          assert.equal(relayAll(relayOf(transcript, names), splitAt(transcript.body, at)), expected);
        }),
        { numRuns: 10 },
      );
    }
  });

  test("renames wherever the backend puts its model", () => {
    const line = '{"done":true,"model":"backend"}\n';
    const relay = relayOf(loadTranscript("ollama", "030"), { asked: "a", model: "backend" });
    assert.equal(relayAll(relay, [Buffer.from(line)]), '{"done":true,"model":"a"}\n');
  });

  test("calls any reply that is cut short lost", () => {
    for (const transcript of [...streams.slice(0, 3), ...wholes.slice(0, 3)]) {
      const least = transcript.body.length - (streams.includes(transcript) ? 2 : 1);
      fc.assert(
        fc.property(fc.nat({ max: least }), cuts, (length, at) => {
          const chunks = splitAt(transcript.body.subarray(0, length), at);
          assert.throws(() => relayAll(relayOf(transcript), chunks), { code: "backend_lost" });
        }),
      );
    }
  });

  test("forwards what came before an error, then throws it, at any split", () => {
    for (const name of ["320", "321"]) {
      const transcript = loadTranscript("ollama", name);
      const before = transcript.body.subarray(
        0,
        transcript.body.lastIndexOf("\n", transcript.body.length - 2) + 1,
      );
      fc.assert(
        fc.property(cuts, (at) => {
          const relay = relayOf(transcript);
          const sent: Buffer[] = [];
          assert.throws(
            () => {
              for (const chunk of splitAt(transcript.body, at)) sent.push(relay.push(chunk));
              relay.end();
            },
            { code: "backend_error", message: /unexpected EOF$/ },
          );
          assert.equal(Buffer.concat(sent).toString(), before.toString());
        }),
      );
    }
  });

  test("throws an error line at once when nothing comes before it", () => {
    const relay = relayOf(loadTranscript("ollama", "320"));
    assert.throws(() => relay.push(Buffer.from('{"error":"boom"}\n')), {
      code: "backend_error",
      message: "boom",
    });
  });

  test("does not take a tool's argument for an error", () => {
    const line =
      '{"model":"m","message":{"tool_calls":[{"function":{"arguments":{"error":"x"}}}]},"done":true}\n';
    assert.equal(relayAll(relayOf(loadTranscript("ollama", "092")), [Buffer.from(line)]), line);
  });
});

const CLOCK = "2026-11-22T20:00:00.120Z";

/** The recorded objects, with the time that the test's clock shows. */
function atClock(body: Buffer): string[] {
  return linesOf(body).map((line) => JSON.stringify({ ...line, created_at: CLOCK }));
}

describe("the server codec", () => {
  for (const transcript of complete) {
    test(`writes ${transcript.name} as it was recorded`, () => {
      const server = serverOf(transcript);
      const body = requestOf(transcript);
      const opening = server.validate(body);
      const context = { ...opening, id: "r1", now: () => Date.parse(CLOCK), startedAt: 0, body };
      const writer = server.reply(context);
      const parts = readAll(readerOf(transcript), transcript.chunks);
      const written = parts.map((part) => writer.write(part)).join("");
      assert.equal(writer.contentType, transcript.headers.get("content-type"));
      assert.deepEqual(
        linesOf(written).map((line) => JSON.stringify(line)),
        atClock(transcript.body),
      );
      assert.equal(written.endsWith("\n"), streams.includes(transcript));
    });
  }
});
