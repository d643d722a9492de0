import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Json } from "../../src/core/json.ts";
import { CHAT_ENDPOINTS, type ChatEndpoint, partsOf, readTold, relayed, translated } from "./crossing.ts";

const DONE = "data: [DONE]\n\n";

function event(choice: object, rest: object = {}): string {
  return `data: ${JSON.stringify({ choices: [{ index: 0, ...choice }], ...rest })}\n\n`;
}

function say(content: Json, finish: Json = null): string {
  return event({ delta: { content }, finish_reason: finish });
}

function callEvent(call: object): string {
  return event({ delta: { tool_calls: [call] }, finish_reason: null });
}

const END = event({ delta: {}, finish_reason: "stop" });

function openai(to: ChatEndpoint, text: string, stream = true): ReturnType<typeof readTold> {
  return readTold(to, translated({ from: "openai", to, stream, bytes: Buffer.from(text) }), stream);
}

function relay(text: string, stream = true, asked = {}): string {
  return relayed({ from: "openai", to: "openai-chat", stream, bytes: Buffer.from(text) }, asked);
}

function callsIn(text: string): readonly object[] {
  const [first, ...others] = CHAT_ENDPOINTS.map((to) => openai(to, text).calls);
  for (const other of others) assert.deepEqual(other, first);
  return first ?? [];
}

describe("an end reason (C1)", () => {
  for (const reason of ["", "null", "stop"]) {
    const stream = say("a", reason) + say("b", reason);
    it(`of ${JSON.stringify(reason)} in every chunk is no end`, () => {
      for (const to of CHAT_ENDPOINTS) {
        assert.equal(openai(to, stream + END + DONE).text, "ab");
        assert.throws(() => openai(to, stream), { code: "backend_lost" });
        assert.throws(() => openai(to, say("a", reason)), { code: "backend_lost" });
      }
      assert.throws(() => relay(stream), { code: "backend_lost" });
      assert.throws(() => relay(say("a", reason)), { code: "backend_lost" });
      assert.equal(relay(stream + END + DONE), stream + END + DONE);
    });
  }

  it("with counts in every chunk is no end", () => {
    const usage = { usage: { prompt_tokens: 3, completion_tokens: 1 } };
    const chunk = (content: string): string => event({ delta: { content }, finish_reason: "stop" }, usage);
    assert.equal(openai("anthropic-messages", chunk("a") + chunk("b") + DONE).text, "ab");
  });

  it("in another server's word is what it means, and an unknown one ends nothing without [DONE]", () => {
    const ends = { eos_token: "stop", STOP: "stop", model_length: "length", tool_use: "stop" };
    for (const [word, end] of Object.entries(ends))
      assert.equal(openai("ollama-chat", say("a") + say("", word)).end, end);
    assert.equal(openai("ollama-chat", say("a") + say("", "done_for_now") + DONE).end, "stop");
    assert.throws(() => openai("ollama-chat", say("a") + say("", "done_for_now")), { code: "backend_lost" });
    assert.throws(() => relay(say("a") + say("", "done_for_now")), { code: "backend_lost" });
  });

  it("that stands for a failure is one, in any case", () => {
    for (const word of ["error", "ABORT", "cancelled"]) {
      assert.throws(() => openai("ollama-chat", say("a") + say("", word) + DONE), { code: "backend_lost" });
      assert.throws(() => relay(say("", word) + DONE), { code: "backend_lost" });
    }
  });
});

const a = { name: "get", arguments: '{"a":1}' };
const b = { name: "note", arguments: '{"b":2}' };

const head = (index: Json, id: Json, name: Json): object => ({
  index,
  id,
  function: { name, arguments: "" },
});
const more = (index: Json, written: string, rest = {}): object => ({
  index,
  ...rest,
  function: { arguments: written },
});

const fragment = (id: string, name: string, written: string): string =>
  callEvent({ id, function: { name, arguments: written } });

