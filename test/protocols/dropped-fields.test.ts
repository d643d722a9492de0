import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { droppedFields } from "../../src/backends/embedded/dropped-fields.ts";
import type { JsonObject } from "../../src/core/json.ts";
import type { Endpoint } from "../../src/core/task.ts";
import { serverCodec } from "../../src/protocols/dialects.ts";
import { reportableNames } from "../../src/protocols/dropped-fields.ts";
import { ollamaClientCodec } from "../../src/protocols/ollama/client-codec.ts";
import { openaiClientCodec } from "../../src/protocols/openai/client-codec.ts";
import { OPENAI_PROFILES } from "../../src/protocols/openai/profiles.ts";

type Kind = "ollama" | "embedded" | keyof typeof OPENAI_PROFILES;

/** The names reported to a client of this endpoint, for this body and kind of backend. */
function droppedBy(kind: Kind, endpoint: Endpoint, body: JsonObject): readonly string[] {
  const request = serverCodec(endpoint).decode({ model: "m", ...body });
  if (kind === "embedded") return reportableNames(droppedFields(request));
  const codec = kind === "ollama" ? ollamaClientCodec : openaiClientCodec(OPENAI_PROFILES[kind]);
  return reportableNames(codec.encode(request, { model: "m", stream: true }).dropped ?? []);
}

const hi = [{ role: "user", content: "hi" }];
const weather = { name: "weather", parameters: { type: "object" } };
const tools = [{ type: "function", function: weather }];
const named = [{ role: "user", content: "hi", name: "Ada" }];
const hints = {
  user: "u",
  metadata: { a: "b" },
  store: true,
  service_tier: "auto",
  safety_identifier: "s",
  prompt_cache_key: "k",
  stream_options: { include_usage: true, include_obfuscation: false },
};
const picture = { url: "data:image/png;base64,iVBORw0KGgo=", detail: "high" };
const runner = { num_ctx: 9, num_gpu: 1, num_keep: 4, mirostat: 2, num_predict: -1, seed: -1 };
const sampling = {
  typical_p: 0.9,
  min_p: 0.1,
  top_k: 3,
  repeat_penalty: 1.2,
  repeat_last_n: 7,
  temperature: 1,
};
const beyondRunner = ["num_ctx", "num_gpu"];
const allRunner = [...beyondRunner, "num_keep", "mirostat"];

interface Row {
  readonly endpoint: Endpoint;
  readonly body: JsonObject;
  readonly told: { readonly [Name in Kind]?: readonly string[] };
}

