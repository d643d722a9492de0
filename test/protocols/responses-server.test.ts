import assert from "node:assert/strict";
import test, { describe } from "node:test";
import type { ChatRequest, Part } from "../../src/core/chat.ts";
import { Fault } from "../../src/core/fault.ts";
import type { JsonObject } from "../../src/core/json.ts";
import { serverCodec } from "../../src/protocols/dialects.ts";
import { ollamaClientCodec } from "../../src/protocols/ollama/client-codec.ts";
import { openaiClientCodec } from "../../src/protocols/openai/client-codec.ts";
import { openaiServerCodecs } from "../../src/protocols/openai/endpoints.ts";
import { openaiFaults } from "../../src/protocols/openai/faults.ts";
import { OPENAI_PROFILES } from "../../src/protocols/openai/profiles.ts";
import { eventsIn } from "./shape.ts";

const found = openaiServerCodecs.find(({ endpoint }) => endpoint === "openai-responses");
assert.ok(found);
const server = found;
const TOOL = { type: "function", name: "f", parameters: { type: "object" }, strict: true };

function read(more: JsonObject): ChatRequest {
  const body = { model: "m", input: "hi", ...more };
  server.validate(body);
  return server.decode(body) as ChatRequest;
}

function faultOf(more: JsonObject): Fault {
  try {
    read(more);
  } catch (thrown) {
    assert.ok(thrown instanceof Fault);
    return thrown;
  }
  return assert.fail("the body was accepted");
}

describe("reading a response's request", () => {
  test("items of one turn of the assistant become one message", () => {
    const { messages } = read({
      instructions: "Be brief.",
      input: [
        { role: "developer", content: "Dev." },
        {
          type: "message",
          role: "user",
          content: [
            { type: "input_text", text: "Look:" },
            { type: "input_image", image_url: "data:image/png;base64,AAAA", detail: "low" },
            { type: "input_image", image_url: "https://example.org/a.png", detail: "low" },
          ],
        },
        {
          type: "reasoning",
          id: "rs",
          summary: [{ type: "summary_text", text: "Hm." }],
          encrypted_content: "x",
        },
        {
          type: "message",
          role: "assistant",
          content: [{ type: "output_text", text: "I ask.", annotations: [] }],
        },
        { type: "function_call", id: "fc", call_id: "a", name: "f", arguments: '{"x":1}' },
        { type: "function_call", call_id: "b", name: "g", arguments: "" },
        { type: "function_call_output", call_id: "a", output: "one" },
        { type: "function_call_output", call_id: "b", output: [{ type: "input_text", text: "two" }] },
        { type: "web_search_call", id: "ws" },
        { role: "user", content: "And now?" },
      ],
    });
    assert.deepEqual(messages, [
      { role: "system", content: [{ type: "text", text: "Be brief." }] },
      { role: "developer", content: [{ type: "text", text: "Dev." }] },
      {
        role: "user",
        content: [
          { type: "text", text: "Look:" },
          { type: "image", mime: "image/png", base64: "AAAA", detail: "low" },
          { type: "image-url", url: "https://example.org/a.png", detail: "low" },
        ],
      },
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
      { role: "tool", content: [{ type: "text", text: "two" }], toolCallId: "b", toolName: "g" },
      { role: "user", content: [{ type: "text", text: "And now?" }] },
    ]);
  });

  test("a thought that only its writer can read is left out", () => {
    const sealed = { type: "reasoning", summary: [], encrypted_content: "x" };
    const { messages } = read({ input: [sealed, { role: "assistant", content: "I ask." }] });
    assert.deepEqual(messages, [{ role: "assistant", content: [{ type: "text", text: "I ask." }] }]);
  });

  test("settings, with OpenAI's defaults", () => {
    const request = read({
      max_output_tokens: 5,
      top_p: 0.5,
      tools: [TOOL, { type: "web_search" }],
      tool_choice: { type: "function", name: "f" },
      parallel_tool_calls: false,
      reasoning: { effort: "low", summary: "auto" },
      text: { format: { type: "json_schema", name: "n", schema: {} }, verbosity: "low" },
      store: true,
      include: ["reasoning.encrypted_content"],
      previous_response_id: null,
    });
    assert.deepEqual(request, {
      kind: "chat",
      messages: [{ role: "user", content: [{ type: "text", text: "hi" }] }],
      sampling: { temperature: 1, topP: 0.5, maxTokens: 5 },
      tools: [{ name: "f", parameters: { type: "object" }, strict: true }],
      toolChoice: { name: "f" },
      parallelToolCalls: false,
      format: { type: "schema", schema: {}, name: "n" },
      think: "low",
      unread: ["tools.web_search", "text.verbosity"],
    });
  });

  test("only the tools that are allowed are shown", () => {
    const tools = [TOOL, { ...TOOL, name: "g" }];
    const choice = { type: "allowed_tools", mode: "required", tools: [{ type: "function", name: "g" }] };
    const request = read({ tools, tool_choice: choice });
    assert.deepEqual(
      request.tools?.map(({ name }) => name),
      ["g"],
    );
    assert.equal(request.toolChoice, "required");
  });
});

const itemBody = (value: JsonObject): JsonObject => ({ input: [value] });

