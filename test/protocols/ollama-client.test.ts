import assert from "node:assert/strict";
import test, { describe } from "node:test";
import * as fc from "fast-check";
import type { ChatRequest, ContentPart, NeutralRequest } from "../../src/core/chat.ts";
import type { JsonObject } from "../../src/core/json.ts";
import { ollamaClientCodec } from "../../src/protocols/ollama/client-codec.ts";
import { ollamaServerCodecs } from "../../src/protocols/ollama/endpoints.ts";
import type { PassthroughOptions } from "../../src/protocols/codec.ts";
import { loadTranscript } from "../rig/transcript.ts";

const target = { model: "m", stream: true };

function encoded(request: NeutralRequest): { path: string; body: JsonObject } {
  const { path, body } = ollamaClientCodec.encode(request, target);
  return { path, body: JSON.parse(body.toString()) as JsonObject };
}

function chatOf(rest: Partial<ChatRequest>): ChatRequest {
  const messages = [{ role: "user", content: [{ type: "text", text: "hi" } as const] }];
  return { kind: "chat", messages, sampling: {}, ...rest };
}

function textOf(text: string): ContentPart[] {
  return [{ type: "text", text }];
}

const word = fc.string({ minLength: 1 });
const float = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (value === 0 ? 0 : value));
const natural = fc.nat({ max: 1e9 });
const object = fc.dictionary(
  fc.string().map((name) => `x${name}`),
  fc.oneof(word, fc.boolean(), natural, fc.constant([1, "a", { b: null }])),
);
const image = fc.uint8Array({ maxLength: 9 }).map((bytes): ContentPart => {
  const base64 = Buffer.from([0x89, 0x50, 0x4e, 0x47, ...bytes]).toString("base64");
  return { type: "image", mime: "image/png", base64 };
});
const sound = fc.constant<ContentPart>({
  type: "audio",
  format: "wav",
  base64: Buffer.from("RIFF0000WAVE").toString("base64"),
});
const media = fc.array(fc.oneof(image, sound), { maxLength: 2 });
const content = fc
  .tuple(fc.string(), media)
  .map(([text, parts]) => (text === "" ? parts : textOf(text).concat(parts)));
const sampling = fc.record(
  {
    temperature: float,
    topP: float,
    minP: float,
    typicalP: float,
    repeatPenalty: float,
    presencePenalty: float,
    frequencyPenalty: float,
    topK: natural,
    seed: natural,
    repeatLastN: natural,
    maxTokens: fc.integer({ min: 1 }),
    stop: fc.array(word),
  },
  { requiredKeys: [] },
);
const shared = {
  format: fc.oneof(
    fc.constant({ type: "json" } as const),
    object.map((schema) => ({ type: "schema", schema }) as const),
  ),
  think: fc.constantFrom(true, false, "low", "medium", "high", "max"),
  logprobs: fc.nat({ max: 20 }).map((top) => ({ top })),
  keepAlive: fc.oneof(fc.integer(), fc.constantFrom("10m", "1h30m", "0s", "-1s")),
  runner: fc.record({ num_ctx: natural, mirostat: fc.integer(), use_mmap: fc.boolean() }),
  extra: object.filter((value) => Object.keys(value).length > 0),
} as const;
const call = fc.record({ id: word, name: word, arguments: object.map((values) => JSON.stringify(values)) });
const message = fc.oneof(
  fc.record(
    {
      role: fc.constantFrom("system", "user", "assistant", "wizard"),
      content,
      thinking: word,
      toolCalls: fc.array(call, { minLength: 1, maxLength: 3 }),
    },
    { requiredKeys: ["role", "content"] },
  ),
  fc.record({ role: fc.constant("tool"), content, toolCallId: word, toolName: word }),
);
const tool = fc.record(
  { name: word, description: word, parameters: object, strict: fc.boolean() },
  { requiredKeys: ["name"] },
);
const chatRequest = fc.record(
  {
    kind: fc.constant("chat" as const),
    sampling,
    ...shared,
    messages: fc.array(message, { minLength: 1, maxLength: 5 }),
    tools: fc.array(tool, { minLength: 1, maxLength: 3 }),
  },
  { requiredKeys: ["kind", "sampling", "messages"] },
);
const prompted = { kind: fc.constant("generate" as const), sampling, ...shared, prompt: word, images: media };
const generateRequest = fc.oneof(
  fc.record(
    {
      ...prompted,
      raw: fc.constant(false),
      suffix: word,
      system: word,
      template: word,
      context: fc.array(fc.nat(), { minLength: 1 }),
    },
    { requiredKeys: ["kind", "sampling", "prompt", "images", "raw"] },
  ),
  fc.record(
    { ...prompted, raw: fc.constant(true), suffix: word },
    { requiredKeys: ["kind", "sampling", "prompt", "images", "raw"] },
  ),
);
const loadRequest = fc.oneof(
  fc.constant({ kind: "load", unload: false } as const),
  fc.constantFrom(0, "0s").map((keepAlive) => ({ kind: "load", unload: true, keepAlive }) as const),
  fc.constantFrom(-1, 5, "5m").map((keepAlive) => ({ kind: "load", unload: false, keepAlive }) as const),
);