describe("tool calls (C2)", () => {
  it("that all have index 0 are told apart by their ids", () => {
    const one = callEvent(head(0, "x", "get")) + callEvent(more(0, '{"a":')) + callEvent(more(0, "1}"));
    const two = callEvent(head(0, "y", "note")) + callEvent(more(0, '{"b":2}'));
    assert.deepEqual(callsIn(one + two + END + DONE), [a, b]);
    const mixed = callEvent(head(0, "x", "get")) + callEvent(head(0, "y", "note"));
    const turns = callEvent(more(0, '{"a":1}', { id: "x" })) + callEvent(more(0, '{"b":2}', { id: "y" }));
    assert.deepEqual(callsIn(mixed + turns + END + DONE), [a, b]);
  });

  it("without an index may repeat id and name with each fragment", () => {
    const text =
      fragment("x", "get", '{"a"') + fragment("x", "get", ":1}") + fragment("y", "note", '{"b":2}');
    assert.deepEqual(callsIn(text + END + DONE), [a, b]);
  });

  it("go on under a new id without a name", () => {
    const text =
      callEvent(head(0, "x", "get")) +
      callEvent(more(0, '{"a":', { id: "111" })) +
      callEvent(more(0, "1}", { id: "222" }));
    assert.deepEqual(callsIn(text + END + DONE), [a]);
    assert.deepEqual(callsIn(text.replaceAll('"index":0,"id"', '"id"') + END + DONE), [a]);
  });

  it("without index and id are told apart by their names", () => {
    const text = [a, b, b].map((called) => callEvent({ function: called })).join("");
    assert.deepEqual(callsIn(text + END + DONE), [a, b, b]);
  });

  it("with one id have two for their clients", () => {
    const text = [a, b].map((called, index) => callEvent({ index, id: "same", function: called })).join("");
    const parts = partsOf({
      from: "openai",
      to: "ollama-chat",
      stream: true,
      bytes: Buffer.from(text + END + DONE),
    });
    const ids = parts.flatMap((part) =>
      part.type === "tool-delta" && part.id !== undefined ? [part.id] : [],
    );
    assert.deepEqual([ids.length, new Set(ids).size], [2, 2]);
  });

  it("may stand without their wrapping, alone, or with their arguments as an object", () => {
    const object = event({ delta: { tool_calls: { id: "x", name: "get", arguments: { a: 1 } } } });
    assert.deepEqual(callsIn(object + END + DONE), [a]);
  });
});

describe("a tool's name (C3)", () => {
  const time = { name: "get_time", arguments: "{}" };

  it("that comes in pieces or late is whole before the client hears of the call", () => {
    const pieces = ["get_", "ti", "me"].map((name) => callEvent({ index: 0, id: "x", function: { name } }));
    assert.deepEqual(callsIn(pieces.join("") + END + DONE), [time]);
    const late = callEvent({ index: 0, id: "x", function: { arguments: '{"a"' } });
    const name = callEvent({ index: 0, function: { name: "get", arguments: ":1}" } });
    assert.deepEqual(callsIn(late + name + END + DONE), [a]);
    const growing = ["get", "get_time"].map((one) =>
      callEvent({ index: 0, id: "x", function: { name: one } }),
    );
    assert.deepEqual(callsIn(growing.join("") + END + DONE), [time]);
  });

  it("that never comes is a broken reply, and none of a call that was cut", () => {
    const nameless = callEvent({ index: 0, id: "x", function: { name: "", arguments: "{}" } });
    for (const to of CHAT_ENDPOINTS)
      assert.throws(() => openai(to, nameless + END + DONE), { code: "backend_lost" });
    assert.deepEqual(callsIn(nameless + END.replace("stop", "length") + DONE), []);
    const empty = callEvent({ index: 0, function: { name: "", arguments: "" } });
    assert.deepEqual(callsIn(say("a") + empty + END + DONE), []);
  });
});

describe("content (C4)", () => {
  const parts = [
    { type: "thinking", thinking: [{ type: "text", text: "hm" }] },
    { type: "text", text: "yes" },
    { type: "reference", reference_ids: [1] },
  ];

  it("as a list of parts is read, whole and streamed", () => {
    const whole = JSON.stringify({
      choices: [{ index: 0, message: { content: parts }, finish_reason: "stop" }],
    });
    for (const to of CHAT_ENDPOINTS) {
      for (const [text, stream] of [
        [whole, false],
        [say(parts) + END + DONE, true],
      ] as const) {
        const { text: said, thinking } = openai(to, text, stream);
        assert.deepEqual([said, thinking], ["yes", "hm"]);
      }
    }
    const line = { message: { role: "assistant", content: parts }, done: true, done_reason: "stop" };
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
    const told = readTold(
      "openai-chat",
      translated({ from: "ollama", to: "openai-chat", stream: true, bytes }),
      true,
    );
    assert.deepEqual([told.text, told.thinking], ["yes", "hm"]);
  });

  it("of another type is never read as nothing", () => {
    const image = [{ type: "image_url", image_url: { url: "x" } }];
    for (const odd of [42, true, image, { a: 1 }] as Json[]) {
      for (const to of CHAT_ENDPOINTS)
        assert.throws(() => openai(to, say(odd) + END + DONE), { code: "backend_lost" }, JSON.stringify(odd));
      const line = { message: { role: "assistant", content: odd }, done: true };
      const bytes = Buffer.from(JSON.stringify(line));
      const crossing = { from: "ollama", to: "openai-chat", stream: true, bytes } as const;
      assert.throws(() => translated(crossing), { code: "backend_lost" });
    }
  });

  it("of another place is none of the answer's", () => {
    const odd = [
      event({ delta: "text" }),
      event({ delta: { tool_calls: "get" } }),
      'data: {"choices":"text"}\n\n',
      callEvent({ index: 0, id: "x", function: "get" }),
    ];
    for (const text of odd)
      assert.throws(() => openai("ollama-chat", text + END + DONE), { code: "backend_lost" }, text);
  });
});

