import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { NeutralRequest, Part, TokenLogprob } from "../../src/core/chat.ts";
import type { JsonObject } from "../../src/core/json.ts";
import { openaiClientCodec } from "../../src/protocols/openai/client-codec.ts";
import { OPENAI_PROFILES } from "../../src/protocols/openai/profiles.ts";
import type { PassthroughOptions, Relay } from "../../src/protocols/codec.ts";
import { splitAt } from "../rig/split.ts";
import { loadTranscript, transcriptNames } from "../rig/transcript.ts";
import type { Transcript } from "../rig/transcript.ts";

const codec = openaiClientCodec(OPENAI_PROFILES.llamacpp);
const chat: NeutralRequest = { kind: "chat", messages: [], sampling: {} };
const cuts = fc.array(fc.nat(), { maxLength: 10 });
const RUNS = { numRuns: 25 };

const recorded = [
  ...transcriptNames("llamacpp").map((name) => loadTranscript("llamacpp", name)),
  ...transcriptNames("openai").map((name) => loadTranscript("openai", name)),
].filter(({ path }) => path.startsWith("/v1/"));
const broken = loadTranscript("openai", "323");
const answers = recorded.filter(({ status, name }) => status === 200 && name !== broken.name);
const streams = answers.filter(isStream);
const refusals = recorded.filter(({ status }) => status !== 200);

function isStream({ headers }: Transcript): boolean {
  return headers.get("content-type") === "text/event-stream";
}

function read(chunks: readonly Buffer[], stream: boolean, request: NeutralRequest = chat): Part[] {
  const reader = codec.reader({ request, stream });
  return [...chunks.flatMap((chunk) => [...reader.push(chunk)]), ...reader.end()];
}

/** The reply objects of a recording, read without the code under test. */
function objectsOf(transcript: Transcript): JsonObject[] {
  const text = transcript.body.toString();
  if (!isStream(transcript)) return [JSON.parse(text) as JsonObject];
  const lines = text.split("\n").filter((line) => line.startsWith("data: {"));
  return lines.map((line) => JSON.parse(line.slice("data: ".length)) as JsonObject);
}

interface Summary {
  text: string;
  thinking: string;
  tools: string[];
  finish: string | undefined;
}

function recordedSummary(transcript: Transcript): Summary {
  const summary: Summary = { text: "", thinking: "", tools: [], finish: undefined };
  for (const object of objectsOf(transcript)) {
    const [choice] = object["choices"] as JsonObject[];
    const message = (choice?.["delta"] ?? choice?.["message"] ?? {}) as Record<string, string>;
    summary.text += message["content"] ?? (choice?.["text"] as string | undefined) ?? "";
    summary.thinking += message["reasoning"] ?? message["reasoning_content"] ?? "";
    const calls = (message["tool_calls"] ?? []) as unknown as { function: { arguments: string } }[];
    summary.tools.push(...calls.map((call) => call.function.arguments));
    summary.finish = (choice?.["finish_reason"] as string | null | undefined) ?? summary.finish;
  }
  return summary;
}

function readSummary(parts: readonly Part[]): Summary {
  const summary: Summary = { text: "", thinking: "", tools: [], finish: undefined };
  for (const part of parts) {
    if (part.type === "text-delta") summary.text += part.text;
    if (part.type === "thinking-delta") summary.thinking += part.text;
    if (part.type === "tool-delta") summary.tools.push(part.arguments);
    if (part.type === "end") summary.finish = part.reason.replace("-", "_");
  }
  return summary;
}

function isLost(thrown: unknown): boolean {
  return (thrown as { code?: unknown }).code === "backend_lost";
}

const endOf = (name: string, dialect = "llamacpp"): unknown => {
  const transcript = loadTranscript(dialect, name);
  const part = read(transcript.chunks, isStream(transcript)).at(-1);
  return part?.type === "end" ? { usage: part.usage, timings: part.timings } : undefined;
};

const tokensOf = (name: string, dialect: string, top: number): TokenLogprob[] => {
  const transcript = loadTranscript(dialect, name);
  const parts = read(transcript.chunks, isStream(transcript), { ...chat, logprobs: { top } });
  return parts.flatMap((part) => (part.type === "text-delta" ? (part.logprobs ?? []) : []));
};

function isBusy(thrown: unknown): boolean {
  return (thrown as { code?: unknown }).code === "backend_busy";
}

