import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Json, JsonObject } from "../../src/core/json.ts";
import type { Endpoint } from "../../src/core/task.ts";
import { serverCodec } from "../../src/protocols/dialects.ts";
import { type ChatEndpoint, readTold, relayed, translated } from "./crossing.ts";

const HALF = '{"path":"a.txt","te';
const WHOLE = '{"path":"b.txt"}';

interface Reply {
  readonly text?: string;
  /** Arguments of calls of the tool "note". */
  readonly calls: readonly string[];
  readonly finish: string;
  readonly usage?: Json;
}

function callOf(written: string, index: number): object {
  return { index, id: `c${index}`, type: "function", function: { name: "note", arguments: written } };
}

/** The reply as an OpenAI-compatible server sends it. */
function openaiBytes({ text = "Wait.", calls, finish, usage }: Reply, stream: boolean): Buffer {
  const choice = { index: 0, finish_reason: finish };
  if (!stream) {
    const message = { role: "assistant", content: text, tool_calls: calls.map(callOf) };
    return Buffer.from(
      JSON.stringify({ object: "chat.completion", choices: [{ ...choice, message }], usage }),
    );
  }
  const pieces = calls.flatMap((written, index) => [
    { tool_calls: [callOf("", index)] },
    { tool_calls: [{ index, function: { arguments: written.slice(0, 5) } }] },
    { tool_calls: [{ index, function: { arguments: written.slice(5) } }] },
  ]);
  const deltas = [{ role: "assistant", content: text }, ...pieces];
  const chunks = [
    ...deltas.map((delta) => ({ choices: [{ index: 0, delta, finish_reason: null }] })),
    { choices: [{ ...choice, delta: {} }] },
    { choices: [], usage },
  ];
  return Buffer.from(
    `${chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("")}data: [DONE]\n\n`,
  );
}

function told(to: ChatEndpoint, reply: Reply, stream: boolean): ReturnType<typeof readTold> {
  const bytes = openaiBytes(reply, stream);
  return readTold(to, translated({ from: "openai", to, stream, bytes }), stream);
}

const cut: Reply = { calls: [WHOLE, HALF], finish: "length" };
const whole = { name: "note", arguments: WHOLE };
const half = { name: "note", arguments: HALF };

describe("a tool call that was cut by the limit of tokens", () => {
  for (const stream of [true, false]) {
    const form = stream ? "in a stream" : "in one piece";

    it(`ends an Anthropic message with max_tokens, ${form}`, () => {
      // As Anthropic does it: the stream has what there is of the input, the object an empty one.
      const last = stream ? half : { name: "note", arguments: "{}" };
      assert.deepEqual(told("anthropic-messages", cut, stream), {
        text: "Wait.",
        thinking: "",
        calls: [whole, last],
        end: "max_tokens",
      });
    });

    it(`is left out for Ollama's clients, which know whole calls only, ${form}`, () => {
      const { text, calls, end } = told("ollama-chat", cut, stream);
      assert.deepEqual([text, calls, end], ["Wait.", [whole], "length"]);
      const begun = told("ollama-chat", { calls: [""], finish: "length" }, stream);
      assert.deepEqual([begun.text, begun.calls, begun.end], ["Wait.", [], "length"]);
    });

    it(`is an incomplete item of a response, ${form}`, () => {
      const bytes = openaiBytes(cut, stream);
      const reply = translated({ from: "openai", to: "openai-responses", stream, bytes });
      const { calls, end } = readTold("openai-responses", reply, stream);
      assert.deepEqual([calls, end], [[whole, half], "incomplete max_output_tokens"]);
      const statuses = Array.from(
        reply.matchAll(/"type":"function_call","status":"(\w+)"/g),
        ([, one]) => one,
      );
      assert.deepEqual(statuses.slice(-2), ["completed", "incomplete"]);
    });

    it(`is relayed as it is, ${form}`, () => {
      const bytes = openaiBytes(cut, stream);
      const { calls, end } = readTold(
        "openai-chat",
        relayed({ from: "openai", to: "openai-chat", stream, bytes }),
        stream,
      );
      assert.deepEqual([calls, end], [[whole, half], "length"]);
    });

    it(`is the same where a filter cut it, ${form}`, () => {
      const filtered = { ...cut, finish: "content_filter" };
      assert.equal(told("anthropic-messages", filtered, stream).end, "refusal");
      assert.equal(told("openai-responses", filtered, stream).end, "incomplete content_filter");
      const { calls, end } = told("ollama-chat", filtered, stream);
      assert.deepEqual([calls, end], [[whole], "content_filter"]);
    });

    it(`is one, too, when its server calls the limit a stop, ${form}`, () => {
      for (const finish of ["stop", "tool_calls"]) {
        const usage = { prompt_tokens: 5, completion_tokens: 99 };
        assert.equal(told("anthropic-messages", { ...cut, finish, usage }, stream).end, "max_tokens");
      }
    });
  }

  it("leaves Ollama's whole calls beside its reason", () => {
    const call = { function: { name: "note", arguments: { path: "b.txt" } } };
    const line = { message: { role: "assistant", content: "Wait.", tool_calls: [call] }, done: true };
    const bytes = Buffer.from(`${JSON.stringify({ ...line, done_reason: "length" })}\n`);
    const ends = { "openai-chat": "length", "anthropic-messages": "max_tokens", "ollama-chat": "length" };
    for (const [to, end] of Object.entries(ends) as [ChatEndpoint, string][]) {
      for (const stream of [true, false]) {
        const reply = readTold(to, translated({ from: "ollama", to, stream, bytes }), stream);
        assert.deepEqual([reply.calls, reply.end], [[whole], end]);
      }
    }
  });
});

