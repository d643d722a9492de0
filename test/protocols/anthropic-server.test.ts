import assert from "node:assert/strict";
import test, { describe } from "node:test";
import type { ChatRequest, Part } from "../../src/core/chat.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Json, JsonObject } from "../../src/core/json.ts";
import { countPassthrough } from "../../src/protocols/anthropic/count-tokens.ts";
import { anthropicServerCodecs } from "../../src/protocols/anthropic/endpoints.ts";
import { anthropicFaults } from "../../src/protocols/anthropic/faults.ts";
import { estimateTokens } from "../../src/protocols/token-estimate.ts";
import type { ServerCodec } from "../../src/protocols/codec.ts";
import { loadTranscript } from "../rig/transcript.ts";
import { eventsIn } from "./shape.ts";

const PNG = "iVBORw0KGgoAAAANSUhEUg==";

function serverAt(name: string): ServerCodec {
  const found = anthropicServerCodecs.find(({ endpoint }) => endpoint === name);
  assert.ok(found);
  return found;
}

const server = serverAt("anthropic-messages");
const counter = serverAt("anthropic-count-tokens");

function bodyOf(more: JsonObject): JsonObject {
  return { model: "m", max_tokens: 9, messages: [{ role: "user", content: "hi" }], ...more };
}

function read(more: JsonObject): ChatRequest {
  const body = bodyOf(more);
  server.validate(body);
  const request = server.decode(body);
  assert.ok(request.kind === "chat");
  return request;
}

function faultOf(more: JsonObject): Fault {
  try {
    server.validate(bodyOf(more));
  } catch (thrown) {
    assert.ok(thrown instanceof Fault);
    return thrown;
  }
  return assert.fail("the body was accepted");
}

function user(content: Json): JsonObject {
  return { messages: [{ role: "user", content }] };
}

function thinkOf(more: JsonObject): unknown[] {
  return [read(more).think, read(more).thinkIfAble];
}

describe("reading messages", () => {
  test("a whole conversation, without losing calls, results, thoughts or pictures", () => {
    const image = { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } };
    const request = read({
      system: [
        { type: "text", text: "One.", cache_control: { type: "ephemeral" } },
        { type: "text", text: "Two." },
      ],
      messages: [
        { role: "user", content: [{ type: "text", text: "Look:" }, image] },
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "Hm.", signature: "s" },
            { type: "redacted_thinking", data: "x" },
            { type: "text", text: "I ask." },
            { type: "tool_use", id: "a", name: "f", input: { x: 1 } },
            { type: "tool_use", id: "b", name: "g", input: {} },
          ],
        },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "a", content: "one" },
            { type: "text", text: "And now?" },
            {
              type: "tool_result",
              tool_use_id: "b",
              is_error: true,
              content: [{ type: "text", text: "no" }, image],
            },
          ],
        },
      ],
    });
    const picture = { type: "image", mime: "image/png", base64: PNG };
    assert.deepEqual(request.messages, [
      {
        role: "system",
        content: [
          { type: "text", text: "One." },
          { type: "text", text: "Two." },
        ],
      },
      { role: "user", content: [{ type: "text", text: "Look:" }, picture] },
      {
        role: "assistant",
        content: [{ type: "text", text: "I ask." }],
        thinking: "Hm.",
        toolCalls: [
          { id: "a", name: "f", arguments: '{"x":1}' },
          { id: "b", name: "g", arguments: "{}" },
        ],
      },
      { role: "tool", content: [{ type: "text", text: "one" }], toolCallId: "a", toolName: "f" },
      {
        role: "tool",
        content: [{ type: "text", text: "Error: " }, { type: "text", text: "no" }, picture],
        toolCallId: "b",
        toolName: "g",
      },
      { role: "user", content: [{ type: "text", text: "And now?" }] },
    ]);
  });

  test("sampling, under the names of the gateway", () => {
    const { sampling } = read({ temperature: 0.5, top_p: 0.9, top_k: 4, stop_sequences: ["x"] });
    assert.deepEqual(sampling, { maxTokens: 9, temperature: 0.5, topP: 0.9, topK: 4, stop: ["x"] });
  });

  test("tools and how they are chosen", () => {
    const tool = { name: "f", description: "d", input_schema: { type: "object" }, cache_control: {} };
    const choose = (choice: JsonObject): ChatRequest => read({ tools: [tool], tool_choice: choice });
    assert.deepEqual(read({ tools: [tool] }).tools, [
      { name: "f", description: "d", parameters: { type: "object" } },
    ]);
    assert.equal(choose({ type: "auto" }).toolChoice, "auto");
    assert.equal(choose({ type: "none" }).toolChoice, "none");
    assert.equal(choose({ type: "any", disable_parallel_tool_use: true }).toolChoice, "required");
    assert.equal(choose({ type: "any", disable_parallel_tool_use: true }).parallelToolCalls, false);
    assert.deepEqual(choose({ type: "tool", name: "f" }).toolChoice, { name: "f" });
  });

  test("thinking is a wish, its effort says how much", () => {
    assert.deepEqual(thinkOf({}), [undefined, undefined]);
    assert.deepEqual(thinkOf({ thinking: { type: "disabled" }, output_config: { effort: "high" } }), [
      false,
      undefined,
    ]);
    assert.deepEqual(thinkOf({ thinking: { type: "enabled", budget_tokens: 1024 } }), [true, true]);
    assert.deepEqual(thinkOf({ thinking: { type: "adaptive" }, output_config: { effort: "xhigh" } }), [
      "max",
      true,
    ]);
    assert.deepEqual(thinkOf({ output_config: { effort: "low" } }), ["low", true]);
  });

  test("a format, a picture by address, a document of text", () => {
    const schema = { type: "object" };
    assert.deepEqual(read({ output_config: { format: { type: "json_schema", schema } } }).format, {
      type: "schema",
      schema,
    });
    const url = "https://example.org/a.png";
    const source = { type: "text", media_type: "text/plain", data: "body" };
    assert.deepEqual(
      read(
        user([
          { type: "image", source: { type: "url", url } },
          { type: "document", title: "T", source },
        ]),
      ).messages,
      [
        {
          role: "user",
          content: [
            { type: "image-url", url },
            { type: "text", text: "T\n" },
            { type: "text", text: "body" },
          ],
        },
      ],
    );
  });

  test("unknown fields do no harm, not even __proto__", () => {
    const body = JSON.parse(
      '{"__proto__":{"think":true},"metadata":{"user_id":"u"},"service_tier":"auto"}',
    ) as JsonObject;
    // JSON.parse makes an own field of it: its name is told, its value goes nowhere.
    assert.deepEqual(read(body), { ...read({}), unread: ["__proto__"] });
  });
});

