import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  CHAT_ENDPOINTS,
  type Crossing,
  CODECS,
  readTold,
  relayed,
  type Told,
  translated,
} from "./crossing.ts";

/** Replies in forms that no document has, as servers and the proxies before them have sent them. */

type From = "openai" | "ollama";

const DONE = "data: [DONE]\n\n";
const event = (reply: object): string => `data: ${JSON.stringify(reply)}\n\n`;
const chunk = (choice: object): string => event({ id: "1", model: "m", choices: [{ index: 0, ...choice }] });
const say = (content: unknown): string => chunk({ delta: { content }, finish_reason: null });
const END = chunk({ delta: {}, finish_reason: "stop" });
const whole = (message: object): string =>
  JSON.stringify({ id: "1", model: "m", choices: [{ index: 0, message, finish_reason: "stop" }] });
const line = (content: unknown, rest: object): string =>
  `${JSON.stringify({ model: "m", message: { role: "assistant", content }, ...rest })}\n`;

/** All ways of a reply to a client: to each dialect, streamed and whole, and relayed. */
function waysOf(from: From, text: string): (() => Told)[] {
  const bytes = Buffer.from(text);
  const own = from === "openai" ? "openai-chat" : "ollama-chat";
  const ways: (() => Told)[] = [];
  for (const stream of [true, false]) {
    for (const to of CHAT_ENDPOINTS)
      ways.push(() => readTold(to, translated({ from, to, stream, bytes }), stream));
    ways.push(() => readTold(own, relayed({ from, to: own, stream, bytes }), stream));
  }
  return ways;
}

function assertSays(from: From, text: string, wanted: Partial<Told>): void {
  for (const way of waysOf(from, text)) {
    const told = way();
    for (const [name, value] of Object.entries(wanted))
      assert.deepEqual(told[name as keyof Told], value, `${text.slice(0, 90)}: ${JSON.stringify(told)}`);
  }
}

function assertFails(
  from: From,
  text: string,
  wanted: { readonly http: number; readonly message: RegExp },
): void {
  for (const way of waysOf(from, text)) assert.throws(way, wanted, text.slice(0, 90));
}

