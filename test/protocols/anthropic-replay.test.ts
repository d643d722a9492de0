import assert from "node:assert/strict";
import test, { describe } from "node:test";
import type { EndReason, Part } from "../../src/core/chat.ts";
import { Fault } from "../../src/core/fault.ts";
import { isObject, type JsonObject } from "../../src/core/json.ts";
import { anthropicServerCodecs } from "../../src/protocols/anthropic/endpoints.ts";
import { anthropicFaults } from "../../src/protocols/anthropic/faults.ts";
import { modelNotFound } from "../../src/protocols/ollama/faults.ts";
import { loadTranscript, type Transcript, transcriptNames } from "../rig/transcript.ts";
import { assertShape, eventsIn } from "./shape.ts";

/** Where this server says more than Ollama: keys that Anthropic's own API has. */
const MORE = [
  "input_tokens",
  "stop_reason",
  "stop_sequence",
  "signature",
  "cache_read_input_tokens",
  "cache_creation_input_tokens",
];

const messages = anthropicServerCodecs.find(({ endpoint }) => endpoint === "anthropic-messages");
assert.ok(messages);
const server = messages;

const recorded = transcriptNames("anthropic").map((name) => loadTranscript("anthropic", name));
const answers = recorded.filter(
  ({ status, path }) => status === 200 && path.replace(/\?.*/, "") === "/v1/messages",
);
const streams = answers.filter(({ request }) => bodyOf(request)["stream"] === true);
const wholes = answers.filter(({ request }) => bodyOf(request)["stream"] !== true);

function bodyOf(text: string): JsonObject {
  const value: unknown = JSON.parse(text);
  assert.ok(isObject(value));
  return value;
}