describe("a request encoded for a backend", () => {
  test("is the same request when a server reads it", () => {
    fc.assert(
      fc.property(fc.oneof(chatRequest, generateRequest, loadRequest), (generated) => {
        // Plain objects, as decoding gives them; the generators make some without a prototype.
        const request = JSON.parse(JSON.stringify(generated)) as NeutralRequest;
        const { path, body } = encoded(request);
        const endpoint = path === "/api/chat" ? "ollama-chat" : "ollama-generate";
        const server = ollamaServerCodecs.find((candidate) => candidate.endpoint === endpoint);
        assert.deepEqual(server?.validate(body), { model: "m", stream: request.kind !== "load" });
        assert.deepEqual(server?.decode(body), request);
      }),
      { numRuns: 400 },
    );
  });

  test("says only what is set", () => {
    assert.deepEqual(encoded(chatOf({})), {
      path: "/api/chat",
      body: { ...target, messages: [{ role: "user", content: "hi" }] },
    });
  });

  test("carries what other dialects say in Ollama's words", () => {
    const { body } = encoded({
      kind: "chat",
      sampling: { maxTokens: 5, temperature: 1, topP: 1 },
      think: "minimal",
      messages: [
        {
          role: "developer",
          content: [
            { type: "text", text: "be kind" },
            { type: "text", text: "brief" },
          ],
        },
        { role: "assistant", content: [], toolCalls: [{ id: "c1", name: "look", arguments: "" }] },
        { role: "tool", content: [{ type: "text", text: "42" }], toolCallId: "c1" },
      ],
    });
    assert.deepEqual(body["options"], { num_predict: 5, temperature: 1, top_p: 1 });
    assert.equal(body["think"], "low");
    assert.deepEqual(body["messages"], [
      { role: "system", content: "be kind\n\nbrief" },
      {
        role: "assistant",
        content: "",
        tool_calls: [{ id: "c1", function: { name: "look", arguments: {} } }],
      },
      { role: "tool", content: "42", tool_name: "look", tool_call_id: "c1" },
    ]);
  });

  test("shows the tools that may be chosen", () => {
    const tools = [{ name: "a" }, { name: "b" }];
    const namesFor = (toolChoice: ChatRequest["toolChoice"] & {}): unknown =>
      JSON.stringify(encoded(chatOf({ tools, toolChoice })).body["tools"])?.match(/"[ab]"/g);
    assert.equal(namesFor("none"), undefined);
    assert.deepEqual(namesFor("required"), ['"a"', '"b"']);
    assert.deepEqual(namesFor({ name: "b" }), ['"b"']);
  });

  test("does not let a foreign field stand for one of Ollama's", () => {
    const { body } = encoded(
      chatOf({
        extra: { model: "evil", messages: [], options: { num_ctx: 1 }, think: true, tools: [1], user: "u" },
      }),
    );
    assert.deepEqual(body, { ...target, user: "u", messages: [{ role: "user", content: "hi" }] });
  });

  test("fails where something would be lost", () => {
    const remote: ContentPart = { type: "image-url", url: "http://h/x.png" };
    const image404 = chatOf({ messages: [{ role: "user", content: [remote] }] });
    assert.throws(() => encoded(image404), { code: "unsupported" });
  });

  test("tells what a model wrote as arguments that are no object", () => {
    for (const values of ["{", "[]"]) {
      const toolCalls = [{ id: "c", name: "x", arguments: values }];
      const told = encoded(chatOf({ messages: [{ role: "assistant", content: [], toolCalls }] }));
      const wrapped = { name: "x", arguments: { INVALID_JSON: values } };
      assert.ok(JSON.stringify(told).includes(JSON.stringify(wrapped)), values);
    }
  });

  test("unloads without being told how long to keep", () => {
    const { path, body } = encoded({ kind: "load", unload: true });
    assert.deepEqual(
      { path, body },
      { path: "/api/generate", body: { model: "m", stream: false, keep_alive: 0 } },
    );
  });
});