describe("an error under 200", () => {
  const errors: readonly (readonly [object, number])[] = [
    [{ detail: "too long" }, 502],
    [{ detail: [{ loc: ["body"], msg: "too long", type: "value_error" }] }, 502],
    [{ code: 400, message: "too long", type: "BadRequestError" }, 400],
    [{ errors: [{ message: "too long" }] }, 502],
    [{ type: "error", message: "too long" }, 502],
    [{ error: ["too long", "by far"] }, 502],
    [{ error: true, message: "too long", code: 400 }, 400],
    [{ error: { type: "invalid_request_error", reason: "too long" } }, 400],
    [{ error: { type: "invalid_request_error", message: "", param: "too long" } }, 400],
    [{ statusCode: 400, error: "Bad Request", message: "too long" }, 400],
    [{ choices: null, error: { message: "too long", status: "RESOURCE_EXHAUSTED" } }, 429],
    [{ error: { message: "too long", code: "insufficient_quota" } }, 429],
    [{ error: { message: "too long", code: "request_too_large" } }, 413],
    [{ error: { message: "too long", type: "UnprocessableEntityError" } }, 422],
  ];

  for (const [body, http] of errors) {
    it(`keeps its words and its class: ${JSON.stringify(body)}`, () => {
      const text = JSON.stringify(body, null, 1);
      assertFails("openai", text, { http, message: /too long/ });
      assertFails("openai", `\uFEFF${text}`, { http, message: /too long/ });
      assertFails("ollama", text, { http, message: /too long/ });
      assertFails("ollama", `${line("a", { done: false })}${JSON.stringify(body)}\n`, {
        http,
        message: /too long/,
      });
      assertFails("openai", say("a") + event(body), { http, message: /too long/ });
    });
  }

  it("in a list, in a choice and in a bare line of a stream is one", () => {
    const error = { error: { code: 400, message: "too long", status: "INVALID_ARGUMENT" } };
    const wanted = { http: 400, message: /^too long$/ };
    assertFails("openai", JSON.stringify([error]), wanted);
    assertFails("openai", `data: ${JSON.stringify([error])}\n\n`, wanted);
    assertFails("openai", say("a") + chunk({ delta: {}, finish_reason: "error", ...error }) + DONE, wanted);
    assertFails("openai", `${say("a")}${JSON.stringify(error)}\n\n`, wanted);
    assertFails("openai", `: ok\n\n${JSON.stringify(error)}\n`, wanted);
  });

  it("of a proxy in plain words or HTML is told", () => {
    for (const from of ["openai", "ollama"] as const)
      assertFails(from, "<html><body>too long</body></html>", { http: 502, message: /too long/ });
  });

  it("is not made of a member that says nothing beside an answer", () => {
    const nothings: readonly unknown[] = [null, false, 0, "", [], {}, { code: 0, message: "", param: null }];
    for (const error of nothings) {
      assertSays("openai", JSON.stringify({ ...JSON.parse(whole({ content: "ab" })), error }), {
        text: "ab",
      });
      const started = event({ id: "1", choices: [{ index: 0, delta: { content: "a" } }], error });
      assertSays("openai", started + say("b") + END + DONE, { text: "ab" });
      const end = { done: true, done_reason: "stop", error };
      assertSays("ollama", line("a", { done: false, error }) + line("b", end), { text: "ab" });
    }
  });

  it("is not made of words beside vectors", () => {
    const way = CODECS.ollama.passthrough("ollama-embed");
    const options = { body: Buffer.from('{"model":"m","input":"a"}'), stream: false, asked: "m", model: "m" };
    const reply = '{"embeddings":[[1]],"message":"ok"}';
    const relay = way?.relay(options);
    relay?.push(Buffer.from(reply));
    assert.equal(relay?.end().toString(), reply);
  });

  it("is not made of words beside an answer, nor of a note on the progress", () => {
    const note = event({ status: "loading", message: "please wait" });
    assertSays("openai", note + say("a") + note + say("b") + END + DONE, { text: "ab" });
    const named = 'event: progress\ndata: {"message":"failed once","code":500}\n\n';
    assertSays("openai", named + say("a") + say("b") + END + DONE, { text: "ab" });
    const beside = JSON.stringify({ ...JSON.parse(whole({ content: "ab" })), message: "ok", code: 400 });
    assertSays("openai", beside, { text: "ab" });
  });
});

/** A client of each dialect is told this text. */
function assertCrosses(text: string, wanted: string, stream: boolean): void {
  for (const to of CHAT_ENDPOINTS) {
    const reply = translated({ from: "openai", to, stream, bytes: Buffer.from(text) });
    assert.equal(readTold(to, reply, stream).text, wanted, text);
  }
}

/** The answer that begins with this delta, as a client of messages is told it. */
function toldOf(delta: object): Told {
  const bytes = Buffer.from(chunk({ delta, finish_reason: null }) + say("ab") + END + DONE);
  const to = "anthropic-messages" as const;
  return readTold(to, translated({ from: "openai", to, stream: true, bytes }), true);
}

/** The text of every client is "ab", and nothing stands before a relayed stream. */
function assertBegins(way: Omit<Crossing, "to">): void {
  const where = `cut at ${way.cuts?.join()}`;
  const told = CHAT_ENDPOINTS.map((to) => readTold(to, translated({ to, ...way }), true).text);
  assert.deepEqual(new Set(told), new Set(["ab"]), where);
  assert.match(relayed({ to: "openai-chat", ...way }), /^data:/, where);
}