describe("reading recorded replies", () => {
  for (const transcript of answers) {
    it(`${transcript.path} ${transcript.name}, at any split`, () => {
      const whole = read([transcript.body], isStream(transcript));
      assert.deepEqual(readSummary(whole), recordedSummary(transcript));
      assert.equal(whole.filter((part) => part.type === "end").length, 1);
      assert.equal(whole.at(-1)?.type, "end");
      fc.assert(
        fc.property(cuts, (at) => {
          assert.deepEqual(read(splitAt(transcript.body, at), isStream(transcript)), whole);
        }),
        RUNS,
      );
    });
  }

  it("takes counts from the usage chunk, from the whole reply and from llama.cpp's timings", () => {
    const usage = { promptTokens: 33, completionTokens: 8, cachedTokens: 32 };
    assert.deepEqual(endOf("019"), { usage, timings: { promptEval: 6_838_000, eval: 86_706_000 } });
    assert.deepEqual((endOf("020") as { usage: unknown }).usage, usage);
    assert.deepEqual((endOf("018") as { usage: unknown }).usage, { ...usage, cachedTokens: 0 });
    assert.deepEqual(endOf("173", "openai"), {
      usage: { promptTokens: 12, completionTokens: 8 },
      timings: undefined,
    });
    assert.deepEqual(endOf("172", "openai"), {
      usage: { promptTokens: 0, completionTokens: 8 },
      timings: undefined,
    });
  });

  it("reads log probabilities, with as many alternatives as asked for", () => {
    const streamed = tokensOf("035", "llamacpp", 2);
    assert.deepEqual(
      streamed.map(({ token, top }) => [token, top?.map((other) => other.token)]),
      [
        ["Hello", ["Hello", "I"]],
        [" there", [" there", "!"]],
      ],
    );
    assert.deepEqual(tokensOf("034", "llamacpp", 2), streamed);
    assert.deepEqual(
      tokensOf("054", "llamacpp", 0).map(({ token, bytes, top }) => ({ token, bytes, top })),
      [
        { token: "-", bytes: [45], top: undefined },
        { token: "in", bytes: [105, 110], top: undefined },
      ],
    );
    assert.deepEqual(tokensOf("198", "openai", 2), tokensOf("199", "openai", 2));
  });

  it("reads llama.cpp's own form, which its infill endpoint speaks", () => {
    for (const name of ["055", "056"]) {
      const parts = read(loadTranscript("llamacpp", name).chunks, name === "056");
      assert.deepEqual(readSummary(parts), {
        text: " the scene, a",
        thinking: "",
        tools: [],
        finish: "length",
      });
      const end = parts.at(-1);
      assert.equal(end?.type === "end" && end.usage?.completionTokens, 4);
    }
  });
});

describe("recorded errors of backends", () => {
  for (const { name, status, body } of refusals) {
    it(`${name} keeps its message`, () => {
      const fault = codec.readError(status, body, undefined);
      const message = (JSON.parse(body.toString()) as { error: { message: string } }).error.message;
      assert.ok(fault.message !== "" && message.includes(fault.message.replace(/^the backend .* 401: /, "")));
      // A refusal of the worker itself is the operator's matter.
      assert.equal(fault.http, status === 401 ? 502 : status);
    });
  }
});

function relayOf(transcript: Transcript, changes: Partial<PassthroughOptions> = {}): Relay {
  const [first] = objectsOf(transcript);
  const relay = codec.passthrough("openai-chat")?.relay({
    body: Buffer.from(transcript.request),
    stream: isStream(transcript),
    asked: first?.["model"] as string,
    model: "m",
    ...changes,
  });
  assert.ok(relay !== undefined);
  return relay;
}

function forward(relay: Relay, chunks: readonly Buffer[]): string {
  return Buffer.concat([...chunks.map((chunk) => relay.push(chunk)), relay.end()]).toString();
}

describe("passing recorded replies through", () => {
  for (const transcript of answers) {
    it(`${transcript.name} unchanged, at any split`, () => {
      fc.assert(
        fc.property(cuts, (at) => {
          const relay = relayOf(transcript);
          assert.equal(forward(relay, splitAt(transcript.body, at)), transcript.body.toString());
          assert.ok(relay.usage !== undefined);
        }),
        RUNS,
      );
    });
  }

  for (const transcript of streams.filter(({ request }) => request.includes("include_usage"))) {
    it(`${transcript.name} without the usage chunk when the client did not ask for it`, () => {
      const relay = relayOf(transcript, { body: Buffer.from('{"stream":true}') });
      const events = transcript.body.toString().split("\n\n");
      assert.equal(
        forward(relay, transcript.chunks),
        events.filter((event) => !event.includes('"choices":[]')).join("\n\n"),
      );
      const last = objectsOf(transcript).at(-1)?.["usage"] as Record<string, number>;
      assert.equal(relay.usage?.promptTokens, last["prompt_tokens"]);
      assert.equal(relay.usage?.completionTokens, last["completion_tokens"]);
    });
  }

  it("hands a chunk of whole events over without a copy", () => {
    const relay = relayOf(loadTranscript("llamacpp", "019"));
    const token = Buffer.from(
      'data: {"model":"smollm2","choices":[{"delta":{"content":"a"},"finish_reason":null}]}\n\n',
    );
    assert.equal(relay.push(token), token);
  });

  it("says the model the client asked for, and nothing else is different", () => {
    for (const transcript of answers) {
      const asked = 'Org/Mödel-"1$&';
      const sent = forward(relayOf(transcript, { asked }), transcript.chunks);
      const wanted = transcript.body
        .toString()
        .replaceAll(/"model":"[^"]*"/g, () => `"model":${JSON.stringify(asked)}`);
      assert.equal(sent, wanted);
    }
  });
});

