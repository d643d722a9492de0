import assert from "node:assert/strict";
import test, { describe } from "node:test";
import type { Part } from "../../src/core/chat.ts";
import { Fault } from "../../src/core/fault.ts";
import type { JsonObject } from "../../src/core/json.ts";
import { ollamaServerCodecs } from "../../src/protocols/ollama/endpoints.ts";
import { modelNotFound, ollamaFaults } from "../../src/protocols/ollama/faults.ts";
import type { ReplyWriter, ServerCodec } from "../../src/protocols/codec.ts";
import { loadTranscript } from "../rig/transcript.ts";

function serverAt(name: string): ServerCodec {
  const found = ollamaServerCodecs.find(({ endpoint }) => endpoint === name);
  assert.ok(found);
  return found;
}

const chat = serverAt("ollama-chat");
const generate = serverAt("ollama-generate");
const PNG = "iVBORw0KGgoAAAANSUhEUg==";

/** The fault of a body as a client would be answered. */
function refusalOf(server: ServerCodec, body: JsonObject): { status: number; text: string } {
  try {
    server.validate(body);
  } catch (thrown) {
    assert.ok(thrown instanceof Fault);
    return { status: thrown.http, text: ollamaFaults.body(thrown, "id").body };
  }
  return assert.fail("the body was accepted");
}

function withMessage(message: JsonObject): JsonObject {
  return { model: "m", messages: [message] };
}

function writerOf(server: ServerCodec, body: JsonObject): ReplyWriter {
  const opening = server.validate(body);
  return server.reply({ ...opening, id: "r1", now: () => 1_500, startedAt: 1_000, body });
}

function written(server: ServerCodec, body: JsonObject, parts: readonly Part[]): JsonObject[] {
  const writer = writerOf(server, body);
  const text = parts.map((part) => writer.write(part)).join("");
  const lines = text.split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line) as JsonObject);
}

describe("requests that Ollama refuses", () => {
  /** 109's text is about Go's inside; the rest is said with Ollama's own words. */
  const refused = "033 044 045 046 053 060 064 067 068 072 075 080 097 102 103 109 116".split(" ");
  for (const name of refused) {
    const transcript = loadTranscript("ollama", name);
    test(`${transcript.name} has the recorded status and text`, () => {
      const server = transcript.path === "/api/chat" ? chat : generate;
      const { status, text } = refusalOf(server, JSON.parse(transcript.request) as JsonObject);
      // Ollama answers 500 where the client is wrong about a format or an option.
      assert.equal(status, transcript.status === 500 ? 400 : transcript.status);
      assert.deepEqual(Object.keys(JSON.parse(text) as JsonObject), ["error"]);
      if (name !== "109") assert.deepEqual(JSON.parse(text), JSON.parse(transcript.body.toString()));
    });
  }

  for (const name of ["048", "099"]) {
    const { request, path, body } = loadTranscript("ollama", name);
    test(`${name}: a name that Ollama could not have is a bad one, unless another server has it`, () => {
      const server = path === "/api/chat" ? chat : generate;
      const { model } = server.validate(JSON.parse(request) as JsonObject);
      const fault = modelNotFound(model, server.endpoint);
      assert.equal(fault.http, 400);
      assert.deepEqual({ error: fault.message }, JSON.parse(body.toString()));
    });
  }

  const cases: [string, ServerCodec, JsonObject, RegExp][] = [
    [
      "a message that is no object",
      chat,
      { model: "m", messages: ["hi"] },
      /unmarshal string into .*messages/,
    ],
    ["a role of another type", chat, withMessage({ role: 1 }), /unmarshal number into .*messages.role/],
    ["images that are no list", chat, withMessage({ images: "x" }), /unmarshal string into .*images/],
    ["an image that is no text", generate, { model: "m", images: [true] }, /unmarshal bool into .*images/],
    ["bad padding", generate, { model: "m", images: ["abc"] }, /illegal base64 data at input byte 3/],
    [
      "bad base64 at its end",
      generate,
      { model: "m", images: ["AAAA=A=="] },
      /illegal base64 data at input byte 4/,
    ],
    [
      "a context of words",
      generate,
      { model: "m", prompt: "x", context: ["a"] },
      /unmarshal string into .*context/,
    ],
    ["raw with a template", generate, { model: "m", raw: true, template: "t" }, /raw mode does not support/],
    ["raw with a context", generate, { model: "m", raw: true, context: [1] }, /raw mode does not support/],
    [
      "a stream that is no bool",
      chat,
      { model: "m", stream: "yes" },
      /unmarshal string into .*stream of type bool/,
    ],
    ["a model that is no text", chat, { model: 5 }, /unmarshal number into .*model of type string/],
    ["options that are no object", chat, { model: "m", options: [] }, /unmarshal array into .*options/],
    ["an option's list of numbers", chat, { model: "m", options: { stop: [1] } }, /array of strings/],
    ["use_mmap of another type", chat, { model: "m", options: { use_mmap: 1 } }, /must be of type boolean/],
    ["top_logprobs below 0", chat, { model: "m", top_logprobs: -1 }, /between 0 and 20/],
    ["a fraction of top_logprobs", chat, { model: "m", top_logprobs: 1.5 }, /unmarshal number/],
    ["think of another type", chat, { model: "m", think: 1 }, /think must be a boolean or string/],
    ["a duration without a unit", chat, { model: "m", keep_alive: "5" }, /missing unit in duration/],
    ["a keep_alive list", chat, { model: "m", keep_alive: [] }, /Unsupported type/],
    [
      "a tool that is no object",
      chat,
      { model: "m", tools: ["x"] },
      /unmarshal string into .*tools of type api.Tool/,
    ],
  ];
  for (const [what, server, body, text] of cases) {
    test(`${what}: 400`, () => {
      const refusal = refusalOf(server, body);
      assert.equal(refusal.status, 400);
      assert.match(refusal.text, text);
    });
  }
});

