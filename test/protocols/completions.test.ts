import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import type { Part } from "../../src/core/chat.ts";
import { Fault } from "../../src/core/fault.ts";
import type { JsonObject } from "../../src/core/json.ts";
import { serverCodec } from "../../src/protocols/dialects.ts";
import { ollamaClientCodec } from "../../src/protocols/ollama/client-codec.ts";
import { modelNotFound } from "../../src/protocols/ollama/faults.ts";
import { openaiClientCodec } from "../../src/protocols/openai/client-codec.ts";
import { OPENAI_PROFILES } from "../../src/protocols/openai/profiles.ts";
import type { Relay } from "../../src/protocols/codec.ts";
import { splitAt } from "../rig/split.ts";
import { loadTranscript, type Transcript } from "../rig/transcript.ts";

const endpoint = serverCodec("openai-completion");
const llamacpp = openaiClientCodec(OPENAI_PROFILES.llamacpp);
const cuts = fc.array(fc.nat(), { maxLength: 8 });

function recorded(start: string): Transcript {
  return loadTranscript(start.startsWith("05") ? "llamacpp" : "completions", start);
}

function bodyOf({ request }: Transcript): JsonObject {
  return JSON.parse(request) as JsonObject;
}

/** The parts of a choice, by its index. */
type PartOfChoice = readonly [number, Part];

function write(body: JsonObject, parts: readonly Part[]): string {
  const stream = body["stream"] === true;
  const context = { model: "Asked", stream, id: "1", now: () => 5000, startedAt: 0, body };
  const writer = endpoint.reply(context);
  assert.equal(writer.contentType, stream ? "text/event-stream" : "application/json");
  return parts.map((part) => writer.write(part)).join("");
}

function eventsOf(text: string): JsonObject[] {
  const events = text.trimEnd().split(/\r?\n\r?\n/);
  assert.equal(events.pop(), "data: [DONE]");
  return events.map((event) => JSON.parse(event.replace(/^data: /, "")) as JsonObject);
}

function choiceOf(reply: JsonObject): JsonObject {
  const [choice] = reply["choices"] as JsonObject[];
  assert.ok(choice);
  return choice;
}

function faultOf(run: () => unknown): Fault {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof Fault, String(error));
    return error;
  }
  throw new Error("nothing was thrown");
}

const end: Part = { type: "end", reason: "length", usage: { promptTokens: 11, completionTokens: 4 } };
const endOf = (promptTokens: number, completionTokens: number): Part => {
  return { type: "end", reason: "stop", usage: { promptTokens, completionTokens } };
};
const text = (said: string): Part => ({ type: "text-delta", text: said });

const token = (said: string): Part => ({
  type: "text-delta",
  text: said,
  logprobs: [{ token: said, logprob: -1, top: [{ token: "x", logprob: -2 }] }],
});

const relayOf = (one: Transcript, asked: string): Relay => {
  const way = llamacpp.passthrough("openai-completion");
  assert.ok(way);
  return way.relay({
    body: Buffer.from(one.request),
    stream: bodyOf(one)["stream"] === true,
    asked,
    model: "smollm2",
  });
};

const finished = (index: number): string =>
  `data: {"model":"m","choices":[{"text":"","index":${index},"finish_reason":"stop"}]}\n\n`;

const run = (body: object, events: string): string => {
  const way = llamacpp.passthrough("openai-completion");
  const relay = way?.relay({
    body: Buffer.from(JSON.stringify(body)),
    stream: true,
    asked: "m",
    model: "m",
  });
  assert.ok(relay);
  return Buffer.concat([relay.push(Buffer.from(events)), relay.end()]).toString();
};

const carries = (kind: keyof typeof OPENAI_PROFILES, bytes: Buffer): boolean | undefined =>
  openaiClientCodec(OPENAI_PROFILES[kind]).passthrough("openai-completion")?.carries?.(bytes);

