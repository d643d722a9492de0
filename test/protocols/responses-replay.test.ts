import assert from "node:assert/strict";
import test, { describe } from "node:test";
import type { Part } from "../../src/core/chat.ts";
import { isObject, type JsonObject } from "../../src/core/json.ts";
import { modelNotFound } from "../../src/protocols/ollama/faults.ts";
import { openaiServerCodecs } from "../../src/protocols/openai/endpoints.ts";
import { openaiFaults } from "../../src/protocols/openai/faults.ts";
import { loadTranscript, type Transcript, transcriptNames } from "../rig/transcript.ts";
import { assertShape, eventsIn } from "./shape.ts";

const found = openaiServerCodecs.find(({ endpoint }) => endpoint === "openai-responses");
assert.ok(found);
const server = found;

const recorded = transcriptNames("responses").map((name) => loadTranscript("responses", name));
const answers = recorded.filter(({ status }) => status === 200);
const streams = answers.filter(({ request }) => bodyOf(request)["stream"] === true);
const wholes = answers.filter(({ request }) => bodyOf(request)["stream"] !== true);

/**
 * Keys of OpenAI's own API that a recording lacks: llama.cpp writes fewer than Ollama, and Ollama names no tool
 * where the arguments are complete. Neither has the count that OpenAI's strict types ask for since 2026.
 */
const MORE: Readonly<Record<string, readonly string[]>> = {
  ollama: ["name", "cache_write_tokens"],
  llamacpp: (
    "background completed_at created_at error frequency_penalty incomplete_details instructions max_output_tokens " +
    "max_tool_calls metadata model output parallel_tool_calls presence_penalty previous_response_id " +
    "prompt_cache_key reasoning safety_identifier service_tier store temperature text tool_choice tools " +
    "top_logprobs top_p truncation usage output_tokens_details sequence_number output_index content_index " +
    "annotations logprobs cache_write_tokens"
  ).split(" "),
};

/** The spec's events around a summary, which Ollama leaves out and openai's own library needs. */
const ADDED = new Set(["response.reasoning_summary_part.added", "response.reasoning_summary_part.done"]);

function bodyOf(text: string): JsonObject {
  const value: unknown = JSON.parse(text);
  assert.ok(isObject(value));
  return value;
}

/** The parts of a backend that lead to the recorded response. */
function endOf(response: JsonObject): Part {
  const usage = response["usage"] as Record<string, number> & {
    input_tokens_details: { cached_tokens: number };
  };
  return {
    type: "end",
    reason: "stop",
    usage: {
      promptTokens: usage["input_tokens"] ?? 0,
      completionTokens: usage["output_tokens"] ?? 0,
      cachedTokens: usage.input_tokens_details.cached_tokens,
    },
  };
}

/** An event's fields, each where its type has it. */
interface RecordedEvent {
  readonly type: string;
  readonly delta: string;
  readonly item: { readonly type: string; readonly call_id: string; readonly name: string };
  readonly response: JsonObject;
}

function partsOf(event: JsonObject): Part[] {
  const { type, delta, item, response } = event as unknown as RecordedEvent;
  switch (type) {
    case "response.output_text.delta":
      return [{ type: "text-delta", text: delta }];
    case "response.reasoning_summary_text.delta":
      return [{ type: "thinking-delta", text: delta }];
    case "response.output_item.added":
      return item.type === "function_call"
        ? [{ type: "tool-delta", index: 0, id: item.call_id, name: item.name, arguments: "" }]
        : [];
    case "response.function_call_arguments.delta":
      return [{ type: "tool-delta", index: 0, arguments: delta }];
    case "response.completed":
      return [endOf(response)];
    default:
      return [];
  }
}

function partsOfWhole(response: JsonObject): Part[] {
  const items = response["output"] as Record<string, string>[];
  const parts = items.map((item): Part => {
    const [content] = item["content"] as unknown as { text: string }[];
    return { type: "text-delta", text: content?.text ?? "" };
  });
  return [...parts, endOf(response)];
}

