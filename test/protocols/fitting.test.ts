import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { Fault } from "../../src/core/fault.ts";
import type { JsonObject } from "../../src/core/json.ts";
import type { Endpoint } from "../../src/core/task.ts";
import { serverEndpoint } from "../../src/protocols/catalogue.ts";
import type { BackendRequest, ClientFace } from "../../src/protocols/protocol.ts";
import { ollamaClient } from "../../src/protocols/ollama/client.ts";
import { openaiClient } from "../../src/protocols/openai/client.ts";
import { OPENAI_PROFILES } from "../../src/protocols/openai/profiles.ts";

/** No conversation ends by something old, or by something that a tool has brought, which a backend cannot be given. */

const LLAMACPP = openaiClient(OPENAI_PROFILES.llamacpp);
const WEBP = "UklGRhIAAABXRUJQ";

function encode(face: ClientFace, endpoint: Endpoint, body: JsonObject): BackendRequest {
  const request = serverEndpoint(endpoint).decode({ model: "m", max_tokens: 9, ...body });
  return face.encode(request, { model: "m", stream: false });
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
  face: ClientFace;
  endpoint: Endpoint;
  part: JsonObject;
  told: string;
}[] = [
  {
    about: "a remote image for Ollama",
    face: ollamaClient,
    endpoint: "openai-chat",
    part: { type: "image_url", image_url: { url: "https://example.org/a.png" } },
    told: "messages.image_url",
  },
  {
    about: "a remote image of Anthropic's for Ollama",
    face: ollamaClient,
    endpoint: "anthropic-messages",
    part: { type: "image", source: { type: "url", url: "https://example.org/a.png" } },
    told: "messages.image_url",
  },
  {
    about: "an image of a type that the backend does not read",
    face: LLAMACPP,
    endpoint: "anthropic-messages",
    part: { type: "image", source: { type: "base64", media_type: "image/webp", data: WEBP } },
    told: "messages.image",
  },
  {
    about: "a file",
    face: ollamaClient,
    endpoint: "openai-chat",
    part: { type: "file", file: { file_data: "data:application/pdf;base64,AAAA" } },
    told: "messages.file",
  },
];

describe("what a backend cannot be given", () => {
  for (const { about, face, endpoint, part, told } of CASES) {
    test(`${about}: a sentence in what is past, a refusal in the newest turn`, () => {
      const sent = encode(face, endpoint, { messages: [user(part), ...PAST] });
      assert.match(sent.body.toString(), /Look:.*was here. It cannot be shown to this model/);
      assert.deepEqual(
        sent.dropped?.filter((name) => name.startsWith("messages.")),
        [told],
      );
      assert.throws(() => encode(face, endpoint, { messages: [...PAST, PAST[0] ?? {}, user(part)] }), Fault);
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
    const { body, dropped } = encode(ollamaClient, "openai-chat", {
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