describe("requests", () => {
  test("that Ollama answered are prompts in its template, as Ollama takes them", () => {
    for (const name of ["204", "205", "207", "210", "327"]) {
      const body = bodyOf(recorded(name));
      const stream = body["stream"] === true;
      assert.deepEqual(endpoint.validate(body), { model: body["model"], stream });
      const { path, body: sent } = ollamaClientCodec.encode(endpoint.decode(body), { model: "m", stream });
      assert.equal(path, "/api/generate");
      const {
        prompt,
        suffix,
        raw,
        options,
        logprobs,
        top_logprobs: top,
      } = JSON.parse(sent.toString()) as JsonObject;
      assert.deepEqual([prompt, suffix, raw], [body["prompt"], body["suffix"], undefined]);
      const { num_predict: limit, temperature } = options as JsonObject;
      assert.deepEqual([limit, temperature], [body["max_tokens"], body["temperature"] ?? 1]);
      assert.deepEqual([logprobs, top], name === "207" ? [true, 2] : [undefined, undefined]);
    }
  });

  test("without a prompt load the model", () => {
    for (const body of [bodyOf(recorded("209")), { model: "m", prompt: null }, { model: "m" }]) {
      assert.deepEqual(endpoint.decode(body), { kind: "load", unload: false });
    }
  });

  const lists: readonly (readonly [JsonObject, object])[] = [
    [{ prompt: ["one"] }, { prompt: "one", morePrompts: undefined, choices: undefined, suffix: undefined }],
    [
      { prompt: ["a", "b", "a"] },
      { prompt: "a", morePrompts: ["b", "a"], choices: undefined, suffix: undefined },
    ],
    [
      { prompt: ["a", "b"], n: 8 },
      { prompt: "a", morePrompts: ["b"], choices: 8, suffix: undefined },
    ],
    [
      { prompt: ["a", "b"], n: 2, best_of: 2, suffix: "z" },
      { prompt: "a", morePrompts: ["b"], choices: 2, suffix: "z" },
    ],
  ];
  for (const [body, read] of lists) {
    test(`with a list of prompts are all of them: ${JSON.stringify(body)}`, () => {
      const request = endpoint.decode({ model: "m", ...body });
      assert.ok(request.kind === "generate");
      const { prompt, morePrompts, choices, suffix } = request;
      assert.deepEqual({ prompt, morePrompts, choices, suffix }, read);
    });
  }

  const untranslatable: readonly [JsonObject, string][] = [
    [{ prompt: [1, 2] }, "a prompt of token ids"],
    [{ prompt: [[1], [2]] }, "a prompt of token ids"],
    [{ prompt: "a", echo: true }, "echo"],
    [{ prompt: "a", n: 2, best_of: 3 }, "best_of>n"],
    [{ prompt: "a", n: 17 }, "n>16"],
    [{ prompt: ["a", "b"], n: 17 }, "n>16"],
    [{ prompt: Array.from({ length: 17 }, () => "a") }, "more than 16 answers (17 prompts, n=1)"],
    [{ prompt: ["a", "b", "c"], n: 6 }, "more than 16 answers (3 prompts, n=6)"],
    [{ prompt: ["a", ""] }, "an empty prompt beside others"],
    [{ prompt: ["", "a"] }, "an empty prompt beside others"],
    [{ prompt: ["a", "b"], echo: true }, "echo"],
    [{ prompt: ["a", "b"], n: 2, best_of: 3 }, "best_of>n"],
    [{ prompt: "a", logprobs: 30 }, "logprobs=30"],
    [{ prompt: "a", response_format: { type: "grammar" } }, 'response_format of type "grammar"'],
  ];
  for (const [body, obstacle] of untranslatable) {
    test(`${obstacle}: taken for OpenAI backends, refused for others`, () => {
      const whole = { model: "m", ...body };
      assert.deepEqual(endpoint.validate(whole), { model: "m", stream: false });
      const fault = faultOf(() => endpoint.decode(whole));
      assert.deepEqual([fault.code, fault.http], ["unsupported", 400]);
      assert.equal(fault.message, `${obstacle} is not supported by the backend of this model`);
    });
  }

  test("that no backend could take are refused at once", () => {
    for (const body of [
      { prompt: 7 },
      { prompt: [] },
      { prompt: ["a", 1] },
      { prompt: "a", logprobs: "2" },
    ]) {
      assert.equal(faultOf(() => endpoint.validate({ model: "m", ...body })).code, "invalid_request");
    }
    assert.equal(faultOf(() => endpoint.validate({ prompt: "a" })).code, "model_required");
    const { body } = recorded("208");
    const told = JSON.parse(body.toString()) as { error: { message: string } };
    assert.equal(modelNotFound("nope", "openai-completion").message, told.error.message);
  });
});