describe("an answer", () => {
  const lines = line("a", { done: false }) + line("b", { done: true, done_reason: "stop" });

  it("behind a byte order mark is read", () => {
    assertSays("openai", `\uFEFF${say("a")}${say("b")}${END}${DONE}`, { text: "ab" });
    assertSays("openai", `\uFEFF${whole({ content: "ab" })}`, { text: "ab" });
    assertSays("ollama", `\uFEFF${lines}`, { text: "ab" });
  });

  it("behind a byte order mark that is cut, or blanks before it, is read", () => {
    const stream = say("a") + say("b") + END + DONE;
    const texts = [`\uFEFF${stream}`, `\n\n\uFEFF${stream}`, `\uFEFF${whole({ content: "ab" })}`];
    const ways = texts.flatMap((text) =>
      [[], [1], [2], [1, 2, 3], [3, 4]].map((cuts) => ({ bytes: Buffer.from(text), cuts })),
    );
    for (const way of ways) assertBegins({ from: "openai", stream: true, ...way });
  });

  it("in events that no blank line parts, or with data: twice, is read", () => {
    const stream = say("a") + say("b") + END + DONE;
    assertSays("openai", stream.replaceAll("\n\n", "\n"), { text: "ab" });
    assertSays("openai", stream.replaceAll("data: {", "data: data: {"), { text: "ab" });
  });

  it("in one event on several lines is read, but for clients that take a line for an event", () => {
    const split = say("ab").replace('"choices"', '\ndata: "choices"');
    for (const to of CHAT_ENDPOINTS) {
      const bytes = Buffer.from(split + END + DONE);
      assert.equal(readTold(to, translated({ from: "openai", to, stream: true, bytes }), true).text, "ab");
    }
  });

  it("of Ollama's on several lines is read, and is one line for the clients of a stream", () => {
    const object: unknown = JSON.parse(line("ab", { done: true, done_reason: "stop" }));
    const bytes = Buffer.from(JSON.stringify(object, null, 2));
    for (const to of CHAT_ENDPOINTS) {
      for (const stream of [true, false]) {
        const told = readTold(to, translated({ from: "ollama", to, stream, bytes }), stream);
        assert.equal(told.text, "ab");
      }
    }
    const cuts = [3, 20, 50];
    const relay = relayed({ from: "ollama", to: "ollama-chat", stream: true, bytes, cuts });
    assert.deepEqual(relay, `${JSON.stringify(object)}\n`);
  });

  it("that is spoken, or stands beside an empty delta, is no empty one", () => {
    const spoken = [{ id: "a", transcript: "he" }, { transcript: "llo" }, { data: "AAAA" }];
    const pieces = spoken.map((audio) => chunk({ delta: { audio }, finish_reason: null })).join("");
    assertCrosses(pieces + END + DONE, "hello", true);
    assertCrosses(whole({ content: null, audio: { data: "AAAA", transcript: "hello" } }), "hello", false);
    assertCrosses(chunk({ delta: {}, text: "ab", finish_reason: null }) + END + DONE, "ab", true);
  });

  it("of pictures alone is an error where they cannot be told, and none beside a text", () => {
    const images = [{ type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } }];
    const odd: readonly (readonly [From, string])[] = [
      ["openai", whole({ content: "", images })],
      ["openai", chunk({ delta: { content: "", images }, finish_reason: null }) + END + DONE],
      ["ollama", line("", { message: { role: "assistant", content: "", images: ["AAAA"] }, done: true })],
    ];
    for (const [from, text] of odd) {
      const bytes = Buffer.from(text);
      const crossing = { from, to: "anthropic-messages", stream: true, bytes } as const;
      assert.throws(() => translated(crossing), { code: "backend_lost", message: /images/ });
    }
    assertSays("openai", whole({ content: "ab", images }), { text: "ab" });
  });

  it("has its thoughts where only their parts are told, and nothing in the place of an empty object", () => {
    const details = [
      { type: "reasoning.text", text: "hm" },
      { type: "reasoning.encrypted", data: "x" },
    ];
    assert.equal(toldOf({ reasoning_details: details }).thinking, "hm");
    assert.equal(toldOf({ thinking_blocks: [{ type: "thinking", thinking: "hm" }] }).thinking, "hm");
    assert.equal(toldOf({ reasoning: "hm", reasoning_details: details }).thinking, "hm");
    assert.equal(toldOf({ reasoning: {}, content: [] }).text, "ab");
  });
});

