import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { ChatRequest, ContentPart, GenerateRequest, Message, Think } from "../../src/core/chat.ts";
import type { Json, JsonObject } from "../../src/core/json.ts";
import { openaiClientCodec } from "../../src/protocols/openai/client-codec.ts";
import { openaiServerCodecs } from "../../src/protocols/openai/endpoints.ts";
import { OPENAI_PROFILES } from "../../src/protocols/openai/profiles.ts";
import type { BackendRequest } from "../../src/protocols/codec.ts";

const codecs = {
  openai: openaiClientCodec(OPENAI_PROFILES.openai),
  vllm: openaiClientCodec(OPENAI_PROFILES.vllm),
  llamacpp: openaiClientCodec(OPENAI_PROFILES.llamacpp),
  lmstudio: openaiClientCodec(OPENAI_PROFILES.lmstudio),
  exo: openaiClientCodec(OPENAI_PROFILES.exo),
};
type Kind = keyof typeof codecs;
const kinds = Object.keys(codecs) as Kind[];

const user: Message = { role: "user", content: [{ type: "text", text: "hi" }] };
const chat: ChatRequest = { kind: "chat", messages: [user], sampling: {} };
const generate: GenerateRequest = { kind: "generate", prompt: "hi", raw: false, images: [], sampling: {} };
const PNG = "iVBORw0KGgoAAAANSUhEUg==";

function bodyOf(request: BackendRequest): JsonObject {
  return JSON.parse(request.body.toString()) as JsonObject;
}

function encode(kind: Kind, request: ChatRequest | GenerateRequest, stream = false): JsonObject {
  return bodyOf(codecs[kind].encode(request, { model: "m", stream }));
}

function withCode(code: string): (thrown: unknown) => boolean {
  return (thrown) => (thrown as { code?: unknown }).code === code;
}

const told = (kind: Kind, think: Think): Json => {
  const { reasoning_effort, chat_template_kwargs, enable_thinking } = encode(kind, { ...chat, think });
  return [reasoning_effort ?? null, chat_template_kwargs ?? null, enable_thinking ?? null];
};

const unnamedCall = (name: string): { id: string; name: string; arguments: string } => ({
  id: "",
  name,
  arguments: "{}",
});