describe("heartbeats (C5)", () => {
  const beats = [
    "data:\n\n",
    "data: \n\n",
    "event: ping\ndata: hello\n\n",
    'event: ping\ndata: {"type":"ping"}\n\n',
  ];

  it("that are events are passed over, and do not reach clients that would read them", () => {
    for (const beat of beats) {
      for (const to of CHAT_ENDPOINTS)
        assert.equal(openai(to, beat + say("a") + beat + END + beat + DONE).text, "a", beat);
      assert.equal(relay(beat + say("a") + beat + END + beat + DONE), say("a") + END + DONE);
    }
  });

  it("are no end, and [DONE] is one with blanks around it", () => {
    for (const done of ["data: [DONE] \n\n", "data:[DONE]\n\n", "data:  [DONE]\n\n"]) {
      assert.equal(openai("anthropic-messages", say("a") + END + done).text, "a");
      assert.match(relay(say("a") + END + done), /data: ?\[DONE\]\n\n$/);
    }
    for (const beat of beats)
      assert.throws(() => openai("ollama-chat", say("a") + beat), { code: "backend_lost" });
  });

  it("do not make it the request's doing that a stream broke off", () => {
    const beat = "data: still working\n\n";
    const cut = [
      beat + say("a"),
      say("a") + beat + say("b"),
      `event: ping\ndata: hello\n\n`,
      `${say("a")}event: ping\ndata: hello\n\n`,
    ];
    for (const text of cut) {
      const told = { code: "backend_lost", statedBlame: "backend" };
      assert.throws(() => openai("ollama-chat", text), told, text);
      assert.throws(() => relay(text), told, text);
    }
  });

  it("that say why a stream broke off are told", () => {
    const text = `${say("a")}data: Internal Server Error\n\n`;
    const told = { code: "backend_lost", message: /Internal Server Error$/ };
    assert.throws(() => openai("ollama-chat", text), told);
    assert.throws(() => relay(text), told);
  });
});

const ollamaLine = (content: string, rest: object): string =>
  `${JSON.stringify({ model: "m", message: { role: "assistant", content }, ...rest })}\n`;

