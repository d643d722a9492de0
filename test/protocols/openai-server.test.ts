import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { ChatRequest, Part } from "../../src/core/chat.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Json, JsonObject } from "../../src/core/json.ts";
import { openaiServerCodecs } from "../../src/protocols/openai/endpoints.ts";
import { openaiFaults } from "../../src/protocols/openai/faults.ts";
import type { ServerCodec } from "../../src/protocols/codec.ts";
import { parseEvents } from "../../src/wire/sse.ts";
import { loadTranscript, transcriptNames } from "../rig/transcript.ts";
import type { Transcript } from "../rig/transcript.ts";

function endpointOf(): ServerCodec {
  const [endpoint] = openaiServerCodecs;
  assert.ok(endpoint !== undefined);
  return endpoint;
}
const endpoint = endpointOf();

const messages = [{ role: "user", content: "hi" }];

function decode(body: JsonObject): ChatRequest {
  endpoint.validate(body);
  const request = endpoint.decode(body);
  assert.ok(request.kind === "chat");
  return request;
}

function faultOf(run: () => unknown): Fault {
  try {
    run();
  } catch (thrown) {
    assert.ok(thrown instanceof Fault);
    return thrown;
  }
  throw new Error("no fault was thrown");
}

function write(parts: readonly Part[], body: JsonObject = {}, model = "smollm2"): string {
  const stream = body["stream"] === true;
  let clock = 1_795_377_822_900;
  const now = (): number => (clock += 1000);
  const writer = endpoint.reply({ model, stream, id: "t.1", now, startedAt: clock, body });
  assert.equal(writer.contentType, stream ? "text/event-stream" : "application/json");
  return parts.map((part) => writer.write(part)).join("");
}

function chunksOf(parts: readonly Part[], body: JsonObject = {}): JsonObject[] {
  const events = parseEvents(write(parts, { ...body, stream: true }));
  assert.equal(events.at(-1)?.data, "[DONE]");
  return events.slice(0, -1).map(({ data }) => JSON.parse(data) as JsonObject);
}

/** Every path to a key with the JSON type of its value; lists count as their first element. */
function shapeOf(value: unknown, path = ""): string[] {
  if (Array.isArray(value))
    return [`${path}[]`, ...(value.length === 0 ? [] : shapeOf(value[0], `${path}[]`))];
  if (typeof value !== "object" || value === null)
    return [`${path}:${value === null ? "null" : typeof value}`];
  return Object.entries(value).flatMap(([name, inner]) => shapeOf(inner, `${path}.${name}`));
}

const end: Part = { type: "end", reason: "length", usage: { promptTokens: 12, completionTokens: 8 } };
const text = (said: string): Part => ({ type: "text-delta", text: said });
const call: Part = {
  type: "tool-delta",
  index: 0,
  id: "call_1",
  name: "get_weather",
  arguments: '{"city":"Paris"}',
};
const logprobs: Part = {
  type: "text-delta",
  text: "Hello",
  logprobs: [{ token: "Hello", logprob: -1, bytes: [72], top: [{ token: "I", logprob: -2, bytes: [73] }] }],
};

