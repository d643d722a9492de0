import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Answer, Backend } from "../../src/backends/backend.ts";
import { openEmbedded } from "../../src/backends/embedded/embedded.ts";
import { fetchWeights, WEIGHTS } from "../../src/backends/embedded/fetch.ts";
import { findWeights } from "../../src/backends/embedded/weights.ts";
import { isObject, type JsonObject } from "../../src/core/json.ts";
import type { Endpoint, Task } from "../../src/core/task.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { NO_PROGRESS } from "../rig/no-progress.ts";
import { aTask } from "../rig/task.ts";

const MODEL = "smollm2:135m";
const GREEDY = { temperature: 0, num_predict: 24 };

let count = 0;
const taskOf = (endpoint: Endpoint, body: JsonObject): Task => {
  count += 1;
  return aTask({
    id: `test.${count}`,
    endpoint,
    model: MODEL,
    stream: body["stream"] !== false,
    requestId: `request-${count}`,
    body: Buffer.from(JSON.stringify({ model: MODEL, ...body })),
  });
};

interface Run {
  readonly endpoint: Endpoint;
  readonly body: JsonObject;
  readonly signal?: AbortSignal;
  /** Sees every piece as it comes. */
  readonly onBytes?: (bytes: Buffer) => void;
}

interface Outcome {
  readonly answer: Answer;
  readonly type: string;
  readonly pieces: readonly string[];
}

const run = async (backend: Backend, { endpoint, body, signal, onBytes }: Run): Promise<Outcome> => {
  const pieces: string[] = [];
  let type = "";
  const sink = {
    head: (status: number, contentType: string): void => {
      assert.equal(status, 200);
      type = contentType;
    },
    write: (bytes: Buffer): void => {
      pieces.push(bytes.toString());
      onBytes?.(bytes);
    },
    progress: NO_PROGRESS,
  };
  const stop = signal ?? new AbortController().signal;
  const answer = await backend.run(taskOf(endpoint, body), MODEL, sink, stop);
  return { answer, type, pieces };
};

const linesOf = ({ pieces }: Outcome): JsonObject[] =>
  pieces
    .join("")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as JsonObject);

interface Completion {
  readonly choices: readonly { readonly index: number; readonly text: string }[];
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number };
}

/** The texts of a chat completion's choices. */
const choicesOf = ({ pieces }: Outcome): string[] => {
  const reply = JSON.parse(pieces.join("")) as { choices: { message: { content: string } }[] };
  return reply.choices.map(({ message }) => message.content);
};

/** The text of a reply of either Ollama endpoint. */
const textOf = (lines: readonly JsonObject[]): string =>
  lines
    .map(({ response, message }) => {
      const text = isObject(message) ? message["content"] : response;
      assert.ok(typeof text === "string");
      return text;
    })
    .join("");

interface Reply {
  readonly text: string;
  readonly last: JsonObject;
}

const generate = async (backend: Backend, body: JsonObject): Promise<Reply> => {
  const lines = linesOf(await run(backend, { endpoint: "ollama-generate", body }));
  return { text: textOf(lines), last: lines.at(-1) ?? {} };
};

const chat = async (backend: Backend, question: string, more: JsonObject = {}): Promise<string> => {
  const messages = [{ role: "user", content: question }];
  const body = { messages, options: GREEDY, ...more };
  return textOf(linesOf(await run(backend, { endpoint: "ollama-chat", body })));
};

/** The vectors of `POST /api/embed`. */
const embed = async (backend: Backend, body: JsonObject): Promise<number[][]> => {
  const { pieces, answer } = await run(backend, {
    endpoint: "ollama-embed",
    body: { stream: false, ...body },
  });
  const reply = JSON.parse(pieces.join("")) as { embeddings: number[][]; prompt_eval_count: number };
  assert.ok(reply.prompt_eval_count > 0);
  assert.equal(answer.usage?.promptTokens, reply.prompt_eval_count);
  return reply.embeddings;
};

const dot = (a: readonly number[], b: readonly number[]): number => {
  return a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
};