describe("the end of an answer", () => {
  const cut = chunk({ delta: {}, finish_reason: "length" });

  it("that was cut is not made whole by another word behind it", () => {
    const bytes = Buffer.from(say("ab") + cut + END + DONE);
    for (const stream of [true, false]) {
      const to = "anthropic-messages" as const;
      const told = readTold(to, translated({ from: "openai", to, stream, bytes }), stream);
      assert.equal(told.end, "max_tokens");
    }
    const crossing = { from: "openai", to: "openai-chat", stream: false, bytes } as const;
    assert.equal(readTold("openai-chat", relayed(crossing), false).end, "length");
  });

  it("keeps its word where a chunk behind it has none", () => {
    for (const none of ["", "null"]) {
      const bytes = Buffer.from(say("ab") + END + chunk({ delta: {}, finish_reason: none }) + DONE);
      const crossing = { from: "openai", to: "openai-chat", stream: false, bytes } as const;
      assert.equal(readTold("openai-chat", relayed(crossing), false).end, "stop");
    }
  });

  it("of a whole reply that is told as a stream has a reason", () => {
    const text = whole({ content: "ab" }).replace('"stop"', "null");
    const crossing = { from: "openai", to: "openai-chat", stream: true, bytes: Buffer.from(text) } as const;
    assert.equal(readTold("openai-chat", relayed(crossing), true).end, "stop");
  });

  it("of Ollama's kind is the last object that says so, in whatever word", () => {
    const twice =
      line("a", { done: true, done_reason: "stop" }) + line("b", { done: true, done_reason: "stop" });
    assertSays("ollama", twice, { text: "ab" });
    const broken = line("a", { done: true, done_reason: "stop" }) + line("b", { done: false });
    for (const way of waysOf("ollama", broken)) assert.throws(way, { code: "backend_lost" });
    for (const way of waysOf("ollama", line("a", { done: true, done_reason: "error" })))
      assert.throws(way, { code: "backend_lost" });
    const bytes = Buffer.from(line("a", { done: true, done_reason: "max_tokens" }));
    const to = "anthropic-messages" as const;
    assert.equal(
      readTold(to, translated({ from: "ollama", to, stream: true, bytes }), true).end,
      "max_tokens",
    );
  });
});

/** The counts that a message tells of a stream with this usage. */
function counted(usage: object): RegExpMatchArray | null {
  const bytes = Buffer.from(say("ab") + END + event({ choices: [], usage }) + DONE);
  const reply = translated({ from: "openai", to: "anthropic-messages", stream: false, bytes });
  return /"input_tokens":(\d+).*"output_tokens":(\d+)/.exec(reply);
}

describe("tokens", () => {
  it("that are told as zero or null are estimated, each by itself", () => {
    for (const none of [0, null]) {
      const [, prompt, completion] = counted({ prompt_tokens: none, completion_tokens: none }) ?? [];
      assert.ok(Number(prompt) > 0 && Number(completion) === 1, `${prompt}, ${completion}`);
      const [, , told] = counted({ prompt_tokens: none, completion_tokens: 7 }) ?? [];
      assert.equal(told, "7");
    }
  });

  it("under the names of OpenAI's other API are read", () => {
    const [, prompt, completion] = counted({ input_tokens: 5, output_tokens: 6 }) ?? [];
    assert.deepEqual([prompt, completion], ["5", "6"]);
  });
});