const HEAD = '{"object":"chat.completion.chunk","model":"m",';
const TOKEN = `data: ${HEAD}"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n`;
const FINISH = `data: ${HEAD}"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n`;
const DONE = "data: [DONE]\n\n";

function relayText(text: string, body = '{"stream":true}'): string {
  const relay = codec
    .passthrough("openai-chat")
    ?.relay({ body: Buffer.from(body), stream: true, asked: "m", model: "m" });
  assert.ok(relay !== undefined);
  return forward(relay, [Buffer.from(text)]);
}

/** The fault code with which reading and relaying the stream end. */
function codesOf(text: string): unknown[] {
  return [() => read([Buffer.from(text)], true), () => relayText(text)].map((run) => {
    try {
      run();
      return undefined;
    } catch (thrown) {
      return (thrown as { code?: unknown }).code;
    }
  });
}

describe("streams that die", () => {
  const cases: readonly [string, string, string | undefined][] = [
    ["ends before a finish reason", TOKEN, "backend_lost"],
    ["ends inside an event", TOKEN + FINISH.slice(0, 40), "backend_lost"],
    ["is empty", "", "backend_lost"],
    ["says [DONE] before a finish reason", TOKEN + DONE, "backend_lost"],
    ["reports an error", `${TOKEN}data: {"error":{"message":"boom","code":500}}\n\n${DONE}`, "backend_error"],
    ["reports an overload", `${TOKEN}data: {"error":{"message":"full","code":503}}\n\n`, "backend_busy"],
    ["reports an error event", `${TOKEN}event: error\ndata: {"message":"boom"}\n\n`, "backend_error"],
    ["reports an error in the old form", `data: {"object":"error","message":"boom"}\n\n`, "backend_error"],
    ["finishes with an error", FINISH.replace("stop", "abort") + DONE, "backend_lost"],
    ["has no [DONE]", TOKEN + FINISH, undefined],
    ["lacks only the last blank line", (TOKEN + FINISH + DONE).trimEnd(), undefined],
  ];
  for (const [name, text, code] of cases) {
    it(`${name}: ${code ?? "complete"}`, () => assert.deepEqual(codesOf(text), [code, code]));
  }

  it("events that share a piece with an error are forwarded before it", () => {
    const relay = codec
      .passthrough("openai-chat")
      ?.relay({ body: Buffer.from('{"stream":true}'), stream: true, asked: "m", model: "m" });
    const error = 'data: {"error":{"message":"full","code":503}}\n\n';
    assert.equal(relay?.push(Buffer.from(TOKEN + error)).toString(), TOKEN);
    assert.throws(() => relay?.push(Buffer.from(DONE)), isBusy);
    assert.throws(() => relay?.end(), isBusy);
  });

  it("the recorded crash is told as one", () => {
    assert.throws(() => forward(relayOf(broken), broken.chunks), isLost);
    assert.throws(() => read(broken.chunks, true), isLost);
  });

  it("a truncated reply that is no stream is lost, not an answer", () => {
    const { body } = loadTranscript("llamacpp", "018");
    const half = [body.subarray(0, body.length / 2)];
    assert.throws(() => read(half, false), isLost);
    assert.throws(() => forward(relayOf(loadTranscript("llamacpp", "018")), half), isLost);
  });

  it("an error in a reply with status 200 that is no stream is an error", () => {
    const bytes = Buffer.from('{"error":{"message":"boom","code":503}}');
    assert.throws(() => read([bytes], false), isBusy);
    assert.throws(() => forward(relayOf(loadTranscript("llamacpp", "018")), [bytes]), isBusy);
  });

  it("[DONE] is added where the backend leaves it out, once every choice has finished", () => {
    assert.equal(relayText(TOKEN + FINISH), TOKEN + FINISH + DONE);
    assert.equal(relayText((TOKEN + FINISH + DONE).trimEnd()), TOKEN + FINISH + DONE);
    assert.throws(() => relayText(TOKEN + FINISH, '{"stream":true,"n":2}'));
    const both = TOKEN + FINISH + FINISH.replace('"index":0', '"index":1');
    assert.equal(relayText(both, '{"stream":true,"n":2}'), both + DONE);
  });

  it("words of the protocol inside a token mean nothing", () => {
    const token = TOKEN.replace(
      '"a"',
      JSON.stringify('data: [DONE] "error": "finish_reason":"stop" event: error'),
    );
    assert.equal(relayText(token + FINISH + DONE), token + FINISH + DONE);
    assert.deepEqual(codesOf(token), ["backend_lost", "backend_lost"]);
  });
});