describe("a reply of the other form (C6)", () => {
  const message = "request (19185 tokens) exceeds the available context size";
  const error = { error: { code: 400, message, type: "exceed_context_size_error" } };
  const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };
  const called = { id: "x", type: "function", function: a };
  const whole = {
    id: "1",
    object: "chat.completion",
    model: "m",
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: "yes", tool_calls: [called] },
        finish_reason: "tool_calls",
      },
    ],
    usage,
  };

  it("with an error keeps its words and its status", () => {
    const told = { http: 400, message };
    const beside = { ...whole, ...error };
    for (const text of [error, beside].map((one) => JSON.stringify(one, null, 2))) {
      for (const to of CHAT_ENDPOINTS) assert.throws(() => openai(to, text), told);
      assert.throws(() => relay(text), told);
      assert.throws(() => relay(text, false), told);
    }
    const streamed = event({ delta: { content: "" }, finish_reason: null }, error);
    assert.throws(() => openai("ollama-chat", streamed + END + DONE), told);
    assert.throws(() => relay(streamed + END + DONE), told);
  });

  it("with an error has the class of the status that its words tell", () => {
    const classes: readonly (readonly [object, number])[] = [
      [{ error: { message: "x", code: "context_length_exceeded" } }, 400],
      [{ error: { message: "x", type: "invalid_request_error" } }, 400],
      [{ object: "error", message: "x", type: "BadRequestError", code: 400 }, 400],
      [{ error: { message: "x", code: "429" } }, 429],
      [{ error: { message: "x", type: "rate_limit_error" } }, 429],
      [{ error: { message: "x", status: 503 } }, 503],
      [{ error: "x" }, 502],
    ];
    for (const [body, http] of classes) {
      assert.throws(() => openai("ollama-chat", JSON.stringify(body)), { http }, JSON.stringify(body));
      assert.throws(() => relay(`data: ${JSON.stringify(body)}\n\n`), { http }, JSON.stringify(body));
    }
  });

  it("that is a whole answer to a stream becomes a stream", () => {
    const text = JSON.stringify(whole, null, 1);
    for (const to of CHAT_ENDPOINTS) {
      const told = openai(to, text);
      assert.deepEqual([told.text, told.calls], ["yes", [a]]);
    }
    const told = readTold("openai-chat", relay(text), true);
    assert.deepEqual(told, { text: "yes", thinking: "", calls: [a], end: "tool_calls" });
    const counted = relay(text, true, { stream_options: { include_usage: true } });
    assert.match(counted, /"choices":\[\],"usage":\{"prompt_tokens":3/);
  });

  it("that is a stream in answer to a whole request becomes an object", () => {
    const counts = `data: ${JSON.stringify({ id: "1", model: "m", choices: [], usage })}\n\n`;
    const text =
      say("y") +
      say("es") +
      callEvent({ index: 0, id: "x", type: "function", function: a }) +
      END +
      counts +
      DONE;
    for (const to of CHAT_ENDPOINTS) {
      const told = openai(to, text, false);
      assert.deepEqual([told.text, told.calls], ["yes", [a]]);
    }
    const object = JSON.parse(relay(text, false)) as { object: string; usage: object };
    assert.deepEqual([object.object, object.usage], ["chat.completion", usage]);
    assert.deepEqual(readTold("openai-chat", relay(text, false), false).calls, [a]);
    for (const cut of [say("y"), say("y") + say("es") + DONE, ""]) {
      assert.throws(() => openai("ollama-chat", cut, false), { code: "backend_lost" });
      assert.throws(() => relay(cut, false), { code: "backend_lost" });
    }
  });

  it("of Ollama's kind, too", () => {
    const bytes = Buffer.from(
      ollamaLine("y", { done: false }) + ollamaLine("es", { done: true, done_reason: "stop" }),
    );
    const crossing = { from: "ollama", to: "ollama-chat", stream: false, bytes } as const;
    const told = readTold("ollama-chat", relayed(crossing), false);
    assert.deepEqual([told.text, told.end], ["yes", "stop"]);
    assert.equal(relayed(crossing).split("\n").filter(Boolean).length, 1);
  });
});

describe("tokens that no server counted (C12)", () => {
  it("are told alike at the beginning and at the end of a message", () => {
    const bytes = Buffer.from(say("a") + END + DONE);
    const reply = translated({ from: "openai", to: "anthropic-messages", stream: true, bytes });
    const inputs = Array.from(reply.matchAll(/"input_tokens":(\d+)/g), ([, count]) => Number(count));
    assert.equal(inputs.length, 2);
    assert.ok((inputs[0] ?? 0) > 0);
    assert.equal(inputs[0], inputs[1]);
    assert.match(reply, /"output_tokens":1\}/);
  });
});

describe("lines of an Ollama backend (C17)", () => {
  const line = '{"model":"m","message":{"role":"assistant","content":"a"},"done":false}\n';
  const last = '{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop"}\n';

  it("that are blank do not reach a client", () => {
    for (const blank of ["\n", "\r\n", "  \n", "\n\n\n"]) {
      const bytes = Buffer.from(blank + line + blank + last + blank);
      for (const cuts of [[], [1], [2, 3], [line.length + 1], [line.length + 2, line.length + 3]]) {
        const crossing = { from: "ollama", to: "ollama-chat", stream: true, bytes, cuts } as const;
        assert.equal(relayed(crossing), line + last);
        assert.equal(readTold("openai-chat", translated({ ...crossing, to: "openai-chat" }), true).text, "a");
      }
    }
  });

  it("that are errors are found wherever their key stands; an empty error is none", () => {
    const bytes = Buffer.from(`${line}{"status":503,"error":"out of memory"}\n`);
    const crossing = { from: "ollama", to: "ollama-chat", stream: true, bytes } as const;
    assert.throws(() => relayed(crossing), { message: "out of memory", http: 503 });
    const calm = Buffer.from(line.replace('"done"', '"error":null,"done"') + last);
    assert.match(relayed({ ...crossing, bytes: calm }), /"done":true/);
    const spoken = Buffer.from(line.replace('"a"', JSON.stringify('{"error":"x"}')) + last);
    assert.equal(relayed({ ...crossing, bytes: spoken }), spoken.toString());
  });
});