function asObject(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

const REASONS: Readonly<Record<string, EndReason>> = {
  end_turn: "stop",
  max_tokens: "length",
  tool_use: "tool-calls",
};

function endOf(reason: unknown, usage: JsonObject): Part {
  const cached = usage["cache_read_input_tokens"] as number | undefined;
  return {
    type: "end",
    reason: REASONS[String(reason)] ?? "stop",
    usage: {
      promptTokens: (usage["input_tokens"] as number) + (cached ?? 0),
      completionTokens: usage["output_tokens"] as number,
      ...(cached === undefined ? {} : { cachedTokens: cached }),
    },
  };
}

/** The parts of a backend that lead to the recorded events. */
function partsOf(events: readonly JsonObject[]): Part[] {
  const { usage } = (events[0] as { message: { usage: JsonObject } }).message;
  return events.flatMap((event): Part[] => {
    const block = { ...event, ...asObject(event["content_block"]), ...asObject(event["delta"]) } as Record<
      string,
      string
    >;
    const kind = event["type"] === "message_delta" ? "message_delta" : (block["type"] ?? "");
    switch (kind) {
      case "tool_use":
        return [
          { type: "tool-delta", index: 0, id: block["id"] ?? "", name: block["name"] ?? "", arguments: "" },
        ];
      case "text_delta":
        return [{ type: "text-delta", text: block["text"] ?? "" }];
      case "thinking_delta":
        return [{ type: "thinking-delta", text: block["thinking"] ?? "" }];
      case "input_json_delta":
        return [{ type: "tool-delta", index: 0, arguments: block["partial_json"] ?? "" }];
      case "message_delta":
        return [endOf(block["stop_reason"], { ...usage, ...(event["usage"] as JsonObject) })];
      default:
        return [];
    }
  });
}

/** The parts of a backend that lead to the recorded message. */
function partsOfWhole(message: JsonObject): Part[] {
  const blocks = message["content"] as JsonObject[];
  const parts = blocks.map((block): Part => {
    const { id, name, input, text } = block as Record<string, string>;
    return block["type"] === "tool_use"
      ? { type: "tool-delta", index: 0, id: id ?? "", name: name ?? "", arguments: JSON.stringify(input) }
      : { type: "text-delta", text: text ?? "" };
  });
  return [...parts, endOf(message["stop_reason"], message["usage"] as JsonObject)];
}

function write(transcript: Transcript, parts: readonly Part[]): { contentType: string; text: string } {
  const body = bodyOf(transcript.request);
  const opening = server.validate(body);
  const writer = server.reply({ ...opening, id: "r.1", now: () => 2000, startedAt: 1000, body });
  return { contentType: writer.contentType, text: parts.map((part) => writer.write(part)).join("") };
}

describe("Anthropic messages as recorded", () => {
  for (const transcript of streams) {
    test(`${transcript.name}: the same events with the same keys and texts`, () => {
      const events = eventsIn(transcript.body.toString()).map(({ data }) => data);
      const broken = events.at(-1)?.["type"] !== "message_stop";
      const { contentType, text } = write(transcript, partsOf(events));
      const ours = eventsIn(text);
      assert.equal(transcript.headers.get("content-type"), contentType);
      // Ollama broke this one off in the middle; nothing may have been put in its place.
      assert.equal(broken, transcript.name.startsWith("326"));
      assert.deepEqual(
        ours.map(({ data }) => data["type"]),
        events.map((event) => event["type"]),
      );
      for (const [index, { event, data }] of ours.entries()) {
        assert.equal(event, data["type"]);
        assertShape(data, events[index], MORE);
        assert.deepEqual(data["delta"], withoutUnknown(data["delta"], events[index]?.["delta"]));
      }
    });
  }

  for (const transcript of wholes) {
    test(`${transcript.name}: the same message`, () => {
      const message = bodyOf(transcript.body.toString());
      const { contentType, text } = write(transcript, partsOfWhole(message));
      const ours = bodyOf(text);
      assert.ok(transcript.headers.get("content-type")?.startsWith(contentType));
      assertShape(ours, message, MORE);
      for (const key of ["type", "role", "model", "content", "stop_reason"]) {
        assert.deepEqual(ours[key], message[key], key);
      }
      assert.deepEqual(ours["usage"], {
        ...(ours["usage"] as JsonObject),
        ...(message["usage"] as JsonObject),
      });
    });
  }

  test("nothing was left out", () => {
    assert.deepEqual([streams.length, wholes.length], [6, 5]);
  });
});

/** The recorded values under the keys that only this server has. */
function withoutUnknown(ours: unknown, theirs: unknown): unknown {
  return isObject(ours) && isObject(theirs) ? { ...ours, ...theirs } : theirs;
}

describe("Anthropic refusals as recorded", () => {
  for (const transcript of recorded.filter(
    ({ status, name }) => status === 400 && !name.includes("badjson"),
  )) {
    test(`${transcript.name}: status, keys and text`, () => {
      assert.throws(
        () => server.validate(bodyOf(transcript.request)),
        (thrown) => {
          assert.ok(thrown instanceof Fault);
          assertRefusal(thrown, transcript);
          return true;
        },
      );
    });
  }

  test("233: an unknown model", () => {
    assertRefusal(modelNotFound("nope", "anthropic-messages"), loadTranscript("anthropic", "233"));
  });

  test("234: a body that is no JSON, in the gateway's own words", () => {
    const { status, body } = loadTranscript("anthropic", "234");
    const fault = new Fault("bad_json", "no JSON");
    assert.equal(fault.http, status);
    assertShape(JSON.parse(anthropicFaults.body(fault, "req_1").body), JSON.parse(body.toString()), []);
  });
});

function assertRefusal(fault: Fault, transcript: Transcript): void {
  const ours = anthropicFaults.body(fault, "req_1");
  const told = bodyOf(ours.body);
  const theirs = bodyOf(transcript.body.toString());
  assert.equal(fault.http, transcript.status);
  assert.ok(transcript.headers.get("content-type")?.startsWith(ours.contentType));
  assertShape(told, theirs, []);
  assert.deepEqual(told["error"], theirs["error"]);
}