describe("requests a client sends", () => {
  const recorded = transcriptNames("openai").map((name) => loadTranscript("openai", name));
  /**
   * Refused by a model or an adapter here, not by the endpoint. 178: arguments of an earlier call that are no JSON are
   * what the model wrote: to refuse them would end the conversation for good.
   */
  const elsewhere = new Set(["176", "178", "181", "188", "189", "193", "194", "404"]);
  const refused = recorded.filter(
    ({ status, request, name }) =>
      status === 400 && request.startsWith('{"') && !elsewhere.has(name.slice(0, 3)),
  );

  for (const { name, status, request, body } of refused) {
    it(`${name} is refused as recorded`, () => {
      const fault = faultOf(() => endpoint.validate(JSON.parse(request) as JsonObject));
      const reply = openaiFaults.body(fault, "r");
      assert.equal(fault.http, status);
      assert.equal(reply.contentType, "application/json");
      assert.deepEqual(JSON.parse(reply.body), JSON.parse(body.toString()));
    });
  }

  it("recorded answers were accepted here too", () => {
    for (const { name, status, request } of recorded) {
      if (status !== 200) continue;
      const body = JSON.parse(request) as JsonObject;
      const opening = endpoint.validate(body);
      assert.deepEqual(opening, { model: body["model"], stream: body["stream"] ?? false }, name);
      if (body["n"] === undefined) endpoint.decode(body);
    }
  });

  const bad: readonly [string, JsonObject][] = [
    ["[] is too short - 'messages'", { model: "m", messages: [] }],
    ["model is required", { model: null, messages }],
    ["invalid message format", { model: "m", messages: [{ content: "x" }] }],
    ["invalid message content type: float64", { model: "m", messages: [{ role: "user", content: 7 }] }],
    ["Invalid tool_choice: bogus", { model: "m", messages, tool_choice: "bogus" }],
    ["top_logprobs must be between 0 and 20", { model: "m", messages, logprobs: true, top_logprobs: 21 }],
    [
      "json: cannot unmarshal number into Go struct field ChatCompletionRequest.stop of type string or []string",
      { model: "m", messages, stop: 3 },
    ],
    [
      "invalid image input",
      {
        model: "m",
        messages: [
          { role: "user", content: [{ type: "image_url", image_url: { url: "data:image/png,x" } }] },
        ],
      },
    ],
  ];
  for (const [message, body] of bad) {
    it(message, () => {
      const fault = faultOf(() => endpoint.validate(body));
      assert.deepEqual([fault.message, fault.http], [message, 400]);
    });
  }

  it("what has no neutral form passes the edge and is refused only when it must be translated", () => {
    const foreign: JsonObject[] = [
      { n: 17 },
      { modalities: ["text", "audio"] },
      { tools: [{ type: "custom", custom: {} }], tool_choice: "required" },
      { tool_choice: { type: "custom", custom: { name: "f" } } },
      { response_format: { type: "structural_tag" } },
      { messages: [{ role: "user", content: [{ type: "video_url", video_url: {} }] }] },
    ];
    for (const fields of foreign) {
      const body = { model: "m", messages, ...fields } as JsonObject;
      endpoint.validate(body);
      assert.equal(faultOf(() => endpoint.decode(body)).code, "unsupported");
    }
  });

  it("any JSON object is opened or refused with a 400, never worse", () => {
    const value = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>;
    const names = [
      "model",
      "messages",
      "stop",
      "tools",
      "tool_choice",
      "options",
      "response_format",
      "reasoning",
      "functions",
      "stream",
      "keep_alive",
      "__proto__",
    ];
    const wild = fc.oneof(
      value,
      fc.array(
        fc.dictionary(
          fc.constantFrom("role", "content", "tool_calls", "function_call", "type", "function", "name"),
          value,
        ),
      ),
    );
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), wild), (body) => {
        try {
          endpoint.validate({ model: "m", messages, ...body });
        } catch (thrown) {
          assert.ok(thrown instanceof Fault && thrown.http === 400);
        }
      }),
    );
  });
});

