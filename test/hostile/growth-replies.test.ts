import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AnswerWriter, parseTask, type ParsedTask } from "../../src/backends/answer.ts";
import type { ReplySink } from "../../src/backends/backend.ts";
import { PROFILES } from "../../src/backends/profiles.ts";
import { PostReceiver } from "../../src/backends/http-exchange.ts";
import { Fault } from "../../src/core/fault.ts";
import { needsAbility } from "../../src/core/ability.ts";
import type { Endpoint, Task } from "../../src/core/task.ts";
import { serverCodec, TASK_ROUTES } from "../../src/protocols/dialects.ts";
import { surfaceOf } from "../../src/protocols/openai/surface.ts";
import { surfacePassthrough } from "../../src/protocols/openai/surface-passthrough.ts";
import type { ClientCodec } from "../../src/protocols/codec.ts";
import { isHeartbeat } from "../../src/wire/sse.ts";
import { assertLinear } from "./growth.ts";
import { many, nested, soundBody } from "./growth-shapes.ts";
import { aTask } from "../rig/task.ts";
import { orFault } from "./or-fault.ts";

/**
 * The cost of a backend's reply grows no faster than it: each shape, in pieces of several sizes, for each endpoint,
 * passed through and written anew.
 */

/** Bytes of the largest reply. */
const BYTES = 96 * 1024;
/** Each name of its own goes into a table of the engine, which grows by steps. */
const GROWTH_OF_NAMES = 9;
const PIECES = [7, 1400] as const;

/** Makes a reply of about so many bytes. */
type Reply = (bytes: number) => string;

const data = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;
const chunk = (delta: unknown, more: object = {}): string =>
  data({ object: "chat.completion.chunk", model: "other", choices: [{ index: 0, delta, ...more }] });
const END = `${chunk({}, { finish_reason: "stop" })}data: [DONE]\n\n`;
const call = (index: number, text: string, named = false): string =>
  chunk({
    tool_calls: [
      {
        index,
        ...(named ? { id: `c${index}`, type: "function" } : {}),
        function: { ...(named ? { name: "f" } : {}), arguments: text },
      },
    ],
  });
/** Members with different names. There are few in one object, as the engine stores large objects in another way. */
function members(bytes: number): string {
  return many(bytes, (index) => `,"k${index}":1${index % 500 === 499 ? `},"o${index}":{"k":1` : ""}`);
}

function copies<T>(count: number, item: T): T[] {
  return Array.from({ length: Math.ceil(count) }, () => item);
}

const repeat =
  (unit: string): Reply =>
  (bytes) =>
    unit.repeat(Math.max(1, bytes / unit.length));

const OPENAI_STREAMS: Readonly<Record<string, Reply>> = {
  "many small events": (bytes) => repeat(chunk({ content: "a" }))(bytes) + END,
  "one long event": (bytes) => chunk({ content: "a".repeat(bytes) }) + END,
  "an event that does not end": (bytes) => `data: ${"a".repeat(bytes)}`,
  "many lines of one event": (bytes) => `${repeat("data: 1\n")(bytes)}\n`,
  "lines without a name": (bytes) => `${repeat("\r\nx")(bytes)}\n`,
  comments: (bytes) => repeat(": keep\n\n")(bytes) + END,
  "blank lines": (bytes) => repeat("\n\n")(bytes) + END,
  "carriage returns": (bytes) => repeat("\r")(bytes) + END,
  "a comment of blanks": (bytes) => `:${" ".repeat(bytes)}\n\n${END}`,
  escapes: (bytes) => chunk({ content: '\n"\\\u0001'.repeat(bytes / 14) }) + END,
  "thinking and text in turn": (bytes) =>
    repeat(chunk({ reasoning: "a" }) + chunk({ content: "b" }))(bytes) + END,
  "one call in pieces": (bytes) =>
    call(0, '{"a":"', true) + repeat(call(0, "x"))(bytes) + call(0, '"}') + END,
  "a call's blanks in pieces": (bytes) => call(0, "{}", true) + repeat(call(0, " "))(bytes) + END,
  "two calls in turn": (bytes) =>
    call(0, '{"a":"', true) + call(1, '{"a":"', true) + repeat(call(0, "x") + call(1, "}"))(bytes) + END,
  "a call that only looks complete": (bytes) =>
    call(0, `{"a":${"[".repeat(bytes / 2)}}`, true) +
    call(1, "{", true) +
    repeat(call(1, "}"))(bytes / 2) +
    END,
  "many calls": (bytes) => many(bytes, (index) => call(index, "{}", true)) + END,
  "many calls at once": (bytes) =>
    chunk({
      tool_calls: [...Array(Math.ceil(bytes / 60)).keys()].map((index) => ({
        index,
        function: { name: "f", arguments: "{}" },
      })),
    }) + END,
  "many choices": (bytes) =>
    data({
      choices: [...Array(Math.ceil(bytes / 40)).keys()].map((index) => ({ index, delta: { content: "a" } })),
    }) + END,
  "no word of its model": (bytes) => repeat('data: {"choices":[],"mode":1,"model" :2}\n\n')(bytes) + END,
  "blanks before a usage": (bytes) => `data: {"choices":[],"usage"${" ".repeat(bytes)}:null}\n\n${END}`,
  members: (bytes) => `data: {"choices":[],"o":{"k":1${members(bytes)}}}\n\n${END}`,
  nesting: (bytes) => `data: {"choices":[],"a":${nested("[", "]", bytes)}}\n\n${END}`,
  "a long error": (bytes) => data({ error: { message: "no ".repeat(bytes / 3) } }),
  "many likely tokens": (bytes) =>
    chunk(
      { content: "a" },
      {
        logprobs: {
          content: copies(bytes / 50, { token: "a", logprob: -1, top_logprobs: [] }),
        },
      },
    ) + END,
};