function write(transcript: Transcript, parts: readonly Part[]): { contentType: string; text: string } {
  const body = bodyOf(transcript.request);
  const opening = server.validate(body);
  const writer = server.reply({ ...opening, id: "r.1", now: () => 2000, startedAt: 1000, body });
  return { contentType: writer.contentType, text: parts.map((part) => writer.write(part)).join("") };
}

function moreOf({ headers }: Transcript): readonly string[] {
  return MORE[headers.get("server") === "llama.cpp" ? "llamacpp" : "ollama"] ?? [];
}

describe("OpenAI responses as recorded", () => {
  for (const transcript of streams) {
    test(`${transcript.name}: the same events with the same keys and texts`, () => {
      const events = eventsIn(transcript.body.toString()).map(({ data }) => data);
      const broken = events.at(-1)?.["type"] !== "response.completed";
      const { contentType, text } = write(transcript, events.flatMap(partsOf));
      const told = eventsIn(text);
      const ours = told.filter(({ event }) => !ADDED.has(event));
      assert.equal(transcript.headers.get("content-type"), contentType);
      assert.equal(broken, transcript.name.startsWith("325"));
      assert.deepEqual(
        told.map(({ data }) => data["sequence_number"]),
        told.map((_, index) => index),
      );
      assert.deepEqual(
        ours.map(({ data }) => data["type"]),
        events.map((event) => event["type"]),
      );
      for (const [index, { event, data }] of ours.entries()) {
        assert.equal(event, data["type"]);
        assertShape(data, timingless(events[index]), moreOf(transcript));
        for (const key of ["delta", "text", "arguments"]) assert.deepEqual(data[key], events[index]?.[key]);
      }
    });
  }

  for (const transcript of wholes.filter(({ name }) => !name.startsWith("306"))) {
    test(`${transcript.name}: the same response`, () => {
      const response = bodyOf(transcript.body.toString());
      const { contentType, text } = write(transcript, partsOfWhole(response));
      const ours = bodyOf(text);
      assert.ok(transcript.headers.get("content-type")?.startsWith(contentType));
      assertShape(ours, response, moreOf(transcript));
      const {
        id: _id,
        created_at: _created,
        completed_at: _completed,
        output: _output,
        usage,
        ...rest
      } = response;
      assert.deepEqual(ours, { ...ours, ...rest });
      const { input_tokens_details: details, ...counts } = usage as JsonObject;
      const told = ours["usage"] as JsonObject;
      const toldDetails = { ...(details as JsonObject), cache_write_tokens: 0 };
      assert.deepEqual(told, { ...told, ...counts, input_tokens_details: toldDetails });
    });
  }

  test("306: a response with a call", () => {
    const transcript = loadTranscript("responses", "306");
    const response = bodyOf(transcript.body.toString());
    const [item] = response["output"] as Record<string, string>[];
    const [id, name, text] = [item?.["call_id"] ?? "", item?.["name"] ?? "", item?.["arguments"] ?? ""];
    const call: Part = { type: "tool-delta", index: 0, id, name, arguments: text };
    const ours = bodyOf(write(transcript, [call, endOf(response)]).text);
    assertShape(ours, response, ["cache_write_tokens"]);
    assert.deepEqual((ours["output"] as JsonObject[])[0], { ...item, id: "fc_r.1_0" });
  });

  test("nothing was left out", () => {
    assert.deepEqual([streams.length, wholes.length], [6, 3]);
  });
});

/** llama.cpp's timings are beside its last event, and no client knows them. */
function timingless(event: JsonObject | undefined): JsonObject {
  const { timings: _timings, ...rest } = event ?? {};
  return rest;
}

describe("OpenAI refusals of responses as recorded", () => {
  for (const name of ["222", "223"]) {
    test(`${name}: an unknown model, told before any event`, () => {
      const { status, body } = loadTranscript("responses", name);
      const fault = modelNotFound("nope", "openai-responses");
      const ours = bodyOf(openaiFaults.body(fault, "").body);
      const theirs = bodyOf(body.toString());
      assert.equal(fault.http, status);
      // The code is OpenAI's; Ollama has none.
      assert.deepEqual(ours["error"], { ...(theirs["error"] as JsonObject), code: "model_not_found" });
    });
  }
});