function callOf(name: string): JsonObject {
  return { function: { name, arguments: { a: 1 } } };
}

describe("requests that are understood", () => {
  test("null, empty strings and empty lists count as unset", () => {
    const body = {
      model: "m",
      stream: null,
      format: "",
      think: null,
      options: { seed: null },
      tools: [],
      keep_alive: null,
      messages: [{ role: "User", content: null, images: null, tool_calls: null }],
    };
    assert.deepEqual(chat.validate(body), { model: "m", stream: true });
    assert.deepEqual(chat.decode(body), {
      kind: "chat",
      messages: [{ role: "user", content: [] }],
      sampling: {},
    });
  });

  test("options are parted into sampling and what is the runner's", () => {
    const options = {
      num_predict: 4.7,
      seed: -1,
      top_k: 3,
      num_ctx: 99,
      stop: ["a"],
      mirostat: 2,
      num_keep: 1,
    };
    const request = generate.decode({ model: "m", prompt: "x", options });
    assert.ok(request.kind === "generate");
    assert.deepEqual(request.sampling, { maxTokens: 4, topK: 3, stop: ["a"] });
    assert.deepEqual(request.runner, { seed: -1, num_ctx: 99, mirostat: 2, num_keep: 1 });
  });

  test("a num_predict without a limit stays Ollama's own word", () => {
    for (const limit of [-2, -1, 0]) {
      const request = generate.decode({ model: "m", prompt: "x", options: { num_predict: limit } });
      assert.ok(request.kind === "generate");
      assert.deepEqual([request.sampling, request.runner], [{}, { num_predict: limit }]);
    }
  });

  test("images carry the type their bytes tell, and data URLs are stripped", () => {
    const wav = Buffer.from("RIFF0000WAVEfmt ").toString("base64");
    const wrapped = `${PNG.slice(0, 8)}\r\n${PNG.slice(8)}\n`;
    const images = [PNG, wrapped, `data:image/gif;base64,${PNG}`, "data:image/x;base64,AAAA", "AAAA", wav];
    const request = generate.decode({ model: "m", prompt: "x", images });
    assert.ok(request.kind === "generate");
    assert.deepEqual(request.images, [
      { type: "image", mime: "image/png", base64: PNG },
      { type: "image", mime: "image/png", base64: PNG },
      { type: "image", mime: "image/png", base64: PNG },
      { type: "image", mime: "image/x", base64: "AAAA" },
      { type: "image", mime: "application/octet-stream", base64: "AAAA" },
      { type: "audio", format: "wav", base64: wav },
    ]);
  });

  test("a big image is checked in one pass", () => {
    const big = `${"A".repeat(20_000_000)}@`;
    assert.match(refusalOf(generate, { model: "m", prompt: "x", images: [big] }).text, /byte 20000000"/);
  });

  test("tool results find their calls by name or order where ids are missing", () => {
    const messages = [
      { role: "assistant", content: "", tool_calls: ["x", "y", "x"].map(callOf) },
      { role: "tool", content: "Y", tool_name: "y" },
      { role: "tool", content: "X1" },
      { role: "tool", content: "X2", tool_name: "x" },
      { role: "tool", content: "nobody asked" },
    ];
    const request = chat.decode({ model: "m", messages });
    assert.ok(request.kind === "chat");
    assert.deepEqual(
      request.messages[0]?.toolCalls?.map(({ id, arguments: values }) => [id, values]),
      [1, 2, 3].map((count) => [`call_${count}`, '{"a":1}']),
    );
    assert.deepEqual(
      request.messages.slice(1).map(({ toolCallId }) => toolCallId),
      ["call_2", "call_1", "call_3", undefined],
    );
  });

  test("unknown fields are kept, and a hostile key stays a plain one", () => {
    const body = JSON.parse(
      '{"model":"m","prompt":"x","truncate":false,"later":{"a":1},"__proto__":{"raw":true},"options":{"__proto__":{"seed":1}}}',
    ) as JsonObject;
    const request = generate.decode(body);
    assert.ok(request.kind === "generate");
    assert.equal(request.raw, false);
    assert.equal(request.sampling.seed, undefined);
    assert.deepEqual(Object.keys(request.extra ?? {}), ["truncate", "later", "__proto__"]);
    assert.equal(Object.getPrototypeOf(request.extra), Object.prototype);
  });

  test("an empty prompt loads, and unloads when nothing is to be kept", () => {
    assert.deepEqual(generate.decode({ model: "m" }), { kind: "load", unload: false });
    assert.deepEqual(chat.decode({ model: "m", messages: [], keep_alive: -1 }), {
      kind: "load",
      unload: false,
      keepAlive: -1,
    });
    for (const keepAlive of [0, "0", "0s", "0h0m0s", "-0s"]) {
      const request = generate.decode({ model: "m", prompt: "", keep_alive: keepAlive });
      assert.ok(request.kind === "load" && request.unload);
    }
    for (const keepAlive of ["10m", "1h30m", "1.5h", "-1s", "500ms", ".5s"]) {
      const request = generate.decode({ model: "m", prompt: "", keep_alive: keepAlive });
      assert.ok(request.kind === "load" && !request.unload);
    }
  });
});

describe("replies", () => {
  const fragments: Part[] = [
    { type: "text-delta", text: "Let me see." },
    { type: "tool-delta", index: 1, id: "b", name: "two", arguments: "" },
    { type: "tool-delta", index: 0, id: "a", name: "one", arguments: '{\n"x"' },
    { type: "tool-delta", index: 0, arguments: ": 1}" },
    { type: "end", reason: "tool-calls" },
  ];
  const calls = [
    { id: "a", function: { index: 0, name: "one", arguments: { x: 1 } } },
    { id: "b", function: { index: 1, name: "two", arguments: {} } },
  ];

  test("fragments of tool calls become one object each in a stream", () => {
    const lines = written(chat, withMessage({ role: "user", content: "hi" }), fragments);
    const messages = lines.map(({ message }) => message);
    assert.deepEqual(messages, [
      { role: "assistant", content: "Let me see." },
      ...calls.map((call) => ({ role: "assistant", content: "", tool_calls: [call] })),
      { role: "assistant", content: "" },
    ]);
    assert.equal(lines.at(-1)?.["done_reason"], "stop");
  });

  test("fragments of tool calls become one list in a whole reply", () => {
    const body = { ...withMessage({ role: "user", content: "hi" }), stream: false };
    const [reply] = written(chat, body, fragments);
    assert.deepEqual(reply?.["message"], { role: "assistant", content: "Let me see.", tool_calls: calls });
  });

  test("a call without an id gets one, and broken arguments are told in an object", () => {
    const body = withMessage({ role: "user", content: "hi" });
    const call = { type: "tool-delta", index: 0, name: "one" } as const;
    const end = { type: "end", reason: "tool-calls" } as const;
    const [line] = written(chat, body, [{ ...call, arguments: "{}" }, end]);
    assert.match(JSON.stringify(line), /"id":"call_r1_0"/);
    for (const values of ["{", "[]", "1"]) {
      const [told] = written(chat, body, [{ ...call, arguments: values }, end]);
      assert.match(JSON.stringify(told), /"arguments":\{"INVALID_JSON":"[^"]+"\}/);
    }
  });

  test("a total that the backend does not tell is counted from acceptance, unknown counts are left out", () => {
    const [reply] = written(generate, { model: "m", prompt: "x", stream: false }, [
      { type: "text-delta", text: "a" },
      { type: "text-delta", text: "b" },
      { type: "end", reason: "length", usage: { promptTokens: 3, completionTokens: 0 } },
    ]);
    assert.deepEqual(reply, {
      model: "m",
      created_at: "1970-01-01T00:00:01.500Z",
      response: "ab",
      done: true,
      done_reason: "length",
      total_duration: 500_000_000,
      prompt_eval_count: 3,
    });
  });

  test("alternatives of a token are left out where there are none", () => {
    const logprobs = [{ token: "a", logprob: -1, bytes: null, top: [] }];
    const [line] = written(generate, { model: "m", prompt: "x" }, [
      { type: "text-delta", text: "a", logprobs },
    ]);
    assert.deepEqual(line?.["logprobs"], [{ token: "a", logprob: -1 }]);
  });

  test("every string of a token survives, whatever it holds", () => {
    for (const text of ['"', "\\", "\n", "\u2028", "\0", "😀", "</script>", ""]) {
      const [line] = written(generate, { model: "m", prompt: "x" }, [{ type: "text-delta", text }]);
      assert.equal(line?.["response"], text);
    }
  });
});

describe("faults", () => {
  test("routing faults are plain text, as recorded", () => {
    for (const [name, code] of [
      ["011", "path_not_found"],
      ["014", "method_not_allowed"],
    ] as const) {
      const transcript = loadTranscript("ollama", name);
      const fault = new Fault(code, "not this text");
      const { contentType, body } = ollamaFaults.body(fault, "id");
      assert.deepEqual([fault.http, body], [transcript.status, transcript.body.toString()]);
      assert.equal(contentType, transcript.headers.get("content-type"));
    }
  });

  test("a fault within a stream is one line, as recorded", () => {
    const recorded = linesEnd(loadTranscript("ollama", "320").body);
    const message = "an error was encountered while running the model: unexpected EOF";
    assert.equal(ollamaFaults.frame(new Fault("backend_error", message), "ollama-chat", "id"), recorded);
  });

  test("an unknown model is told in the words of where it was asked for", () => {
    const { body } = ollamaFaults.body(modelNotFound("nope", "ollama-chat"), "id");
    assert.equal(body, loadTranscript("ollama", "098").body.toString());
    assert.equal(modelNotFound("nope", "ollama-show").message, "model 'nope:latest' not found");
    assert.equal(modelNotFound("h:1/n/nope", "ollama-show").message, "model 'h:1/n/nope:latest' not found");
    assert.equal(modelNotFound("nope:1b", "ollama-show").message, "model 'nope:1b' not found");
    assert.equal(
      modelNotFound("nope", "ollama-embed").message,
      'model "nope" not found, try pulling it first',
    );
  });
});

function linesEnd(body: Buffer): string {
  return body.subarray(body.lastIndexOf("\n", body.length - 2) + 1).toString();
}