const whole = (value: unknown): string =>
  JSON.stringify({ model: "other", choices: [{ index: 0, message: value, finish_reason: "stop" }] });

const OPENAI_WHOLES: Readonly<Record<string, Reply>> = {
  "long text": (bytes) => whole({ content: "a".repeat(bytes) }),
  escapes: (bytes) => whole({ content: "\n".repeat(bytes / 2) }),
  "many calls": (bytes) =>
    whole({
      content: null,
      tool_calls: copies(bytes / 60, { id: "c", function: { name: "f", arguments: "{}" } }),
    }),
  "long arguments": (bytes) =>
    whole({
      content: null,
      tool_calls: [{ id: "c", function: { name: "f", arguments: JSON.stringify({ a: "x".repeat(bytes) }) } }],
    }),
  "deep arguments": (bytes) =>
    whole({
      content: null,
      tool_calls: [{ id: "c", function: { name: "f", arguments: `{"a":${nested("[", "]", bytes)}}` } }],
    }),
  "a long name of a model": (bytes) => whole({ content: "a" }).replace("other", "o".repeat(bytes)),
  "a vector": (bytes) =>
    JSON.stringify({
      data: [0, 1].map((index) => ({ index, embedding: Array(Math.ceil(bytes / 10)).fill(0.125) })),
      model: "other",
    }),
  "many vectors": (bytes) =>
    JSON.stringify({
      data: [...Array(Math.ceil(bytes / 40)).keys()].map((index) => ({ index, embedding: [1] })),
    }),
  nesting: (bytes) => nested("[", "]", bytes),
  members: (bytes) => `{"choices":[],"o":{"k":1${members(bytes)}}}`,
  "no end": (bytes) => `{"choices":["${"\\\\".repeat(bytes / 2)}`,
};

const line = (value: unknown): string => `${JSON.stringify(value)}\n`;
const said = (message: unknown): string => line({ model: "other", message, response: "a", done: false });
const LAST = line({ model: "other", done: true, done_reason: "stop", prompt_eval_count: 1, eval_count: 1 });

const OLLAMA_STREAMS: Readonly<Record<string, Reply>> = {
  "many lines": (bytes) => repeat(said({ content: "a" }))(bytes) + LAST,
  "one long line": (bytes) => said({ content: "a".repeat(bytes) }) + LAST,
  "a line that does not end": (bytes) => `{"model":"${"a".repeat(bytes)}`,
  "empty lines": (bytes) => repeat("\n")(bytes) + LAST,
  returns: (bytes) => repeat("\r\n")(bytes) + LAST,
  calls: (bytes) =>
    repeat(said({ content: "", tool_calls: [{ function: { name: "f", arguments: { a: 1 } } }] }))(bytes) +
    LAST,
  "keys in another order": (bytes) =>
    repeat('{"done":false,"response":"a","model":"other","message":{"content":"a"}}\n')(bytes) + LAST,
  members: (bytes) => `{"model":"other","o":{"k":1${members(bytes)}}}\n${LAST}`,
  nesting: (bytes) => `{"model":"other","a":${nested("[", "]", bytes)}}\n${LAST}`,
  "a long error": (bytes) => line({ error: "no ".repeat(bytes / 3) }),
  "errors in errors": (bytes) => `{"error":${nested('{"error":', "}", bytes, '"no"')}}\n`,
};

const OLLAMA_WHOLES: Readonly<Record<string, Reply>> = {
  ...OLLAMA_STREAMS,
  vectors: (bytes) =>
    JSON.stringify({ model: "other", embeddings: [Array(Math.ceil(bytes / 8)).fill(0.125), [1]] }),
  "many vectors": (bytes) => JSON.stringify({ model: "other", embeddings: copies(bytes / 6, [0.5]) }),
};

const sink: ReplySink = {
  head: () => {},
  write: () => {},
  progress: { connecting: () => {}, sent: () => {}, alive: () => {} },
};

function taskOf(endpoint: Endpoint, path: string, stream: boolean): Task {
  const body = Buffer.from(JSON.stringify({ ...(soundBody(path) as object), stream, n: 1 }));
  return aTask({ endpoint, stream, body });
}

function translate(opened: ParsedTask, codec: ClientCodec, pieces: readonly Buffer[]): void {
  const answer = new AnswerWriter(opened, sink);
  const reader = codec.reader({ request: opened.request, stream: opened.task.stream });
  for (const piece of pieces) {
    isHeartbeat(piece);
    answer.write(reader.push(piece));
  }
  answer.write(reader.end());
}