describe("embedded backend with real weights", { timeout: 600_000 }, () => {
  let cacheDir = "";
  let backend: Backend;

  before(async () => {
    cacheDir = await mkdtemp(join(tmpdir(), "sgnet-embedded-"));
    const shown: string[] = [];
    const options = { write: (text: string) => void shown.push(text), terminal: false };
    const path = join(cacheDir, WEIGHTS.file);
    const both = await Promise.all([fetchWeights(cacheDir, options), fetchWeights(cacheDir, options)]);
    assert.deepEqual(both, [path, path]);
    assert.match(shown.join(""), /100 % of 92\.9 MB\n/);
    const settings = { embeddedModel: "", embeddedSlots: 2, cacheDir };
    const log = openLog({ level: "error", format: "json" });
    backend = await openEmbedded({ settings, log });
  });

  after(async () => {
    await backend.close();
    await backend.close();
    await rm(cacheDir, { recursive: true });
  });

  it("keeps the weights and nothing else, and finds them again without fetching", async () => {
    assert.deepEqual(await readdir(cacheDir), [WEIGHTS.file]);
    const found = await findWeights({ embeddedModel: "", cacheDir }, { write: assert.fail });
    assert.deepEqual(found, { path: join(cacheDir, WEIGHTS.file), model: MODEL });
  });

  it("tells its one model from the file's metadata, and its slots", async () => {
    const { models, slots } = await backend.inspect(new AbortController().signal);
    assert.equal(slots, 2);
    assert.equal(models.length, 1);
    assert.partialDeepStrictEqual(models[0], {
      key: MODEL,
      name: MODEL,
      size: WEIGHTS.bytes,
      format: "gguf",
      family: "llama",
      parameterSize: "134.52M",
      quantization: "Q4_1",
      contextLength: 4096,
      capabilities: ["completion"],
      resident: true,
    });
    assert.match(models[0]?.digest ?? "", /^[0-9a-f]{64}$/);
  });

  it("streams real tokens with usage and timings", async () => {
    const body = { messages: [{ role: "user", content: "Count from 1 to 10." }], options: GREEDY };
    const outcome = await run(backend, { endpoint: "ollama-chat", body });
    const lines = linesOf(outcome);
    assert.equal(outcome.type, "application/x-ndjson");
    assert.ok(outcome.pieces.length > 5, "pieces come one by one");
    assert.match(textOf(lines), /1.*2.*3/s);
    assert.partialDeepStrictEqual(lines.at(-1), { done: true, done_reason: "length", eval_count: 24 });
    assert.equal(outcome.answer.usage?.completionTokens, 24);
    assert.ok((outcome.answer.usage?.promptTokens ?? 0) > 10);
    assert.ok((outcome.answer.timings?.eval ?? 0) > 1e6);
  });

  it("speaks OpenAI's dialect too", async () => {
    const body = {
      stream: false,
      temperature: 0,
      max_tokens: 8,
      messages: [{ role: "user", content: "Count from 1 to 10." }],
    };
    const { pieces, answer } = await run(backend, { endpoint: "openai-chat", body });
    const reply = JSON.parse(pieces.join("")) as { choices: { message: { content: string } }[] };
    assert.match(reply.choices[0]?.message.content ?? "", /1/);
    assert.equal(answer.usage?.completionTokens, 8);
  });

  it("counts a prompt's tokens exactly, in Anthropic's dialect", async () => {
    const messages = [{ role: "user", content: "Count from 1 to 10." }];
    const body = { messages, stream: false, max_tokens: 1 };
    const counted = await run(backend, { endpoint: "anthropic-count-tokens", body });
    const thinking = { type: "adaptive" };
    const asked = await run(backend, { endpoint: "anthropic-messages", body: { ...body, thinking } });
    assert.deepEqual(linesOf(counted), [{ input_tokens: asked.answer.usage?.promptTokens }]);
    assert.equal(counted.answer.usage, undefined);
  });

  it("answers equally at temperature 0: again, in the other slot, and beside other work", async () => {
    const story = "Tell me a story about a cat.";
    const alone = await chat(backend, story);
    const other = "Explain how a bicycle works. ".repeat(30);
    const beside = await Promise.all([chat(backend, story), chat(backend, story), chat(backend, other)]);
    assert.deepEqual(beside.slice(0, 2), [alone, alone]);
    assert.notEqual(beside[2], alone);
  });

  it("answers equally with equal seeds, and otherwise not", async () => {
    const poems: string[] = [];
    for (const seed of [7, 7, 8]) {
      const options = { temperature: 1, num_predict: 24, seed };
      poems.push(await chat(backend, "Write a poem.", { options }));
    }
    assert.equal(poems[0], poems[1]);
    assert.notEqual(poems[1], poems[2]);
  });

  it("makes several choices, beside each other, each with its own seed", async () => {
    const messages = [{ role: "user", content: "Write a poem." }];
    const body = { messages, max_completion_tokens: 12, seed: 7 };
    const alone: string[] = [];
    for (const seed of [7, 8, 9]) {
      const one = await run(backend, { endpoint: "openai-chat", body: { ...body, seed, stream: false } });
      alone.push(choicesOf(one)[0] ?? "");
    }
    let borrowed = 0;
    backend.useLender?.({ borrow: () => borrowed++ < 1, returnSlot: () => undefined });
    const outcome = await run(backend, { endpoint: "openai-chat", body: { ...body, n: 3, stream: false } });
    backend.useLender?.(undefined);
    assert.deepEqual(choicesOf(outcome), alone);
    assert.equal(new Set(alone).size, 3);
    assert.ok(borrowed > 1);
    assert.equal(outcome.answer.usage?.completionTokens, 36);
  });

  it("answers several prompts, each as if it were alone, and counts each prompt once", async () => {
    const body = { max_tokens: 8, seed: 7, stream: false };
    const complete = async (fields: JsonObject): Promise<Completion> => {
      const { pieces } = await run(backend, { endpoint: "openai-completion", body: { ...body, ...fields } });
      return JSON.parse(pieces.join("")) as Completion;
    };
    const prompts = ["Write a poem about the sea.", "Name a colour."];
    const alone: Completion[] = [];
    for (const prompt of prompts) alone.push(await complete({ prompt, n: 2 }));
    const { choices, usage } = await complete({ prompt: prompts, n: 2 });
    assert.deepEqual(
      choices.map(({ index, text }) => [index, text]),
      alone.flatMap((one) => one.choices).map(({ text }, index) => [index, text]),
    );
    assert.equal(new Set(choices.map(({ text }) => text)).size, 4);
    for (const key of ["prompt_tokens", "completion_tokens"] as const) {
      assert.equal(
        usage[key],
        alone.reduce((sum, one) => sum + one.usage[key], 0),
      );
    }
  });

  it("refuses several prompts before the first is answered when one of them is too long", async () => {
    const prompt = ["Hi", "word ".repeat(5000)];
    const asked = run(backend, { endpoint: "openai-completion", body: { prompt, stream: true } });
    await assert.rejects(asked, { code: "invalid_request", message: /exceeds the context length/ });
  });

  it("reads the whole history, and goes on with an open message of the assistant", async () => {
    const messages = [
      { role: "system", content: "You answer in one word." },
      { role: "user", content: "My name is Zebulon." },
      { role: "assistant", content: "Hello Zebulon!" },
      { role: "user", content: "What is my name?" },
      { role: "assistant", content: "Your name is" },
    ];
    assert.match(await chat(backend, "", { messages }), /^ Zebulon/);
  });

  it("cuts at a stop string inside of a line", async () => {
    const raw = { raw: true, prompt: "1, 2, 3, 4, 5, 6,", options: { ...GREEDY, stop: ["9, 1"] } };
    const { text, last } = await generate(backend, raw);
    assert.equal(text, " 7, 8, ");
    assert.equal(last["done_reason"], "stop");
  });

  it("never sends half a character", async () => {
    const fruits = "🍎 🍌 🍇 🍎 🍌 🍇 🍎 🍌 🍇 🍎 🍌";
    const options = { ...GREEDY, repeat_penalty: 1 };
    const outcome = await run(backend, {
      endpoint: "ollama-generate",
      body: { raw: true, prompt: fruits, options },
    });
    assert.match(textOf(linesOf(outcome)), /🍇/);
    assert.doesNotMatch(outcome.pieces.join(""), /\uFFFD/);
  });

  it("goes on from the context of the reply before", async () => {
    const options = { ...GREEDY, num_predict: 4 };
    const first = await generate(backend, { prompt: "My name is Zebulon.", options });
    const context = first.last["context"] as number[];
    assert.ok(context.length > 10);
    const second = await generate(backend, { prompt: "Hello.", context, options });
    assert.ok(Number(second.last["prompt_eval_count"]) > context.length);
    const wrong = generate(backend, { prompt: "Hello.", context: [1, 10_000_000] });
    await assert.rejects(wrong, { code: "invalid_request" });
  });

  it("writes JSON when asked to", async () => {
    const options = { temperature: 0, num_predict: 100 };
    const schema = {
      type: "object",
      properties: { name: { type: "string", maxLength: 20 }, age: { type: "integer" } },
      required: ["name", "age"],
    };
    const person = JSON.parse(await chat(backend, "Who are you?", { options, format: schema })) as object;
    assert.deepEqual(Object.keys(person), ["name", "age"]);
    const any = await chat(backend, "Give me a person as JSON.", { options, format: "json" });
    assert.equal(typeof JSON.parse(any), "object");
  });

  it("stops within a token when the signal aborts, and frees the slot", async () => {
    const stop = new AbortController();
    let pieces = 0;
    const running = run(backend, {
      endpoint: "ollama-generate",
      body: { prompt: "Tell me a very long story.", options: { temperature: 0 } },
      signal: stop.signal,
      onBytes: () => {
        pieces += 1;
        if (pieces === 3) stop.abort("client-gone");
      },
    });
    await assert.rejects(running, { code: "cancelled" });
    assert.equal(pieces, 3);
    assert.match(await chat(backend, "Count from 1 to 10."), /1.*2.*3/s);
  });

  it("refuses what the model cannot do, in Ollama's words", async () => {
    const tool = { type: "function", function: { name: "now", parameters: { type: "object" } } };
    const refused = { code: "unsupported", http: 400 };
    const message = (text: RegExp): object => ({ ...refused, message: text });
    await assert.rejects(chat(backend, "Hi", { tools: [tool] }), message(/does not support tools$/));
    await assert.rejects(
      chat(backend, "Hi", { think: true }),
      message(/^"smollm2:135m" does not support thinking$/),
    );
    const suffix = generate(backend, { prompt: "a", suffix: "b" });
    await assert.rejects(suffix, message(/does not support insert$/));
    const images = ["iVBORw0KGgo="];
    const picture = chat(backend, "", { messages: [{ role: "user", content: "Hi", images }] });
    await assert.rejects(picture, message(/does not support images$/));
  });

  it("refuses prompts that leave no room, endless ones without reading them", async () => {
    const tooLong = { code: "invalid_request", message: /exceeds the context length/ };
    const long = generate(backend, { raw: true, prompt: "word ".repeat(4100) });
    await assert.rejects(long, tooLong);
    const usedBefore = process.cpuUsage();
    await assert.rejects(chat(backend, "a".repeat(20_000_000)), tooLong);
    const { user, system } = process.cpuUsage(usedBefore);
    assert.ok(user + system < 5_000_000, "reading it would take 10 s of work");
  });

  it("answers load and unload requests", async () => {
    assert.equal((await generate(backend, {})).last["done_reason"], "load");
    assert.equal((await generate(backend, { keep_alive: 0 })).last["done_reason"], "unload");
  });

  it("makes vectors of texts: alike for like meanings, the same every time, cut as asked", async () => {
    const [cat, kitten, engine] = await embed(backend, {
      input: ["The cat sat on the mat.", "The cat sat on the rug.", "def main(argv): return 0"],
    });
    assert.ok(cat && kitten && engine);
    assert.ok(Math.abs(Math.hypot(...cat) - 1) < 1e-5);
    assert.ok(dot(cat, kitten) > dot(cat, engine));
    const [again] = await embed(backend, { input: "The cat sat on the mat." });
    assert.deepEqual(again, cat);
    const [short] = await embed(backend, { input: "The cat sat on the mat.", dimensions: 4 });
    assert.equal(short?.length, 4);
    assert.ok(Math.abs(Math.hypot(...short) - 1) < 1e-9);
    const legacy = await run(backend, {
      endpoint: "ollama-embeddings",
      body: { prompt: "cat", stream: false },
    });
    const { embedding } = JSON.parse(legacy.pieces.join("")) as { embedding: number[] };
    assert.equal(embedding.length, cat.length);
  });

  it("cuts texts too long for a vector, or refuses them, and endless ones without reading them", async () => {
    const long = "word ".repeat(600);
    const [cut] = await embed(backend, { input: long });
    const [endless] = await embed(backend, { input: "word ".repeat(4_000_000) });
    assert.deepEqual(endless, cut);
    // Reading the endless one would take minutes: the suite's time limit would end it.
    const exceeds = { code: "invalid_request", message: "the input length exceeds the context length" };
    await assert.rejects(embed(backend, { input: long, truncate: false }), exceeds);
    await assert.rejects(embed(backend, { input: ["a", ""] }), { http: 400, message: /cannot be truncated/ });
    const tokens = run(backend, { endpoint: "openai-embeddings", body: { input: [1, 2] } });
    await assert.rejects(tokens, { http: 400, message: "invalid input type" });
  });

  it("stops making vectors when the signal aborts", async () => {
    const stop = new AbortController();
    const body = { input: Array.from({ length: 500 }, (_, index) => `text ${index}`), stream: false };
    const running = run(backend, { endpoint: "ollama-embed", body, signal: stop.signal });
    stop.abort("client-gone");
    await assert.rejects(running, { code: "cancelled" });
    assert.equal((await embed(backend, { input: ["a", "b"] })).length, 2);
  });

  it("tells when the model has a request, and of each piece of a whole answer", async () => {
    const told: string[] = [];
    const progress = {
      connecting: () => void told.push("connecting"),
      sent: () => void told.push("sent"),
      alive: () => void told.push("alive"),
    };
    const sink = { head: () => {}, write: () => void told.push("written"), progress };
    const messages = [{ role: "user", content: "Hi" }];
    const task = taskOf("ollama-chat", {
      messages,
      stream: false,
      options: { num_predict: 4, temperature: 0 },
    });
    await backend.run({ ...task, stream: false }, MODEL, sink, new AbortController().signal);
    assert.equal(told[0], "sent");
    assert.equal(told.at(-1), "written");
    assert.ok(told.length > 3);
    assert.ok(
      told.slice(1, -1).every((word) => word === "alive"),
      told.join(" "),
    );
  });

  it("does not run other models", async () => {
    const sink = { head: () => assert.fail(), write: () => assert.fail(), progress: NO_PROGRESS };
    const task = taskOf("ollama-chat", { messages: [{ role: "user", content: "Hi" }] });
    const other = backend.run(task, "llama3", sink, new AbortController().signal);
    await assert.rejects(other, { code: "model_not_found" });
  });

  it("ends what is running when it is closed, then takes nothing more", async () => {
    const settings = { embeddedModel: join(cacheDir, WEIGHTS.file), embeddedSlots: 1, cacheDir };
    const lines: string[] = [];
    const log = openLog({ level: "info", format: "json", write: (line) => void lines.push(line) });
    const mine = await openEmbedded({ settings, log });
    const { models } = await mine.inspect(new AbortController().signal);
    const name = models[0]?.name ?? "";
    assert.equal(name, "SmolLM2-135M-Instruct.Q4_1");
    assert.match(lines.join(""), /loadMs/);
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const sink = { head: () => {}, write: () => begin(), progress: NO_PROGRESS };
    const never = new AbortController().signal;
    const task = taskOf("ollama-generate", { prompt: "Tell me a very long story." });
    const running = mine.run(task, name, sink, never);
    const waiting = mine.run(task, name, sink, never);
    const ends = [
      assert.rejects(running, { code: "draining" }),
      assert.rejects(waiting, { code: "draining" }),
    ];
    await begun;
    await mine.close();
    await Promise.all(ends);
    await assert.rejects(mine.run(task, name, sink, never), { code: "draining" });
  });
});

describe("embedded backend with a file of the user's", () => {
  it("says in one sentence what is wrong with it", async () => {
    const folder = await mkdtemp(join(tmpdir(), "sgnet-embedded-"));
    const open = (embeddedModel: string): Promise<Backend> =>
      openEmbedded({
        settings: { embeddedModel, embeddedSlots: 1, cacheDir: folder },
        log: openLog({ level: "error", format: "json" }),
      });
    const path = (name: string): string => join(folder, name);
    await writeFile(path("text.gguf"), "hello");
    await writeFile(path("torn.gguf"), "GGUF\u0003");
    const missing = { code: "model_not_found", message: /cannot be read\.$/ };
    await assert.rejects(open(path("missing.gguf")), missing);
    await assert.rejects(open(folder), missing);
    const text = { code: "model_not_found", message: /is not a GGUF file\.$/ };
    await assert.rejects(open(path("text.gguf")), text);
    await assert.rejects(open(path("torn.gguf")), { code: "internal", message: /cannot be loaded/ });
    await rm(folder, { recursive: true });
  });
});
