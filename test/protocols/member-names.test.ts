import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isObject, type Json, type JsonObject } from "../../src/core/json.ts";
import type { Endpoint } from "../../src/core/task.ts";
import { serverCodec } from "../../src/protocols/dialects.ts";
import { checkMembers, MEMBER_RULES } from "../../src/protocols/member-names.ts";
import { readManagementHead } from "../../src/protocols/ollama/management.ts";

/** The value, where each name that is asked for is noted, but not within the client's own objects. */
function watched(value: Json, asked: Set<string>): Json {
  if (Array.isArray(value)) return value.map((item) => watched(item, asked));
  if (!isObject(value)) return value;
  return new Proxy(value, {
    get(target, name) {
      if (typeof name !== "string") return undefined;
      if (name !== "toJSON" && !(name in Object.prototype)) asked.add(name);
      const inner = target[name];
      if (inner === undefined || (isObject(inner) && MEMBER_RULES.free.has(name))) return inner;
      return watched(inner, asked);
    },
  });
}

const tool = { name: "f", description: "d", parameters: {}, strict: true };
const call = { id: "c", type: "function", function: { name: "f", arguments: "{}" } };
const input = { type: "input_audio", input_audio: { data: "", format: "wav" } };
const url = { type: "image_url", image_url: { url: "data:image/png;base64,AA==" } };
const schema = { type: "json_schema", json_schema: { name: "n", schema: {} } };
const thought = { type: "reasoning", summary: [{ type: "summary_text", text: "t" }] };

const BODIES: readonly (readonly [Endpoint, JsonObject])[] = [
  [
    "ollama-chat",
    {
      model: "m",
      messages: [
        { role: "assistant", tool_calls: [{ id: "c", function: { name: "f", arguments: {} } }] },
        { role: "tool", tool_name: "f", tool_call_id: "c", content: "1", images: [] },
      ],
      tools: [{ type: "function", function: tool }],
      options: { seed: 1 },
    },
  ],
  ["ollama-generate", { model: "m", prompt: "p" }],
  ["ollama-embed", { model: "m", input: ["a"] }],
  ["ollama-embeddings", { model: "m", prompt: "a" }],
  [
    "openai-chat",
    {
      model: "m",
      messages: [
        { role: "user", name: "n", content: [input, url, { type: "refusal", refusal: "r" }] },
        { role: "assistant", tool_calls: [call], function_call: { name: "f", arguments: "{}" } },
        { role: "tool", tool_call_id: "c", content: "1" },
      ],
      tools: [{ type: "function", function: tool }],
      functions: [tool],
      tool_choice: { type: "function", function: { name: "f" } },
      response_format: schema,
      reasoning: { effort: "low" },
      stream_options: { include_usage: true },
    },
  ],
  ["openai-completion", { model: "m", prompt: "p", response_format: schema }],
  ["openai-embeddings", { model: "m", input: "a" }],
  [
    "openai-responses",
    {
      model: "m",
      input: [
        { type: "message", role: "user", content: [{ type: "input_text", text: "a" }] },
        thought,
        { type: "function_call", call_id: "c", name: "f", arguments: "{}" },
        { type: "function_call_output", call_id: "c", output: "1" },
      ],
      tools: [{ type: "function", ...tool }],
      tool_choice: { type: "allowed_tools", mode: "auto", tools: [{ type: "function", name: "f" }] },
      text: { format: { type: "json_schema", schema: {}, name: "n" }, verbosity: "low" },
    },
  ],
  [
    "anthropic-messages",
    {
      model: "m",
      max_tokens: 1,
      system: [{ type: "text", text: "s" }],
      messages: [
        { role: "user", content: [{ type: "image", source: { type: "url", url: "u" } }] },
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "t" },
            { type: "tool_use", id: "c", name: "f", input: {} },
          ],
        },
        { role: "user", content: [{ type: "tool_result", tool_use_id: "c", content: "1" }] },
      ],
      tools: [{ name: "f", input_schema: {} }],
      tool_choice: { type: "tool", name: "f" },
      thinking: { type: "enabled", budget_tokens: 1 },
      output_config: { effort: "low", format: { type: "json_schema", schema: {} } },
    },
  ],
];

describe("the members that are read", () => {
  it("are all known by their one spelling", () => {
    const asked = new Set<string>();
    for (const [name, body] of BODIES) {
      const endpoint = serverCodec(name);
      endpoint.validate(watched(body, asked) as JsonObject);
      endpoint.decode(watched(body, asked) as JsonObject);
    }
    for (const request of ["ollama-show", "ollama-pull"] as const)
      readManagementHead(request, watched({ model: "m", stream: true }, asked) as JsonObject);
    readManagementHead("ollama-copy", watched({ source: "a", destination: "b" }, asked) as JsonObject);
    assert.ok(asked.size > 60, `only ${asked.size} names`);
    const { known } = MEMBER_RULES;
    assert.deepEqual([...asked].filter((one) => !known.has(one)).toSorted(), []);
  });
});

describe("the names in a client's own objects", () => {
  it("may be those of members that are read, in any case", () => {
    const own = { Name: 1, name: 2, Title: 3, From: "x" };
    const bodies: readonly JsonObject[] = [
      { tools: [{ type: "mcp", server_label: "s", headers: own }] },
      { prompt: { id: "p", variables: own } },
      { json_schema: { type: "object", dependentRequired: { Name: ["Id"], name: ["id"] } } },
      { mm_processor_kwargs: own },
      { query: "q", documents: [own, "text", [{ Id: 1, id: 2, messages: own }]] },
      { vllm_xargs: own },
      { input: [{ type: "file_search_call", results: [{ attributes: own }] }] },
      { tools: [{ type: "function", function: { name: "f", parameters: { properties: own, Type: 1 } } }] },
      { messages: [{ role: "assistant", tool_calls: [{ function: { name: "f", arguments: own } }] }] },
    ];
    for (const body of bodies) checkMembers(Buffer.from(JSON.stringify(body)));
  });
});