describe("replies", () => {
  test("whole, with Ollama's keys and the prompt's usage", () => {
    const reply = JSON.parse(write({}, [text("Once "), text("upon"), end])) as JsonObject;
    assert.deepEqual(reply, {
      id: "cmpl-1",
      object: "text_completion",
      created: 5,
      model: "Asked",
      system_fingerprint: "fp_sgnet",
      choices: [{ text: "Once upon", index: 0, logprobs: null, finish_reason: "length" }],
      usage: { prompt_tokens: 11, completion_tokens: 4, total_tokens: 15 },
    });
    assert.deepEqual(Object.keys(reply), Object.keys(JSON.parse(recorded("204").body.toString()) as object));
  });

  test("streamed, with a usage only where it is asked for", () => {
    const parts = [text("a"), { type: "thinking-delta", text: "hm" } as const, text("b"), end];
    const plain = eventsOf(write({ stream: true }, parts));
    assert.deepEqual(
      plain.map((event) => [choiceOf(event)["text"], choiceOf(event)["finish_reason"], event["usage"]]),
      [
        ["a", null, undefined],
        ["b", null, undefined],
        ["", "length", undefined],
      ],
    );
    const asked = eventsOf(write({ stream: true, stream_options: { include_usage: true } }, parts));
    assert.deepEqual(
      asked.map(({ usage }) => usage),
      [null, null, null, { prompt_tokens: 11, completion_tokens: 4, total_tokens: 15 }],
    );
    assert.deepEqual(asked.at(-1)?.["choices"], []);
    const like = eventsOf(recorded("205").body.toString()).at(-1);
    assert.deepEqual(Object.keys(asked.at(-1) ?? {}).toSorted(), Object.keys(like ?? {}).toSorted());
  });

  /** Two answers to each of two prompts, as they may come: the choices of the first prompt are 0 and 1. */
  const mixed: readonly PartOfChoice[] = [
    [2, text("c")],
    [0, text("a")],
    [3, text("d")],
    [3, endOf(20, 1)],
    [0, endOf(10, 2)],
    [1, text("b")],
    [1, endOf(10, 4)],
    [2, endOf(20, 8)],
  ];
  const openMixed = (body: JsonObject): string => {
    const context = {
      model: "m",
      stream: body["stream"] === true,
      id: "1",
      now: () => 5000,
      startedAt: 0,
      body,
    };
    const writer = endpoint.reply({ ...context, choices: 4, perPrompt: 2 });
    return mixed.map(([choice, part]) => writer.write(part, choice)).join("");
  };
  const usageOfMixed = { prompt_tokens: 30, completion_tokens: 15, total_tokens: 45 };

  test("to several prompts, whole: the choices in order, each prompt counted once", () => {
    const { choices, usage } = JSON.parse(openMixed({})) as JsonObject;
    assert.deepEqual(
      (choices as JsonObject[]).map((choice) => [choice["index"], choice["text"]]),
      ["a", "b", "c", "d"].map((said, index) => [index, said]),
    );
    assert.deepEqual(usage, usageOfMixed);
  });

  test("to several prompts, streamed: as they come, the usage once", () => {
    const events = eventsOf(openMixed({ stream: true, stream_options: { include_usage: true } }));
    const last = events.pop();
    assert.deepEqual([last?.["choices"], last?.["usage"]], [[], usageOfMixed]);
    assert.deepEqual(
      events.map((event) => [
        choiceOf(event)["index"],
        choiceOf(event)["text"],
        choiceOf(event)["finish_reason"],
      ]),
      mixed.map(([index, part]) => {
        return part.type === "text-delta" ? [index, part.text, null] : [index, "", "stop"];
      }),
    );
  });

  test("never end in a load", () => {
    const parts: Part[] = [{ type: "end", reason: "load" }];
    const whole = JSON.parse(write({}, parts)) as JsonObject;
    assert.equal(choiceOf(whole)["finish_reason"], "stop");
    assert.deepEqual(whole["usage"], { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 });
    const [only] = eventsOf(write({ stream: true }, parts));
    assert.equal(choiceOf(only ?? {})["finish_reason"], "stop");
  });

  test("tell log probabilities as parallel lists", () => {
    const lists = {
      tokens: ["ab", "c"],
      token_logprobs: [-1, -1],
      top_logprobs: [{ x: -2 }, { x: -2 }],
      text_offset: [0, 2],
    };
    const whole = JSON.parse(write({}, [token("ab"), token("c"), end])) as JsonObject;
    assert.deepEqual(choiceOf(whole)["logprobs"], lists);
    const events = eventsOf(write({ stream: true }, [token("ab"), token("c"), end]));
    const offsets = events.map(
      (event) => (choiceOf(event)["logprobs"] as JsonObject | null)?.["text_offset"],
    );
    assert.deepEqual(offsets, [[0], [2], undefined]);
  });
});