describe("requests for OpenAI-compatible backends", () => {
  it("streams always ask for the token counts", () => {
    for (const kind of kinds) {
      assert.deepEqual(encode(kind, chat, true)["stream_options"], { include_usage: true });
      assert.equal(encode(kind, chat, false)["stream"], false);
    }
  });

  it("a generate call is a chat with system and user", () => {
    const request = codecs.vllm.encode(
      { ...generate, system: "terse", images: [{ type: "image", mime: "", base64: PNG }], context: [1, 2] },
      { model: "m", stream: false },
    );
    assert.equal(request.path, "/v1/chat/completions");
    assert.deepEqual(bodyOf(request)["messages"], [
      { role: "system", content: "terse" },
      {
        role: "user",
        content: [
          { type: "text", text: "hi" },
          { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } },
        ],
      },
    ]);
    assert.equal(bodyOf(request)["context"], undefined);
  });

  it("a raw prompt goes to /v1/completions, where there is one", () => {
    const raw = { ...generate, raw: true };
    const request = codecs.llamacpp.encode(raw, { model: "m", stream: false });
    assert.equal(request.path, "/v1/completions");
    assert.equal(bodyOf(request)["prompt"], "hi");
    assert.throws(() => encode("exo", raw), withCode("not_implemented"));
    assert.throws(
      () => encode("vllm", { ...raw, images: [{ type: "image", mime: "", base64: PNG }] }),
      withCode("unsupported"),
    );
    assert.throws(() => encode("openai", { ...raw, format: { type: "json" } }), withCode("unsupported"));
    assert.throws(() => encode("vllm", { ...generate, template: "{{ .Prompt }}" }), withCode("unsupported"));
  });

  it("a suffix takes the profile's way", () => {
    const insert = { ...generate, prompt: "def f(", suffix: "return" };
    const infill = codecs.llamacpp.encode(insert, { model: "m", stream: true });
    assert.equal(infill.path, "/infill");
    assert.equal(bodyOf(infill)["input_prefix"], "def f(");
    assert.equal(bodyOf(infill)["input_suffix"], "return");
    assert.equal(encode("vllm", insert)["suffix"], "return");
    assert.throws(() => encode("lmstudio", insert), withCode("not_implemented"));
  });

  it("sends only the sampling values the backend knows, under its names", () => {
    const request: ChatRequest = {
      ...chat,
      sampling: {
        maxTokens: -1,
        topK: 3,
        seed: -1,
        repeatPenalty: 1.1,
        typicalP: 0.5,
        repeatLastN: 8,
        stop: [],
      },
      runner: { num_keep: 4, num_ctx: 8192 },
    };
    const sent = (kind: Kind): string[] => Object.keys(encode(kind, request)).toSorted();
    const common = ["messages", "model", "stream"];
    assert.deepEqual(sent("openai"), common);
    assert.deepEqual(sent("vllm"), [...common, "repetition_penalty", "top_k"].toSorted());
    assert.deepEqual(
      sent("exo"),
      [...common, "repetition_context_size", "repetition_penalty", "top_k"].toSorted(),
    );
    assert.deepEqual(
      sent("llamacpp"),
      [...common, "n_keep", "repeat_last_n", "repeat_penalty", "top_k", "typical_p"].toSorted(),
    );
  });

  it("says to think in the backend's way", () => {
    assert.deepEqual(told("openai", true), [null, null, null]);
    assert.deepEqual(told("openai", "max"), ["xhigh", null, null]);
    assert.deepEqual(told("vllm", false), [null, { enable_thinking: false }, null]);
    assert.deepEqual(told("vllm", "max"), ["max", { enable_thinking: true }, null]);
    assert.deepEqual(told("llamacpp", "low"), [
      "low",
      { enable_thinking: true, reasoning_effort: "low" },
      null,
    ]);
    assert.deepEqual(told("exo", false), [null, null, false]);
    assert.deepEqual(told("exo", "low"), ["low", null, true]);
  });

  it("refuses what would be ignored or lost", () => {
    const tools = [{ name: "f" }];
    assert.throws(() => encode("exo", { ...chat, format: { type: "json" } }), withCode("unsupported"));
    assert.throws(() => encode("exo", { ...chat, tools, toolChoice: "required" }), withCode("unsupported"));
    assert.equal(encode("exo", { ...chat, tools, toolChoice: "none" })["tools"], undefined);
    const webp: ContentPart = { type: "image", mime: "image/png", base64: "UklGRgAAAABXRUJQ" };
    assert.throws(
      () => encode("llamacpp", { ...chat, messages: [{ role: "user", content: [webp] }] }),
      withCode("unsupported"),
    );
    assert.throws(
      () => codecs.vllm.encode({ kind: "load", unload: false }, { model: "m", stream: false }),
      withCode("not_implemented"),
    );
  });

  it("asks llama.cpp for one alternative at least, or it sends no log probabilities", () => {
    assert.equal(encode("llamacpp", { ...chat, logprobs: { top: 0 } })["top_logprobs"], 1);
    assert.equal(encode("vllm", { ...chat, logprobs: { top: 0 } })["top_logprobs"], 0);
    assert.equal(encode("llamacpp", { ...generate, raw: true, logprobs: { top: 2 } })["logprobs"], 2);
  });

  it("gives Ollama's tool calls and results the ids OpenAI backends require", () => {
    const messages: Message[] = [
      user,
      { role: "assistant", content: [], toolCalls: [unnamedCall("a"), unnamedCall("b")] },
      { role: "tool", content: [{ type: "text", text: "B" }], toolName: "b" },
      { role: "tool", content: [{ type: "text", text: "A" }], toolName: "a" },
    ];
    const sent = encode("vllm", { ...chat, messages })["messages"] as JsonObject[];
    assert.deepEqual(
      (sent[1]?.["tool_calls"] as JsonObject[] | undefined)?.map((written) => written["id"]),
      ["call_0", "call_1"],
    );
    assert.equal(sent[1]?.["content"], null);
    assert.deepEqual([sent[2]?.["tool_call_id"], sent[3]?.["tool_call_id"]], ["call_1", "call_0"]);
  });
});

const word = fc.string({ minLength: 1, maxLength: 8, unit: "grapheme" });
const object = fc.dictionary(
  fc.constantFrom("a", "b", "__proto__"),
  fc.jsonValue({ maxDepth: 1 }) as fc.Arbitrary<Json>,
);
const textPart = word.map((text): ContentPart => ({ type: "text", text }));
const imagePart = fc.constantFrom<ContentPart>(
  { type: "image", mime: "image/png", base64: PNG },
  { type: "image-url", url: "https://example.org/a.png" },
  { type: "image-url", url: "https://example.org/b.png", detail: "low" },
  { type: "audio", format: "wav", base64: "UklGRg==" },
);
/** Neighbouring texts are one text on the wire. */
const content = fc
  .tuple(fc.option(textPart, { nil: undefined }), fc.option(imagePart, { nil: undefined }))
  .map((parts) => parts.filter((part) => part !== undefined));