describe("requests in neutral form", () => {
  it("sampling has OpenAI's defaults, Ollama's options as an extension, and its own names win", () => {
    assert.deepEqual(decode({ model: "m", messages }).sampling, { temperature: 1, topP: 1 });
    const request = decode({
      model: "m",
      messages,
      options: { temperature: 0.1, num_predict: 9, num_ctx: 4096, top_k: null },
      max_tokens: 5,
      max_completion_tokens: 3,
      repetition_penalty: 1.2,
      min_p: 0.05,
      stop: "a",
      keep_alive: "5m",
      user: "u",
      __proto__: null,
    });
    assert.deepEqual(request.sampling, {
      temperature: 0.1,
      topP: 1,
      maxTokens: 3,
      repeatPenalty: 1.2,
      minP: 0.05,
      stop: ["a"],
    });
    assert.deepEqual(request.runner, { num_ctx: 4096 });
    assert.equal(request.keepAlive, "5m");
    assert.deepEqual(request.extra, { user: "u" });
  });

  it("__proto__ is a field like any other", () => {
    const body = JSON.parse(
      '{"model":"m","messages":[{"role":"user","content":"hi","__proto__":{"name":"x"}}],"__proto__":{"n":2},"options":{"__proto__":{"seed":1}}}',
    ) as JsonObject;
    const request = decode(body);
    assert.equal(request.messages[0]?.name, undefined);
    assert.equal(request.sampling.seed, undefined);
    assert.deepEqual(Object.keys(request.extra ?? {}), ["__proto__"]);
  });

  it("content parts stay in order, texts beside each other become one", () => {
    const url = "https://example.org/a.png";
    const request = decode({
      model: "m",
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "a" },
            { type: "text", text: "b" },
            { type: "image_url", image_url: { url: "data:image/png;base64,iVBO" } },
            { type: "image_url", image_url: { url, detail: "low" } },
            { type: "text", text: "c" },
            { type: "input_audio", input_audio: { data: "UklG", format: "mp3" } },
          ],
        },
      ],
    });
    assert.deepEqual(request.messages[0]?.content, [
      { type: "text", text: "ab" },
      { type: "image", mime: "image/png", base64: "iVBO" },
      { type: "image-url", url, detail: "low" },
      { type: "text", text: "c" },
      { type: "audio", format: "mp3", base64: "UklG" },
    ]);
  });

  it("a tool result learns the name of its call; thinking is read under both names", () => {
    const tool_calls = [{ id: "c1", type: "function", function: { name: "f", arguments: "" } }];
    const request = decode({
      model: "m",
      messages: [
        { role: "developer", content: "d" },
        { role: "assistant", content: null, reasoning_content: "hm", tool_calls },
        { role: "tool", tool_call_id: "c1", content: "18C" },
        { role: "assistant", content: null, function_call: { name: "g", arguments: "{}" } },
        { role: "function", name: "g", content: "ok" },
      ],
    });
    assert.deepEqual(request.messages, [
      { role: "developer", content: [{ type: "text", text: "d" }] },
      {
        role: "assistant",
        content: [],
        thinking: "hm",
        toolCalls: [{ id: "c1", name: "f", arguments: "{}" }],
      },
      { role: "tool", content: [{ type: "text", text: "18C" }], toolCallId: "c1", toolName: "f" },
      { role: "assistant", content: [], toolCalls: [{ id: "call_1", name: "g", arguments: "{}" }] },
      { role: "tool", content: [{ type: "text", text: "ok" }], toolCallId: "call_1", toolName: "g" },
    ]);
  });

  it("tools, choices, formats, efforts and log probabilities", () => {
    const parameters = { type: "object" };
    const request = decode({
      model: "m",
      messages,
      tools: [{ type: "function", function: { name: "f", description: "d", parameters } }],
      functions: [{ name: "g" }],
      tool_choice: { type: "function", function: { name: "f" } },
      parallel_tool_calls: false,
      response_format: { type: "json_schema", json_schema: { name: "p", schema: parameters } },
      logprobs: true,
      top_logprobs: 2,
    });
    assert.deepEqual(request.tools, [{ name: "f", description: "d", parameters }, { name: "g" }]);
    assert.deepEqual(request.toolChoice, { name: "f" });
    assert.equal(request.parallelToolCalls, false);
    assert.deepEqual(request.format, { type: "schema", schema: parameters, name: "p" });
    assert.deepEqual(request.logprobs, { top: 2 });
    assert.deepEqual(decode({ model: "m", messages, function_call: { name: "g" } }).toolChoice, {
      name: "g",
    });
    assert.deepEqual(decode({ model: "m", messages, response_format: { type: "json_object" } }).format, {
      type: "json",
    });
    assert.equal(decode({ model: "m", messages, response_format: { type: "text" } }).format, undefined);
    const efforts = ["none", "minimal", "high", "xhigh", "ultra"].map(
      (effort) => decode({ model: "m", messages, reasoning: { effort } }).think,
    );
    assert.deepEqual(efforts, [false, "minimal", "high", "max", "max"]);
  });
});