describe("passing through", () => {
  for (const name of ["051", "052", "053", "054", "204", "205", "210"]) {
    test(`recorded ${name}, at any split`, () => {
      const one = recorded(name);
      const asked = endpoint.validate(bodyOf(one)).model;
      fc.assert(
        fc.property(cuts, (at) => {
          const relay = relayOf(one, asked);
          const chunks = splitAt(one.body, at);
          const bytes = Buffer.concat([...chunks.map((chunk) => relay.push(chunk)), relay.end()]);
          assert.equal(bytes.toString(), one.body.toString());
          assert.ok((relay.usage?.completionTokens ?? 0) > 0);
        }),
        { numRuns: 25 },
      );
      const relay = relayOf(one, "Other");
      const renamed = Buffer.concat([relay.push(one.body), relay.end()]).toString();
      assert.equal(renamed, one.body.toString().replaceAll(`"model":"${asked}"`, '"model":"Other"'));
    });
  }

  test("a stream that broke off is lost, as 327 did", () => {
    const one = recorded("327");
    const relay = relayOf(one, "smollm2");
    assert.throws(() => [relay.push(one.body), relay.end()], { code: /backend_/ });
  });

  test("a stream without [DONE] is whole when every choice of every prompt has ended", () => {
    const first = 'data: {"choices":[{"index":0,"text":"a","finish_reason":null}]}\n\n';
    assert.match(run({ prompt: ["a", "b"] }, first + finished(0) + finished(1)), /\[DONE\]/);
    assert.match(run({ prompt: [1, 2] }, first + finished(0)), /\[DONE\]/);
    assert.throws(() => run({ prompt: ["a", "b"] }, first + finished(0)), { code: "backend_lost" });
    assert.throws(() => run({ prompt: ["a", "b"], n: 2 }, first + finished(0) + finished(1)), {
      code: "backend_lost",
    });
  });

  test("requests keep their bytes, but for the model and a stream's usage", () => {
    const way = llamacpp.passthrough("openai-completion");
    const send = (body: string, stream: boolean): string => {
      const sent = way?.request({ body: Buffer.from(body), stream, asked: "m", model: "id" });
      assert.equal(sent?.path, "/v1/completions");
      return String(sent?.body);
    };
    assert.equal(
      send('{"model":"m", "prompt":["a"], "echo":true}', false),
      '{"model":"id", "prompt":["a"], "echo":true}',
    );
    const streamed = JSON.parse(send('{"model":"m","prompt":"a","stream":true}', true)) as JsonObject;
    assert.deepEqual(streamed["stream_options"], { include_usage: true });
  });

  test("a suffix goes where the backend minds it, or is refused", () => {
    const body = Buffer.from('{"model":"m","prompt":"a","suffix":"z"}');
    assert.equal(carries("vllm", body), true);
    assert.equal(carries("llamacpp", body), false);
    assert.equal(carries("llamacpp", Buffer.from('{"prompt":"a","suffix":""}')), true);
    assert.equal(carries("llamacpp", Buffer.from('{"prompt":"suffix"}')), true);
    assert.equal(carries("exo", body), undefined);
    const request = endpoint.decode(JSON.parse(body.toString()) as JsonObject);
    const target = { model: "m", stream: false };
    assert.equal(llamacpp.encode(request, target).path, "/infill");
    const lmstudio = openaiClientCodec(OPENAI_PROFILES.lmstudio);
    assert.throws(() => lmstudio.encode(request, target), { code: "not_implemented" });
  });
});