describe("a format of a response (C14)", () => {
  test("keeps its strictness and its description, on the way to every kind of backend", () => {
    const format = {
      type: "json_schema",
      name: "n",
      description: "d",
      strict: true,
      schema: { type: "object" },
    };
    const request = serverCodec("openai-responses").decode({ model: "m", input: "a", text: { format } });
    const body = openaiClientCodec(OPENAI_PROFILES.vllm).encode(request, { model: "m", stream: false }).body;
    const { response_format: sent } = JSON.parse(body.toString()) as JsonObject;
    const { type: _type, ...rest } = format;
    assert.deepEqual(sent, { type: "json_schema", json_schema: rest });
    const { dropped } = ollamaClientCodec.encode(request, { model: "m", stream: false });
    assert.deepEqual(dropped, ["format.description"]);
  });
});

describe("what is refused", () => {
  const content = (value: JsonObject): JsonObject => itemBody({ role: "user", content: [value] });
  const cases: readonly [string, JsonObject, RegExp][] = [
    ["no model", { model: "" }, /^model is required$/],
    ["no input", { input: null }, /^input is required$/],
    ["no items", { input: [] }, /^input is required$/],
    ["an input of another type", { input: 1 }, /string or an array/],
    ["an unknown item", itemBody({ type: "x" }), /^input\[0\]: unknown input item type: "x"$/],
    ["an item that is no object", { input: ["x"] }, /must be an object/],
    ["a file", content({ type: "input_file" }), /^file inputs are not currently supported$/],
    ["an image by id", content({ type: "input_image", file_id: "f" }), /by file id/],
    ["unknown content", content({ type: "x" }), /unknown content type: "x"/],
    ["a call without its id", itemBody({ type: "function_call", name: "f" }), /call_id is required/],
    ["an earlier response", { previous_response_id: "resp_1" }, /keeps no responses/],
    ["a conversation", { conversation: "c" }, /keeps no responses/],
    ["a stored prompt", { prompt: { id: "p" } }, /keeps no responses/],
    ["background", { background: true }, /keeps no responses/],
    [
      "a tool of the server that must be called",
      { tools: [{ type: "code_interpreter" }], tool_choice: "required" },
      /tools.code_interpreter cannot be offered/,
    ],
    ["a choice nobody knows", { tool_choice: { type: "mcp" } }, /tool_choice of type "mcp"/],
    ["a format nobody knows", { text: { format: { type: "xml" } } }, /text.format must be/],
    ["an effort nobody knows", { reasoning: { effort: "huge" } }, /invalid reasoning value: "huge"/],
  ];
  for (const [about, more, text] of cases) {
    test(about, () => {
      const fault = faultOf(more);
      assert.equal(fault.http, 400);
      assert.match(fault.message, text);
    });
  }
});

function eventsFor(parts: readonly Part[]): JsonObject[] {
  const body = { model: "m", input: "hi" };
  const writer = server.reply({
    model: "m",
    stream: true,
    id: "r",
    now: () => 2000,
    startedAt: 1000,
    body,
  });
  return eventsIn(parts.map((part) => writer.write(part)).join("")).map(({ data }) => data);
}

describe("the end of a response", () => {
  test("that ran out of tokens is incomplete, and so is its last item", () => {
    const events = eventsFor([
      { type: "thinking-delta", text: "Hm." },
      { type: "text-delta", text: "I" },
      { type: "end", reason: "length" },
    ]);
    const last = events.at(-1);
    const response = last?.["response"] as Record<string, never>;
    assert.equal(last?.["type"], "response.incomplete");
    assert.equal(response["status"], "incomplete");
    assert.equal(response["completed_at"], null);
    assert.deepEqual(response["incomplete_details"], { reason: "max_output_tokens" });
    const items = events.filter(({ type }) => type === "response.output_item.done").map(({ item }) => item);
    assert.deepEqual(items, response["output"]);
    assert.deepEqual(
      (items as { status?: string }[]).map(({ status }) => status),
      [undefined, "incomplete"],
    );
  });

  test("without anything in it is told in order too", () => {
    const events = eventsFor([{ type: "end", reason: "stop" }]);
    assert.deepEqual(
      events.map(({ type, sequence_number: number }) => [type, number]),
      [
        ["response.created", 0],
        ["response.in_progress", 1],
        ["response.completed", 2],
      ],
    );
  });

  test("with a call without id or arguments has both", () => {
    const events = eventsFor([
      { type: "tool-delta", index: 0, name: "f", arguments: "" },
      { type: "end", reason: "tool-calls" },
    ]);
    const [item] = ((events.at(-1) ?? {})["response"] as { output: JsonObject[] }).output;
    assert.equal(item?.["call_id"], "call_r_0");
    assert.equal(item?.["arguments"], "{}");
  });
});

test("a fault in the stream is an error event, flat and nested", () => {
  const [told] = eventsIn(openaiFaults.frame(new Fault("worker_lost", "gone"), "openai-responses", ""));
  assert.equal(told?.event, "error");
  const error = { message: "gone", type: "api_error", param: null, code: "worker_lost" };
  const { sequence_number: number, ...rest } = told?.data ?? {};
  assert.deepEqual(rest, { type: "error", code: "worker_lost", message: "gone", param: null, error });
  assert.ok(Number.isSafeInteger(number));
});