function relay(task: Task, codec: ClientCodec, pieces: readonly Buffer[]): void {
  const row = surfaceOf(task.endpoint);
  const way = row === undefined ? codec.passthrough(task.endpoint) : surfacePassthrough(row, new Set());
  if (way === undefined) return;
  const through = way.relay({ body: task.body, stream: task.stream, asked: "tiny", model: "other" });
  through.head?.(task.stream ? "text/event-stream" : "application/json");
  for (const piece of pieces) through.push(piece);
  through.end();
}

function cut(text: string, size: number): Buffer[] {
  const bytes = Buffer.from(text);
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
}

interface Kind {
  readonly codec: ClientCodec;
  readonly stream: boolean;
  readonly replies: Readonly<Record<string, Reply>>;
}

const KINDS: Readonly<Record<string, Kind>> = {
  "OpenAI stream": { codec: PROFILES.openai.codec, stream: true, replies: OPENAI_STREAMS },
  "OpenAI answer": { codec: PROFILES.openai.codec, stream: false, replies: OPENAI_WHOLES },
  "Ollama stream": { codec: PROFILES.ollama.codec, stream: true, replies: OLLAMA_STREAMS },
  "Ollama answer": { codec: PROFILES.ollama.codec, stream: false, replies: OLLAMA_WHOLES },
};

function streams(endpoint: Endpoint): boolean {
  return !/embed|count/.test(endpoint);
}

/** One path each: replies are read alike at all paths of an endpoint. */
const EACH_ENDPOINT = TASK_ROUTES.filter(({ endpoint }, at) => {
  return TASK_ROUTES.findIndex((route) => route.endpoint === endpoint) === at;
});

describe("the work for a reply grows no faster than the reply", () => {
  for (const [kind, { codec, stream, replies }] of Object.entries(KINDS)) {
    for (const [name, reply] of Object.entries(replies)) {
      it(`${kind}: ${name}`, () => {
        for (const { path, endpoint } of EACH_ENDPOINT) {
          if (stream && !streams(endpoint)) continue;
          // No reply of the surface is in Ollama's form.
          if (codec.dialect === "ollama" && needsAbility(endpoint)) continue;
          const task = taskOf(endpoint, path, stream);
          // Answers of the surface are relayed, never written anew.
          const opened = needsAbility(endpoint) ? undefined : parseTask(task);
          if (serverCodec(endpoint).counts === true) continue;
          for (const size of PIECES) {
            assertLinear({
              name: `${name} in pieces of ${size} bytes for ${path}`,
              bytes: BYTES,
              ...(name === "members" ? { mostGrowth: GROWTH_OF_NAMES } : {}),
              prepare: (bytes) => {
                const pieces = cut(reply(bytes), size);
                return () => {
                  if (opened !== undefined) orFault(() => translate(opened, codec, pieces));
                  orFault(() => relay(task, codec, pieces));
                };
              },
            });
          }
        }
      });
    }
  }
});

const ERRORS: Readonly<Record<string, Reply>> = {
  text: (bytes) => "no ".repeat(bytes / 3),
  blanks: (bytes) => " \n".repeat(bytes / 2),
  HTML: (bytes) => `<html>${"<b>".repeat(bytes / 3)}`,
  "a message": (bytes) => JSON.stringify({ error: { message: "x".repeat(bytes) } }),
  "errors in errors": (bytes) => nested('{"error":', "}", bytes, '"no"'),
  "details in details": (bytes) => nested('{"detail":[', "]}", bytes, '"no"'),
  "many details": (bytes) => JSON.stringify({ detail: copies(bytes / 30, { loc: ["a"], msg: "no" }) }),
  members: (bytes) => `{"error":"no","o":{"k":1${members(bytes)}}}`,
  "quoted JSON": (bytes) => JSON.stringify({ error: JSON.stringify({ error: "no ".repeat(bytes / 3) }) }),
};

describe("the work for an error of a backend grows no faster than its body", () => {
  for (const [name, reply] of Object.entries(ERRORS)) {
    it(name, () => {
      for (const codec of [PROFILES.openai.codec, PROFILES.ollama.codec, PROFILES.vllm.codec]) {
        for (const status of [400, 404, 429, 500, 503]) {
          assertLinear({
            name: `${name} with ${status}`,
            bytes: BYTES,
            ...(name === "members" ? { mostGrowth: GROWTH_OF_NAMES } : {}),
            prepare: (bytes) => {
              const pieces = cut(reply(bytes), 7);
              return () => errorOf(codec, status, pieces);
            },
          });
        }
      }
    });
  }
});

function errorOf(codec: ClientCodec, status: number, pieces: readonly Buffer[]): void {
  const receiver = new PostReceiver({
    signal: new AbortController().signal,
    progress: sink.progress,
    trace: "",
    onHead: () => {},
    onChunk: () => {},
    readError: (told, body, wait) => codec.readError(told, body, wait),
  });
  receiver.onHead(status, {});
  for (const piece of pieces) receiver.onChunk(piece);
  assert.throws(() => receiver.end(), Fault);
}