const toolCall = fc.record({ id: word, name: word, arguments: object.map((value) => JSON.stringify(value)) });
const message = fc.oneof(
  fc.record(
    { role: fc.constantFrom("user", "system", "developer"), content, name: word },
    { requiredKeys: ["role", "content"] },
  ),
  fc.record(
    {
      role: fc.constant("assistant"),
      content,
      thinking: word,
      toolCalls: fc.array(toolCall, { minLength: 1, maxLength: 2 }),
    },
    { requiredKeys: ["role", "content"] },
  ),
  fc.record({ role: fc.constant("tool"), content, toolCallId: word, toolName: word }),
);
const request: fc.Arbitrary<ChatRequest> = fc.record(
  {
    kind: fc.constant("chat" as const),
    messages: fc.array(message, { minLength: 1, maxLength: 4 }),
    sampling: fc.record(
      {
        temperature: fc.double({ noNaN: true, min: 0, max: 2 }).map(Math.abs),
        topP: fc.constant(0.5),
        topK: fc.nat(),
        minP: fc.constant(0.1),
        maxTokens: fc.integer({ min: 1 }),
        seed: fc.nat(),
        stop: fc.array(word, { minLength: 1 }),
        repeatPenalty: fc.constant(1.5),
        presencePenalty: fc.constant(0.2),
        frequencyPenalty: fc.constant(0.3),
      },
      { requiredKeys: ["temperature", "topP"] },
    ),
    tools: fc.array(
      fc.record(
        { name: word, description: word, parameters: object, strict: fc.boolean() },
        { requiredKeys: ["name"] },
      ),
      { minLength: 1, maxLength: 2 },
    ),
    toolChoice: fc.oneof(
      fc.constantFrom("auto" as const, "none" as const, "required" as const),
      fc.record({ name: word }),
    ),
    parallelToolCalls: fc.boolean(),
    format: fc.oneof(
      fc.constant({ type: "json" as const }),
      fc.record({ type: fc.constant("schema" as const), schema: object, name: word }),
    ),
    think: fc.constantFrom(
      "minimal" as const,
      "low" as const,
      "medium" as const,
      "high" as const,
      "max" as const,
    ),
    logprobs: fc.record({ top: fc.integer({ min: 0, max: 20 }) }),
  },
  { requiredKeys: ["kind", "messages", "sampling"] },
);

/** The fields for vLLM beyond OpenAI's: it comes back as a field this dialect does not know. */
function expected(sent: ChatRequest): object {
  const { tools, toolChoice, parallelToolCalls, ...rest } = sent;
  const called = tools === undefined ? {} : { tools, toolChoice, parallelToolCalls };
  const extra =
    sent.think === undefined ? {} : { extra: { chat_template_kwargs: { enable_thinking: true } } };
  const messages = withSystemFirst(sent.messages);
  return JSON.parse(JSON.stringify({ ...rest, messages, ...called, ...extra })) as object;
}

/** One message of the system, and that first: its texts are joined by a blank line, and only one alone has a name. */
function withSystemFirst(messages: readonly Message[]): readonly Message[] {
  const own = messages.filter(({ role }) => role === "system" || role === "developer");
  const [first] = own;
  if (first === undefined) return messages;
  const parts = own.flatMap((one) => one.content);
  const texts = parts.flatMap((part) => (part.type === "text" ? [part.text] : []));
  const text: ContentPart[] = texts.length === 0 ? [] : [{ type: "text", text: texts.join("\n\n") }];
  const merged = {
    ...(own.length === 1 ? first : {}),
    role: "system",
    content: [...text, ...parts.filter(({ type }) => type !== "text")],
  };
  return [merged, ...messages.filter((one) => !own.includes(one))];
}

describe("a chat request written for a backend and read as a client's", () => {
  it("is the same request", () => {
    const endpoint = openaiServerCodecs[0];
    assert.ok(endpoint !== undefined);
    fc.assert(
      fc.property(request, (sent) => {
        const body = encode("vllm", sent);
        endpoint.validate(body);
        assert.deepEqual(JSON.parse(JSON.stringify(endpoint.decode(body))), expected(sent));
      }),
    );
  });
});