/** A recorded reply's shape without what sgnet adds or names otherwise. */
function recordedShape(
  transcript: Transcript,
  pick: (objects: JsonObject[]) => JsonObject | undefined,
): string[] {
  const events = parseEvents(transcript.body.toString()).filter(({ data }) => data !== "[DONE]");
  const objects = events.length === 0 ? [transcript.body.toString()] : events.map(({ data }) => data);
  return shapeOf(pick(objects.map((object) => JSON.parse(object) as JsonObject)));
}

describe("replies a client sees", () => {
  it("an object has every recorded key, and those the OpenAI specification requires", () => {
    const cases: readonly [string, Part[]][] = [
      ["171", [text("Hello"), text(" there"), end]],
      ["180", [{ type: "thinking-delta", text: "hm" }, end]],
      ["198", [logprobs, end]],
      ["304", [call, { ...end, reason: "stop" }]],
    ];
    for (const [name, parts] of cases) {
      const shape = shapeOf(JSON.parse(write(parts)));
      const missing = recordedShape(loadTranscript("openai", name), ([object]) => object).filter(
        (key) => !shape.includes(key),
      );
      assert.deepEqual(missing, [], name);
      assert.ok(shape.includes(".choices[].message.refusal:null"));
    }
  });

  it("an object is exactly this", () => {
    assert.equal(
      write([{ type: "thinking-delta", text: "hm" }, text('"a"'), text("b\n"), end]),
      '{"id":"chatcmpl-t.1","object":"chat.completion","created":1795377823,"model":"smollm2","system_fingerprint":"fp_sgnet",' +
        '"choices":[{"index":0,"message":{"role":"assistant","content":"\\"a\\"b\\n","refusal":null,"reasoning":"hm","reasoning_content":"hm"},' +
        '"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":12,"completion_tokens":8,"total_tokens":20}}',
    );
  });

  it("chunks have the recorded keys", () => {
    const cases: readonly [string, number, Part[], number][] = [
      ["172", 0, [text("Hello"), text(" there"), end], 0],
      ["172", 1, [text("Hello"), text(" there"), end], 1],
      ["172", -1, [text("Hello"), end], -1],
      ["179", 0, [{ type: "thinking-delta", text: "I" }, end], 0],
      ["199", 0, [logprobs, end], 0],
      ["303", 0, [call, end], 0],
      ["303", 1, [call, { ...end, reason: "stop" }], 1],
    ];
    for (const [name, recordedAt, parts, at] of cases) {
      const shape = shapeOf(chunksOf(parts).at(at));
      const recorded = recordedShape(loadTranscript("openai", name), (objects) => objects.at(recordedAt));
      const added = new Set([
        ".choices[].delta.reasoning_content:string",
        ".choices[].logprobs.refusal:null",
      ]);
      assert.deepEqual(shape.filter((key) => !added.has(key)).toSorted(), recorded.toSorted(), name);
    }
  });

  it("a stream is exactly this", () => {
    const open =
      'data: {"id":"chatcmpl-t.1","object":"chat.completion.chunk","created":1795377823,"model":"smollm2","system_fingerprint":"fp_sgnet","choices":';
    assert.equal(
      write([text("Hello"), text(""), text(" <é>"), end], { stream: true }),
      `${open}[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}]}\n\n` +
        `${open}[{"index":0,"delta":{"content":" <é>"},"finish_reason":null}]}\n\n` +
        `${open}[{"index":0,"delta":{},"finish_reason":"length"}]}\n\ndata: [DONE]\n\n`,
    );
  });

  it("the usage chunk comes when asked for, and then the others say null", () => {
    const usage: Part = {
      ...end,
      usage: { promptTokens: 12, completionTokens: 8, cachedTokens: 5, reasoningTokens: 2 },
    };
    const chunks = chunksOf([text("a"), usage], { stream_options: { include_usage: true } });
    assert.deepEqual(
      chunks.map((chunk) => chunk["usage"]),
      [
        null,
        null,
        {
          prompt_tokens: 12,
          completion_tokens: 8,
          total_tokens: 20,
          prompt_tokens_details: { cached_tokens: 5 },
          completion_tokens_details: { reasoning_tokens: 2 },
        },
      ],
    );
    assert.deepEqual(chunks.at(-1)?.["choices"], []);
    assert.ok(chunksOf([text("a"), end]).every((chunk) => !Object.hasOwn(chunk, "usage")));
  });

  it("tool calls in fragments keep index, and id and name come once", () => {
    const parts: Part[] = [
      { type: "tool-delta", index: 0, name: "f", arguments: "" },
      { type: "tool-delta", index: 0, arguments: "{}" },
      { ...end, reason: "stop" },
    ];
    const deltas = chunksOf(parts).map((chunk) => (chunk["choices"] as JsonObject[])[0]);
    assert.deepEqual(deltas, [
      {
        index: 0,
        delta: {
          role: "assistant",
          content: "",
          tool_calls: [
            { index: 0, id: "call_t.1_0", type: "function", function: { name: "f", arguments: "" } },
          ],
        },
        finish_reason: null,
      },
      { index: 0, delta: { tool_calls: [{ index: 0, function: { arguments: "{}" } }] }, finish_reason: null },
      { index: 0, delta: {}, finish_reason: "tool_calls" },
    ]);
    const whole = JSON.parse(write(parts)) as {
      choices: { message: { tool_calls: { function: Json }[] } }[];
    };
    assert.deepEqual(whole.choices[0]?.message.tool_calls[0]?.function, { name: "f", arguments: "{}" });
  });

  it("finish reasons", () => {
    const reasons = (["stop", "length", "tool-calls", "content-filter", "load", "unload"] as const).map(
      (reason) => {
        const chunk = chunksOf([{ type: "end", reason }])[0];
        return (chunk?.["choices"] as JsonObject[] | undefined)?.[0]?.["finish_reason"];
      },
    );
    assert.deepEqual(reasons, ["stop", "length", "tool_calls", "content_filter", "stop", "stop"]);
  });

  it("any text and model arrive as they are", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary" })), fc.string({ unit: "binary" }), (texts, model) => {
        const events = parseEvents(write([...texts.map(text), end], { stream: true }, model));
        const chunks = events
          .slice(0, -1)
          .map(
            ({ data }) => JSON.parse(data) as { model: string; choices: { delta: { content?: string } }[] },
          );
        assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), texts.join(""));
        assert.ok(chunks.every((chunk) => chunk.model === model));
      }),
    );
  });
});

