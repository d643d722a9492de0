import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { parseTask } from "../../src/backends/answer.ts";
import type { Endpoint, Task } from "../../src/core/task.ts";
import { parseLossless, parseLosslessArguments } from "../../src/protocols/lossless-json.ts";
import { type ChatEndpoint, CODECS, relayed, translated } from "./crossing.ts";
import { aTask } from "../rig/task.ts";

const BIG = "12345678901234567890";
const ARGUMENTS = `{"id":${BIG},"list":[-9007199254740993,0.12345678901234567890],"n":7}`;

function taskOf(endpoint: Endpoint, body: string): Task {
  return aTask({
    endpoint,
    model: "m",
    stream: false,
    createdAt: 0,
    deadline: 1,
    body: Buffer.from(body),
  });
}

const QUOTED = JSON.stringify(ARGUMENTS);
const EARLIER: Readonly<Record<ChatEndpoint, string>> = {
  "ollama-chat": `{"model":"m","messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":${ARGUMENTS}}}]}]}`,
  "openai-chat": `{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":${QUOTED}}}]}]}`,
  "openai-responses": `{"model":"m","input":[{"type":"function_call","call_id":"c","name":"f","arguments":${QUOTED}}]}`,
  "anthropic-messages": `{"model":"m","max_tokens":1,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":${ARGUMENTS}}]}]}`,
};

const REPLIES = {
  openai: `{"choices":[{"index":0,"message":{"content":"","tool_calls":[{"id":"c","type":"function","function":{"name":"get","arguments":${QUOTED}}}]},"finish_reason":"tool_calls"}]}`,
  ollama: `{"message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"get","arguments":${ARGUMENTS}}}]},"done":true,"done_reason":"stop"}`,
};

describe("numbers in tool arguments (C11)", () => {
  for (const [endpoint, body] of Object.entries(EARLIER) as [ChatEndpoint, string][]) {
    for (const [kind, codec] of Object.entries(CODECS)) {
      it(`of an earlier turn are exact from ${endpoint} to ${kind}`, () => {
        const { request } = parseTask(taskOf(endpoint, body));
        const sent = codec.encode(request, { model: "m", stream: false }).body.toString();
        assert.ok(sent.includes(kind === "ollama" ? ARGUMENTS : QUOTED), sent);
      });
    }
    for (const [from, reply] of Object.entries(REPLIES) as ["openai" | "ollama", string][]) {
      for (const stream of [true, false]) {
        it(`of a reply are exact from ${from} to ${endpoint}, ${stream ? "streamed" : "whole"}`, () => {
          const told = translated({ from, to: endpoint, stream, bytes: Buffer.from(reply) });
          assert.ok(told.includes(ARGUMENTS) || told.includes(QUOTED.slice(1, -1)), told);
        });
      }
    }
  }

  it("are exact where a relay has to write a body anew", () => {
    const ollama = CODECS.ollama.passthrough("ollama-chat")?.request({
      body: Buffer.from(EARLIER["ollama-chat"]),
      stream: false,
      asked: "m",
      model: "other",
    });
    assert.ok(ollama?.body.toString().includes(ARGUMENTS));
    const tools = `"tools":[{"type":"function","function":{"name":"f","parameters":{"maximum":${BIG},"model":"x"}}}]`;
    const openai = CODECS.openai.passthrough("openai-chat")?.request({
      body: Buffer.from(`{"model":"m","messages":[],${tools}}`),
      stream: false,
      asked: "m",
      model: "other",
    });
    assert.ok(openai?.body.toString().includes(`"maximum":${BIG}`));
    const bytes = Buffer.from(REPLIES.ollama);
    const reply = relayed({ from: "ollama", to: "ollama-chat", stream: true, bytes });
    assert.ok(reply.includes(ARGUMENTS));
  });
});

function numbersIn(json: string): number[] {
  return (JSON.parse(json) as { a: number[] }).a.map((one) => one + 0);
}

describe("JSON with exact numbers", () => {
  const number = fc.oneof(
    fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map(String),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
    fc.constantFrom("1e400", "-0", "1.50", "0.1e-7", "123456789012345678901234567890e-5"),
  );

  it("is the same when it is written again", () => {
    fc.assert(
      fc.property(fc.array(number, { minLength: 1 }), (numbers) => {
        const text = `{"a":[${numbers.join(",")}]}`;
        const again = JSON.stringify(parseLossless(text));
        assert.deepEqual(numbersIn(again), numbersIn(text));
        for (const one of numbers) if (/^-?\d{16,}$/.test(one)) assert.ok(again.includes(one));
      }),
    );
  });

  it("is kept in arguments only: all else is numbers", () => {
    const text = `{"seed":${BIG},"input":{"a":${BIG}},"arguments":[${BIG}],"x":[{"arguments":{"b":[${BIG}]}}]}`;
    const value = parseLosslessArguments(text) as Record<string, unknown>;
    assert.equal(value["seed"], Number(BIG));
    assert.deepEqual(value["arguments"], [Number(BIG)]);
    const { seed: _seed, arguments: _list, ...rest } = value;
    assert.equal(JSON.stringify(rest), `{"input":{"a":${BIG}},"x":[{"arguments":{"b":[${BIG}]}}]}`);
  });

  it("does not make an object of a number", () => {
    const reply = REPLIES.openai.replace(QUOTED, JSON.stringify(BIG));
    const told = translated({ from: "openai", to: "ollama-chat", stream: false, bytes: Buffer.from(reply) });
    assert.ok(told.includes(`{"INVALID_JSON":"${BIG}"}`), told);
  });
});