describe("what is refused", () => {
  const cases: readonly [string, JsonObject, RegExp][] = [
    ["no model", { model: "" }, /^model is required$/],
    ["a model of another type", { model: 1 }, /unmarshal number into .*MessagesRequest.model/],
    ["no max_tokens", { max_tokens: 0 }, /^max_tokens is required and must be positive$/],
    ["no messages", { messages: [] }, /^messages is required$/],
    ["an unknown role", { messages: [{ role: "tool", content: "x" }] }, /unexpected role "tool"/],
    ["a block without a type", user([{}]), /needs a type/],
    ["a block nobody knows", user([{ type: "hologram" }]), /content of type "hologram" is not supported/],
    [
      "a PDF",
      user([{ type: "document", source: { type: "base64" } }]),
      /document from a source of type "base64"/,
    ],
    ["an image without data", user([{ type: "image", source: { type: "base64" } }]), /needs data/],
    ["an image by file", user([{ type: "image", source: { type: "file" } }]), /source of type "file"/],
    ["a result without its call", user([{ type: "tool_result" }]), /needs a tool_use_id/],
    [
      "a server's tool that must be called",
      {
        tools: [{ type: "web_search_20250305", name: "web_search" }],
        tool_choice: { type: "tool", name: "web_search" },
      },
      /tool of type "web_search_20250305"/,
    ],
    [
      "any tool, when all are a server's",
      { tools: [{ type: "web_fetch_20250910", name: "web_fetch" }], tool_choice: { type: "any" } },
      /tool of type "web_fetch_20250910"/,
    ],
    ["a tool without a name", { tools: [{}] }, /needs a name/],
    ["a choice nobody knows", { tool_choice: { type: "some" } }, /unexpected type "some"/],
    ["a choice without a name", { tool_choice: { type: "tool" } }, /name of a tool/],
    ["an effort nobody knows", { output_config: { effort: "huge" } }, /unexpected effort "huge"/],
    ["thinking nobody knows", { thinking: { type: "loud" } }, /unexpected type "loud"/],
    ["a format nobody knows", { output_config: { format: { type: "xml" } } }, /json_schema/],
  ];
  for (const [about, more, text] of cases) {
    test(about, () => {
      const fault = faultOf(more);
      assert.equal(fault.http, 400);
      assert.match(fault.message, text);
    });
  }

  test("a call without an object as its input", () => {
    const content = [{ type: "tool_use", id: "a", name: "f", input: [] }];
    assert.match(faultOf({ messages: [{ role: "assistant", content }] }).message, /must be an object/);
  });
});