describe("error replies of backends", () => {
  const cases: readonly [number, string, string, string, number][] = [
    [
      400,
      '{"error":{"code":400,"message":"too long","type":"exceed_context_size_error"}}',
      "backend_error",
      "too long",
      400,
    ],
    [
      401,
      '{"error":"Unauthorized"}',
      "backend_error",
      "the backend refused its worker with status 401: Unauthorized",
      502,
    ],
    [
      422,
      '{"detail":[{"loc":["body"],"msg":"field required"},{"msg":"bad"}]}',
      "backend_error",
      "field required; bad",
      422,
    ],
    [
      404,
      '{"error":{"message":"No instance found for model X","type":"Not Found","code":404}}',
      "model_not_found",
      "No instance found for model X",
      404,
    ],
    [
      404,
      '{"object":"error","message":"The model `X` does not exist.","code":404}',
      "model_not_found",
      "The model `X` does not exist.",
      404,
    ],
    [404, '{"detail":"Not Found"}', "not_implemented", "the backend does not offer this: Not Found", 501],
    [
      404,
      '{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}',
      "not_implemented",
      "the backend does not offer this: File Not Found",
      501,
    ],
    [
      404,
      "404 page not found\n",
      "not_implemented",
      "the backend does not offer this: 404 page not found",
      501,
    ],
    [
      404,
      "<html>nginx</html>",
      "not_implemented",
      "the backend does not offer this: <html>nginx</html>",
      501,
    ],
    [
      503,
      '{"error":{"message":"Loading model","type":"unavailable_error","code":503}}',
      "backend_busy",
      "Loading model",
      503,
    ],
    [429, '{"message":"slow down"}', "backend_busy", "slow down", 429],
    [400, '{"error":{"message":"{\\"error\\":{\\"message\\":\\"inner\\"}}"}}', "backend_error", "inner", 400],
    [
      501,
      '{"error":{"message":"Infill is not supported"}}',
      "not_implemented",
      "Infill is not supported",
      501,
    ],
    [500, "Internal Server Error\n", "backend_error", "Internal Server Error", 500],
    [502, "", "backend_error", "the backend answered with status 502", 502],
    [500, '{"error":{}}', "backend_error", '{"error":{}}', 500],
  ];
  for (const [status, body, code, text, http] of cases) {
    it(`${status} ${body}`, () => {
      const fault = codecs.openai.readError(status, Buffer.from(body), 7);
      assert.deepEqual([fault.code, fault.message, fault.http, fault.retryAfter], [code, text, http, 7]);
    });
  }
});

const pass = (
  kind: Kind,
  text: string,
  options: { stream?: boolean; asked?: string; model?: string } = {},
): Buffer | string => {
  const { stream = false, asked = "m", model = "m" } = options;
  const passthrough = codecs[kind].passthrough("openai-chat");
  assert.ok(passthrough !== undefined);
  return passthrough.request({ body: Buffer.from(text), stream, asked, model }).body;
};

const same = (kind: Kind, text: string, stream: boolean): boolean => {
  const body = Buffer.from(text);
  const sent = codecs[kind].passthrough("openai-chat")?.request({ body, stream, asked: "m", model: "m" });
  return sent?.body === body;
};

describe("a client's request passed through", () => {
  it("is the same Buffer when nothing has to change", () => {
    assert.ok(same("vllm", '{"model":"m","n":2}', false));
    assert.ok(same("vllm", '{"model":"m","stream":true,"stream_options":{"include_usage":true}}', true));
    assert.ok(!same("vllm", '{"model":"m","stream":true}', true));
    assert.ok(same("vllm", '{"model":"m","max_completion_tokens":3}', false));
    assert.equal(codecs.vllm.passthrough("ollama-chat"), undefined);
  });

  it("keeps every other byte when the token counts are asked for or the model is renamed", () => {
    assert.equal(
      pass("vllm", ' {"model" : "m", "seed":12345678901234567890,"stream":true}', {
        stream: true,
        model: "org/M",
      }).toString(),
      ' {"stream_options":{"include_usage":true},"model" : "org/M", "seed":12345678901234567890,"stream":true}',
    );
  });

  it("finds the right model among others of its name", () => {
    const sent = JSON.parse(
      pass("vllm", '{"metadata":{"model":"m"},"model":"m","__proto__":{"x":1}}', { model: "M" }).toString(),
    ) as JsonObject;
    assert.deepEqual(sent["metadata"], { model: "m" });
    assert.equal(sent["model"], "M");
    assert.deepEqual(Object.keys(sent).toSorted(), ["__proto__", "metadata", "model"]);
  });

  it("keeps the client's other stream options", () => {
    const sent = JSON.parse(
      pass("vllm", '{"model":"m","stream_options":{"include_usage":false,"x":1}}', {
        stream: true,
      }).toString(),
    ) as JsonObject;
    assert.deepEqual(sent["stream_options"], { include_usage: true, x: 1 });
  });

  it("gives Exo the limit under the only name it knows", () => {
    const sent = JSON.parse(pass("exo", '{"model":"m","max_completion_tokens":3}').toString()) as JsonObject;
    assert.equal(sent["max_tokens"], 3);
  });
});