const ROWS: Readonly<Record<string, Row>> = {
  "Ollama's sampling": {
    endpoint: "ollama-chat",
    body: { messages: hi, options: sampling },
    told: {
      openai: ["top_k", "min_p", "typical_p", "repeat_penalty", "repeat_last_n"],
      vllm: ["typical_p", "repeat_last_n"],
      llamacpp: [],
      lmstudio: ["min_p", "typical_p", "repeat_last_n"],
      exo: ["typical_p"],
      embedded: ["typical_p"],
      ollama: [],
    },
  },
  "options of Ollama's runner, without those that ask for nothing": {
    endpoint: "ollama-generate",
    body: { prompt: "hi", options: runner },
    told: {
      openai: allRunner,
      vllm: allRunner,
      llamacpp: beyondRunner,
      exo: allRunner,
      embedded: allRunner,
      ollama: [],
    },
  },
  "a token context, a keep_alive and a plain wish to think": {
    endpoint: "ollama-generate",
    body: { prompt: "hi", context: [1, 2], keep_alive: "5m", think: false, shift: true },
    told: {
      openai: ["keep_alive", "shift", "think", "context"],
      lmstudio: ["keep_alive", "shift", "think", "context"],
      vllm: ["keep_alive", "shift", "context"],
      embedded: ["keep_alive", "shift"],
      ollama: [],
    },
  },
  "an effort": {
    endpoint: "ollama-chat",
    body: { messages: hi, think: "low" },
    told: { openai: [], exo: [] },
  },
  "a system and a template beside a suffix": {
    endpoint: "ollama-generate",
    body: { prompt: "a", suffix: "b", system: "s", template: "t" },
    told: { openai: ["system", "template"], llamacpp: ["system", "template"], ollama: [] },
  },
  "OpenAI's own fields": {
    endpoint: "openai-chat",
    body: { messages: named, logit_bias: { 5: 1 }, verbosity: "low", think: false, truncate: true, ...hints },
    told: {
      ollama: ["logit_bias", "verbosity", "think", "messages.name"],
      embedded: ["logit_bias", "verbosity", "think", "truncate", "messages.name"],
    },
  },
  "only what says something": {
    endpoint: "openai-chat",
    body: { messages: hi, logit_bias: {}, prediction: null, parallel_tool_calls: true, ...hints },
    told: { ollama: [], embedded: [] },
  },
  "a tool that must be called, and alone": {
    endpoint: "openai-chat",
    body: { messages: hi, tools, tool_choice: "required", parallel_tool_calls: false },
    told: { ollama: ["tool_choice", "parallel_tool_calls"] },
  },
  "one tool at a time": {
    endpoint: "openai-responses",
    body: { input: "hi", tools: [{ type: "function", ...weather }], parallel_tool_calls: false },
    told: { exo: ["parallel_tool_calls"], openai: [], vllm: [] },
  },
  "what was thought before": {
    endpoint: "openai-chat",
    body: { messages: [...hi, { role: "assistant", content: "ho", reasoning: "hm" }, ...hi] },
    told: { embedded: ["messages.thinking"], ollama: [] },
  },
  "a text completion": {
    endpoint: "openai-completion",
    body: { prompt: "hi", logit_bias: { 5: 1 }, top_k: 4, ...hints },
    told: { ollama: ["logit_bias"], embedded: ["logit_bias"], openai: ["top_k", "logit_bias"] },
  },
  responses: {
    endpoint: "openai-responses",
    body: {
      input: "hi",
      include: ["x"],
      max_tool_calls: 3,
      text: { verbosity: "low" },
      tools: [{ type: "web_search" }],
      ...hints,
    },
    told: {
      ollama: ["include", "max_tool_calls", "tools.web_search", "text.verbosity"],
      vllm: ["include", "max_tool_calls", "tools.web_search", "text.verbosity"],
      embedded: ["include", "max_tool_calls", "tools.web_search", "text.verbosity"],
    },
  },
  messages: {
    endpoint: "anthropic-messages",
    body: {
      max_tokens: 5,
      messages: hi,
      top_k: 4,
      container: "c",
      thinking: { type: "enabled", budget_tokens: 1024 },
      metadata: { user_id: "u" },
    },
    told: {
      openai: ["top_k", "container", "thinking.budget_tokens", "thinking"],
      vllm: ["container", "thinking.budget_tokens"],
      ollama: ["container", "thinking.budget_tokens"],
      embedded: ["container", "thinking.budget_tokens", "thinking"],
    },
  },
  "texts for vectors": {
    endpoint: "ollama-embed",
    body: { input: "hi", keep_alive: 5, options: { num_ctx: 9 }, odd: 1 },
    told: {
      openai: ["num_ctx", "keep_alive", "odd"],
      embedded: ["num_ctx", "keep_alive", "odd"],
    },
  },
  "what was not said in words": {
    endpoint: "anthropic-messages",
    body: {
      max_tokens: 5,
      messages: [...hi, { role: "assistant", content: [{ type: "redacted_thinking", data: "x" }] }, ...hi],
    },
    told: { ollama: ["messages.redacted_thinking"], vllm: ["messages.redacted_thinking"] },
  },
  "a search of before": {
    endpoint: "openai-responses",
    body: { input: [...hi, { type: "web_search_call" }] },
    told: { ollama: ["input.web_search_call"], exo: ["input.web_search_call"] },
  },
  "how closely to look": {
    endpoint: "openai-chat",
    body: { messages: [{ role: "user", content: [{ type: "image_url", image_url: picture }] }] },
    told: { ollama: ["messages.detail"], openai: [] },
  },
  "vectors for OpenAI": {
    endpoint: "openai-embeddings",
    body: { input: "hi", truncate: true, keep_alive: 5, user: "u" },
    told: { ollama: ["truncate"], embedded: ["keep_alive", "truncate"] },
  },
};

describe("what a translation leaves out is told", () => {
  for (const [name, { endpoint, body, told }] of Object.entries(ROWS)) {
    for (const [kind, fields] of Object.entries(told)) {
      test(`${name}: ${endpoint} to ${kind}`, () => {
        assert.deepEqual(droppedBy(kind as Kind, endpoint, body), fields);
      });
    }
  }
});

test("names that clients make up are few, short and fit for a header", () => {
  const wild = ["a\r\nb: c", "ü,x", "__proto__", "a".repeat(500), "top_k", "top_k"];
  assert.deepEqual(reportableNames(wild), ["a__b__c", "__x", "__proto__", "a".repeat(64), "top_k"]);
  assert.equal(reportableNames(Array.from({ length: 1000 }, (_, index) => `f${index}`)).length, 32);
});