function stopOf(parts: readonly Part[]): unknown[] {
  const body = bodyOf({});
  const writer = server.reply({ model: "m", stream: false, id: "r", now: () => 2, startedAt: 1, body });
  const message = JSON.parse(parts.map((part) => writer.write(part)).join("")) as JsonObject;
  return [message["stop_reason"], message["stop_sequence"]];
}

describe("the end of a message", () => {
  const call: Part = { type: "tool-delta", index: 0, id: "a", name: "f", arguments: "{}" };

  test("has Anthropic's reasons", () => {
    assert.deepEqual(stopOf([{ type: "end", reason: "stop" }]), ["end_turn", null]);
    assert.deepEqual(stopOf([{ type: "end", reason: "stop", stopText: "END" }]), ["stop_sequence", "END"]);
    assert.deepEqual(stopOf([{ type: "end", reason: "length" }]), ["max_tokens", null]);
    assert.deepEqual(stopOf([{ type: "end", reason: "content-filter" }]), ["refusal", null]);
    assert.deepEqual(stopOf([call, { type: "end", reason: "stop" }]), ["tool_use", null]);
  });

  test("is that of a call, whatever its model wrote as arguments", () => {
    const parts: Part[] = [
      { ...call, arguments: "[1]" },
      { type: "end", reason: "stop" },
    ];
    assert.deepEqual(stopOf(parts), ["tool_use", null]);
  });
});

describe("counting tokens", () => {
  test("needs no max_tokens, and is answered with the count of the end", () => {
    const body = { model: "m", messages: [{ role: "user", content: "hi" }] };
    assert.deepEqual(counter.validate(body), { model: "m", stream: false });
    const writer = counter.reply({ model: "m", stream: false, id: "r", now: () => 2, startedAt: 1, body });
    const usage = { promptTokens: 33, completionTokens: 0 };
    assert.equal(writer.write({ type: "end", reason: "stop", usage }), '{"input_tokens":33}');
    assert.throws(() => writer.write({ type: "text-delta", text: "x" }), { code: "backend_lost" });
  });

  test("069: is left to llama.cpp, which is asked for its own model", () => {
    const { request, body, path } = loadTranscript("anthropic", "069");
    const options = { body: Buffer.from(request), stream: false, asked: "smollm2", model: "own" };
    const sent = countPassthrough.request(options);
    assert.equal(sent.path, path);
    assert.deepEqual(JSON.parse(sent.body.toString()), {
      ...(JSON.parse(request) as JsonObject),
      model: "own",
    });
    const relay = countPassthrough.relay(options);
    relay.push(body.subarray(0, 5));
    relay.push(body.subarray(5));
    assert.equal(relay.end().toString(), body.toString().trim());
    assert.throws(() => countPassthrough.relay(options).end(), { code: "not_implemented" });
  });

  test("is estimated by the length of all that a model is shown", () => {
    const content = [{ type: "text", text: "x".repeat(40) }] as const;
    const small = estimateTokens({ kind: "chat", messages: [{ role: "user", content }], sampling: {} });
    const tools = [{ name: "f", description: "y".repeat(400) }];
    const large = estimateTokens({
      kind: "chat",
      messages: [{ role: "user", content }],
      sampling: {},
      tools,
    });
    assert.equal(small, 14);
    assert.ok(large > small + 100);
  });
});

function typeOf(http: number): unknown {
  const { body } = anthropicFaults.body(new Fault("backend_error", "m", { http }), "req_1");
  const told = JSON.parse(body) as { request_id: string; error: { type: string; message: string } };
  assert.deepEqual([told.request_id, told.error.message], ["req_1", "m"]);
  return told.error.type;
}

describe("Anthropic's faults", () => {
  test("have a type by their status and the id of the request", () => {
    assert.deepEqual([400, 401, 403, 404, 413, 429, 500, 502, 503, 529].map(typeOf), [
      "invalid_request_error",
      "authentication_error",
      "permission_error",
      "not_found_error",
      "request_too_large",
      "rate_limit_error",
      "api_error",
      "api_error",
      "overloaded_error",
      "overloaded_error",
    ]);
  });

  test("are an error event in a stream", () => {
    const frame = anthropicFaults.frame(new Fault("worker_lost", "gone"), "anthropic-messages", "");
    const [told] = eventsIn(frame);
    assert.equal(told?.event, "error");
    assert.deepEqual(told?.data, {
      type: "error",
      error: { type: "api_error", message: "gone" },
      request_id: null,
    });
  });
});