function messageOf(status: number, body: string): string {
  return ollamaClientCodec.readError(status, Buffer.from(body), undefined).message;
}

function readLine(line: string): unknown {
  return [...ollamaClientCodec.reader({ request: chatOf({}), stream: true }).push(Buffer.from(`${line}\n`))];
}

describe("an error of a backend", () => {
  const cases: [string, string, RegExp][] = [
    ["079", "backend_error", /^Multimodal data provided, but model does not support multimodal requests\.$/],
    ["090", "backend_error", /^request \(4010 tokens\) exceeds the available context size/],
    ["091", "backend_error", /^request \(4010 tokens\) exceeds the available context size/],
    ["098", "model_not_found", /^model 'nope' not found$/],
    ["105", "backend_error", /does not support tools$/],
    ["110", "backend_error", /^"smollm2" does not support thinking$/],
    ["322", "backend_error", /unexpected EOF$/],
    ["401", "backend_busy", /^server busy/],
    ["402", "backend_busy", /^server busy/],
    ["011", "not_implemented", /404 page not found$/],
  ];
  for (const [name, code, text] of cases) {
    test(`${name} keeps its message and status`, () => {
      const transcript = loadTranscript("ollama", name);
      const fault = ollamaClientCodec.readError(transcript.status, transcript.body, undefined);
      assert.equal(fault.code, code);
      assert.match(fault.message, text);
      assert.equal(fault.http, code === "not_implemented" ? 501 : transcript.status);
    });
  }

  test("is told as far as it is known", () => {
    assert.equal(messageOf(500, "{oops"), "{oops");
    assert.equal(messageOf(500, ""), "the backend answered with status 500");
    assert.equal(messageOf(500, '{"error":{"message":"deep"}}'), "deep");
    assert.equal(messageOf(500, '{"error":"{broken"}'), "{broken");
    assert.match(messageOf(500, '{"error":null}'), /without saying which/);
    assert.equal(messageOf(502, "x".repeat(5000)).length, 500);
    assert.equal(ollamaClientCodec.readError(503, Buffer.from('{"error":"busy"}'), 7).retryAfter, 7);
  });

  test("within a stream may carry a status", () => {
    assert.throws(() => readLine('{"error":"busy","status":503}'), { code: "backend_busy", http: 503 });
    assert.throws(() => readLine('{"error":"broken","status":200}'), { code: "backend_error", http: 502 });
    assert.throws(() => readLine("not json"), { code: "backend_lost" });
    assert.throws(() => readLine("[]"), { code: "backend_lost" });
  });
});

function forwarded(
  body: string,
  options: Partial<PassthroughOptions>,
): { path: string; body: Buffer | string } {
  const passthrough = ollamaClientCodec.passthrough("ollama-chat");
  assert.ok(passthrough);
  return passthrough.request({ body: Buffer.from(body), stream: true, asked: "m", model: "m", ...options });
}

describe("a request passed through", () => {
  test("is the same Buffer for every spelling of the model that Ollama knows", () => {
    const passthrough = ollamaClientCodec.passthrough("ollama-generate");
    const body = Buffer.from('{"model":"library/SmolLM2"} trailing');
    const options = { body, stream: true, asked: "library/SmolLM2", model: "smollm2:latest" };
    assert.equal(passthrough?.request(options).body, body);
    assert.equal(passthrough?.request(options).path, "/api/generate");
  });

  test("says the backend's model and nothing else anew", () => {
    const body = '{"stream":true,"model":"alias","x":[1,null]}';
    const options = { asked: "alias", model: "real:1b" };
    assert.equal(forwarded(body, options).body, '{"stream":true,"model":"real:1b","x":[1,null]}');
    assert.throws(() => forwarded("{} trailing", options), { code: "bad_json" });
  });

  test("loses the data URLs that Ollama does not take", () => {
    const body =
      '{"model":"m","messages":[{"content":"data:image/png;base64,no","images":["data:image/png;base64,AAAA"]}]}';
    assert.equal(
      forwarded(body, {}).body,
      '{"model":"m","messages":[{"content":"data:image/png;base64,no","images":["AAAA"]}]}',
    );
  });

  test("is not offered for another dialect", () => {
    assert.equal(ollamaClientCodec.passthrough("openai-chat"), undefined);
  });
});
