import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { Fault } from "../../src/core/fault.ts";
import type { JsonObject } from "../../src/core/json.ts";
import type { Endpoint } from "../../src/core/task.ts";
import { serverCodec } from "../../src/protocols/dialects.ts";
import type { BackendRequest, ClientCodec } from "../../src/protocols/codec.ts";
import { ollamaClientCodec } from "../../src/protocols/ollama/client-codec.ts";
import { openaiClientCodec } from "../../src/protocols/openai/client-codec.ts";
import { OPENAI_PROFILES } from "../../src/protocols/openai/profiles.ts";

/** No conversation ends by something old, or by something that a tool has brought, which a backend cannot be given. */

const LLAMACPP = openaiClientCodec(OPENAI_PROFILES.llamacpp);
const WEBP = "UklGRhIAAABXRUJQ";

function encode(codec: ClientCodec, endpoint: Endpoint, body: JsonObject): BackendRequest {
  const request = serverCodec(endpoint).decode({ model: "m", max_tokens: 9, ...body });
  return codec.encode(request, { model: "m", stream: false });
}

const user = (part: JsonObject): JsonObject => ({
  role: "user",
  content: [{ type: "text", text: "Look:" }, part],
});
const PAST = [
  { role: "assistant", content: "I see." },
  { role: "user", content: "And now?" },
];

const CASES: readonly {
  about: string;
  codec: ClientCodec;
  endpoint: Endpoint;
  part: JsonObject;
  told: string;
}[] = [
  {
    about: "a remote image for Ollama",
    codec: ollamaClientCodec,
    endpoint: "openai-chat",
    part: { type: "image_url", image_url: { url: "https://example.org/a.png" } },
    told: "messages.image_url",
  },
  {
    about: "a remote image of Anthropic's for Ollama",
    codec: ollamaClientCodec,
    endpoint: "anthropic-messages",
    part: { type: "image", source: { type: "url", url: "https://example.org/a.png" } },
    told: "messages.image_url",
  },
  {
    about: "an image of a type that the backend does not read",
    codec: LLAMACPP,
    endpoint: "anthropic-messages",
    part: { type: "image", source: { type: "base64", media_type: "image/webp", data: WEBP } },
    told: "messages.image",
  },
  {
    about: "a file",
    codec: ollamaClientCodec,
    endpoint: "openai-chat",
    part: { type: "file", file: { file_data: "data:application/pdf;base64,AAAA" } },
    told: "messages.file",
  },
];

describe("what a backend cannot be given", () => {
  for (const { about, codec, endpoint, part, told } of CASES) {
    test(`${about}: a sentence in what is past, a refusal in the newest turn`, () => {
      const sent = encode(codec, endpoint, { messages: [user(part), ...PAST] });
      assert.match(sent.body.toString(), /Look:.*was here. It cannot be shown to this model/);
      assert.deepEqual(
        sent.dropped?.filter((name) => name.startsWith("messages.")),
        [told],
      );
      assert.throws(() => encode(codec, endpoint, { messages: [...PAST, PAST[0] ?? {}, user(part)] }), Fault);
    });
  }

  test("an image that a tool has brought is a sentence even when it is new", () => {
    const image = { type: "image", source: { type: "base64", media_type: "image/webp", data: WEBP } };
    const messages = [
      { role: "user", content: "Look" },
      { role: "assistant", content: [{ type: "tool_use", id: "t", name: "Read", input: {} }] },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "t", content: [image] }] },
    ];
    const { body, dropped = [] } = encode(LLAMACPP, "anthropic-messages", { messages });
    assert.match(body.toString(), /Content of type image was here/);
    assert.ok(dropped.includes("messages.image"));
  });

  test("a tool of OpenAI's chat that is no function is left out and named, and its past calls are told", () => {
    const call = { id: "c", type: "custom", custom: { name: "patch", input: "x" } };
    const { body, dropped } = encode(ollamaClientCodec, "openai-chat", {
      tools: [
        { type: "custom", custom: { name: "patch" } },
        { type: "function", function: { name: "f" } },
      ],
      messages: [
        { role: "user", content: "hi" },
        { role: "assistant", content: null, tool_calls: [call] },
        { role: "tool", tool_call_id: "c", content: "done" },
      ],
    });
    const sent = JSON.parse(body.toString()) as { tools: unknown[]; messages: { tool_calls?: unknown }[] };
    assert.equal(sent.tools.length, 1);
    assert.deepEqual(sent.messages[1]?.tool_calls, [
      { id: "c", function: { name: "patch", arguments: { input: "x" } } },
    ]);
    assert.ok(dropped?.includes("tools.custom"));
  });
});