const chunk = (delta: string, rest = '"finish_reason":null'): string =>
  `data: {"choices":[{"index":0,"delta":${delta},${rest}}]}\n\n`;

const tools = (text: string): Part[] => read([Buffer.from(text + FINISH)], true).slice(0, -1);

describe("shapes that only some backends send", () => {
  it("tool calls in fragments, in one piece, without index, id or arguments", () => {
    assert.deepEqual(
      tools(
        chunk(
          '{"tool_calls":[{"index":0,"id":"x","type":"function","function":{"name":"f","arguments":""}}]}',
        ) +
          chunk('{"tool_calls":[{"index":0,"function":{"arguments":"{\\"a\\":"}}]}') +
          chunk('{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}') +
          chunk('{"tool_calls":[{"index":1,"id":"y","function":{"name":"g","arguments":""}}]}'),
      ),
      [
        { type: "tool-delta", index: 0, id: "x", name: "f", arguments: '{"a":' },
        { type: "tool-delta", index: 0, arguments: "1}" },
        { type: "tool-delta", index: 1, id: "y", name: "g", arguments: "" },
        { type: "tool-delta", index: 1, arguments: "{}" },
      ],
    );
    assert.deepEqual(
      tools(
        chunk('{"tool_calls":[{"id":"x","function":{"name":"f","arguments":{"a":1}}}]}') +
          chunk('{"tool_calls":[{"function":{"name":"g","arguments":"{}"}}]}'),
      ),
      [
        { type: "tool-delta", index: 0, id: "x", name: "f", arguments: '{"a":1}' },
        { type: "tool-delta", index: 1, id: "call_1", name: "g", arguments: "{}" },
      ],
    );
    assert.deepEqual(tools(chunk('{"function_call":{"name":"f","arguments":"{}"}}')), [
      { type: "tool-delta", index: 0, id: "call_0", name: "f", arguments: "{}" },
    ]);
    const half = tools(
      chunk('{"tool_calls":[{"index":0,"id":"x","function":{"name":"f","arguments":"{\\"a"}}]}'),
    );
    assert.deepEqual(half, [{ type: "tool-delta", index: 0, id: "x", name: "f", arguments: '{"a' }]);
  });

  it("Exo: comments, a role on every chunk, usage on the finish chunk", () => {
    const text =
      ': keep-alive\n\n: prefill_progress {"a":1}\n\n' +
      chunk('{"role":"assistant","content":"a"}') +
      'data: {"object":"chat.completion","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"completion_tokens_details":{"reasoning_tokens":1}}}\n\n' +
      ': generation_stats {"b":2}\n\ndata: [DONE]\n\n';
    assert.deepEqual(read([Buffer.from(text)], true), [
      { type: "text-delta", text: "a" },
      {
        type: "end",
        reason: "tool-calls",
        usage: { promptTokens: 3, completionTokens: 1, reasoningTokens: 1 },
      },
    ]);
    assert.equal(relayText(text), text);
  });

  it("log probabilities in the parallel lists of /v1/completions", () => {
    const text = `data: {"choices":[{"index":0,"text":"ab","logprobs":{"tokens":["a","b"],"token_logprobs":[-1,-2],"top_logprobs":[{"a":-1,"c":-3},null]},"finish_reason":"content_filter"}]}\n\n${DONE}`;
    assert.deepEqual(read([Buffer.from(text)], true, { ...chat, logprobs: { top: 1 } }), [
      {
        type: "text-delta",
        text: "ab",
        logprobs: [
          { token: "a", logprob: -1, top: [{ token: "a", logprob: -1 }] },
          { token: "b", logprob: -2 },
        ],
      },
      { type: "end", reason: "content-filter", usage: { promptTokens: 0, completionTokens: 1 } },
    ]);
  });
});
