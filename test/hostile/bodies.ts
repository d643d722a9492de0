import type { Json } from "../../src/core/json.ts";

const image =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const tool = {
  type: "function",
  function: {
    name: "f",
    description: "d",
    parameters: { type: "object", properties: { a: { type: "string" } } },
  },
};
const call = { id: "c", type: "function", function: { name: "f", arguments: "{}" } };

/** Sound bodies of every endpoint, with as many fields as clients use. */
export const BODIES: Readonly<Record<string, Json>> = {
  "/api/chat": {
    model: "tiny",
    stream: false,
    messages: [
      { role: "system", content: "be" },
      { role: "user", content: "hello", images: [image] },
      { role: "assistant", content: "", tool_calls: [{ function: { name: "f", arguments: { a: 1 } } }] },
      { role: "tool", content: "1", tool_name: "f" },
    ],
    tools: [tool],
    format: { type: "object", properties: { a: { type: "string" } } },
    options: { temperature: 0.5, num_predict: 3, stop: ["x"], seed: 1 },
    keep_alive: "5m",
    think: false,
  },
  "/api/generate": {
    model: "tiny",
    stream: true,
    prompt: "hello",
    suffix: "x",
    system: "be",
    images: [image],
    format: "json",
    raw: true,
    options: { num_ctx: 1024 },
    keep_alive: 0,
    context: [1, 2, 3],
  },
  "/api/embed": { model: "tiny", input: ["a", "b"], truncate: true, dimensions: 4, options: {} },
  "/api/embeddings": { model: "tiny", prompt: "a" },
  "/v1/chat/completions": {
    model: "tiny",
    stream: true,
    stream_options: { include_usage: true },
    messages: [
      { role: "developer", content: [{ type: "text", text: "be" }] },
      {
        role: "user",
        content: [
          { type: "text", text: "hello" },
          { type: "image_url", image_url: { url: `data:image/png;base64,${image}` } },
        ],
      },
      { role: "assistant", content: null, tool_calls: [call] },
      { role: "tool", tool_call_id: "c", content: "1" },
    ],
    tools: [tool],
    tool_choice: { type: "function", function: { name: "f" } },
    response_format: { type: "json_schema", json_schema: { name: "n", schema: { type: "object" } } },
    temperature: 1,
    top_p: 0.9,
    n: 2,
    max_tokens: 3,
    stop: ["x"],
    logit_bias: { "1": 2 },
    user: "u",
  },
  "/v1/completions": {
    model: "tiny",
    prompt: ["a"],
    max_tokens: 3,
    stream: false,
    echo: false,
    n: 1,
    suffix: "x",
  },
  "/v1/embeddings": { model: "tiny", input: ["a", "b"], encoding_format: "base64", dimensions: 4 },
  "/v1/responses": {
    model: "tiny",
    stream: false,
    instructions: "be",
    input: [
      { type: "message", role: "user", content: [{ type: "input_text", text: "hello" }] },
      { type: "function_call", call_id: "c", name: "f", arguments: "{}" },
      { type: "function_call_output", call_id: "c", output: "1" },
    ],
    tools: [{ type: "function", name: "f", parameters: { type: "object" } }],
    max_output_tokens: 3,
    text: { format: { type: "text" } },
    reasoning: { effort: "low" },
  },
  "/v1/messages": {
    model: "tiny",
    max_tokens: 3,
    stream: false,
    system: [{ type: "text", text: "be" }],
    messages: [
      {
        role: "user",
        content: [
          { type: "text", text: "hello" },
          { type: "image", source: { type: "base64", media_type: "image/png", data: image } },
        ],
      },
      { role: "assistant", content: [{ type: "tool_use", id: "c", name: "f", input: { a: 1 } }] },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "c", content: "1" }] },
    ],
    tools: [{ name: "f", input_schema: { type: "object" } }],
    tool_choice: { type: "auto" },
    stop_sequences: ["x"],
    thinking: { type: "disabled" },
    metadata: { user_id: "u" },
  },
  "/v1/messages/count_tokens": { model: "tiny", messages: [{ role: "user", content: "hello" }] },
  "/api/show": { model: "tiny", verbose: false },
  "/api/pull": { model: "tiny", stream: false, insecure: false },
  "/api/create": { model: "new", from: "tiny", stream: false, files: { a: "sha256:00" } },
  "/api/copy": { source: "tiny", destination: "other" },
};