describe("faults a client sees", () => {
  const cases: readonly [Fault, string, string | null][] = [
    [new Fault("invalid_request", "x"), "invalid_request_error", null],
    [new Fault("model_not_found", "model 'nope' not found"), "not_found_error", "model_not_found"],
    [new Fault("path_not_found", "x"), "invalid_request_error", "unknown_url"],
    [new Fault("unauthorized", "x"), "invalid_request_error", "invalid_api_key"],
    [new Fault("request_too_large", "x"), "invalid_request_error", "request_too_large"],
    [new Fault("rate_limited", "x"), "rate_limit_error", "rate_limit_exceeded"],
    [new Fault("queue_full", "x"), "overloaded_error", "server_busy"],
    [new Fault("worker_lost", "x"), "api_error", "worker_lost"],
    [new Fault("backend_error", "x", { http: 400 }), "invalid_request_error", null],
  ];
  for (const [fault, type, code] of cases) {
    it(`${fault.code} ${fault.http}`, () => {
      const error = { error: { message: fault.message, type, param: null, code } };
      assert.deepEqual(JSON.parse(openaiFaults.body(fault, "r").body), error);
      assert.equal(openaiFaults.frame(fault, "openai-chat", "r"), `data: ${JSON.stringify(error)}\n\n`);
    });
  }
});