describe("arguments that are no JSON object", () => {
  const bad: readonly (readonly [written: string, told: string | undefined])[] = [
    ['{"path": a.txt}', undefined],
    ['["a.txt"]', undefined],
    [HALF, undefined],
    ["null", "{}"],
    ["  ", "{}"],
    [JSON.stringify(WHOLE), WHOLE],
    [`${WHOLE}}`, WHOLE],
    [`${WHOLE}\n${WHOLE}`, WHOLE],
  ];
  for (const [written, good] of bad) {
    for (const stream of [true, false]) {
      it(`${JSON.stringify(written)} are no failure of the backend, ${stream ? "streamed" : "whole"}`, () => {
        const reply: Reply = { calls: [written, WHOLE], finish: "tool_calls" };
        const wrapped = JSON.stringify({ INVALID_JSON: written });
        const texts: Readonly<Record<ChatEndpoint, string>> = {
          "openai-chat": good ?? JSON.stringify(written),
          "openai-responses": good ?? written,
          "anthropic-messages": good ?? (stream ? written : wrapped),
          "ollama-chat": good ?? wrapped,
        };
        for (const to of ["openai-responses", "anthropic-messages", "ollama-chat"] as const) {
          const { calls } = told(to, reply, stream);
          assert.deepEqual(calls, [{ name: "note", arguments: canonical(texts[to]) }, whole], to);
        }
      });
    }
  }

  it("in an earlier turn do not end the conversation", () => {
    const call = { id: "c", type: "function", function: { name: "note", arguments: HALF } };
    const messages = [{ role: "assistant", content: null, tool_calls: [call] }];
    const item = { type: "function_call", call_id: "c", name: "note", arguments: HALF };
    const bodies: readonly [Endpoint, JsonObject][] = [
      ["openai-chat", { model: "m", messages }],
      ["openai-responses", { model: "m", input: [item] }],
    ];
    for (const [endpoint, body] of bodies) {
      const request = serverCodec(endpoint).decode(body);
      const wrapped = JSON.stringify({ INVALID_JSON: HALF });
      assert.ok(request.kind === "chat");
      assert.equal(request.messages[0]?.toolCalls?.[0]?.arguments, wrapped);
    }
  });
});

function canonical(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return text;
  }
}
