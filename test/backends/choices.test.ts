import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { Answer, AttemptProgress, ReplySink, SlotLender } from "../../src/backends/backend.ts";
import { choicesOf, requestOfChoice, runChoices } from "../../src/backends/choices.ts";
import type { HttpKind } from "../../src/backends/profiles.ts";
import type { GenerateRequest, Sampling } from "../../src/core/chat.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Endpoint, Task } from "../../src/core/task.ts";
import type { StandInOptions } from "../rig/backends/stand-in.ts";
import { NO_PROGRESS } from "../rig/no-progress.ts";
import { sceneOf } from "./scene.ts";
import { aTask } from "../rig/task.ts";

/** Lends so many slots, and refuses to take back more than it lent. */
class Slots implements SlotLender {
  readonly all: number;
  free: number;

  constructor(free: number) {
    this.all = free;
    this.free = free;
  }

  borrow(): boolean {
    if (this.free === 0) return false;
    this.free -= 1;
    return true;
  }

  returnSlot(): void {
    assert.ok(this.free < this.all);
    this.free += 1;
  }
}

/** Runs that end when they are told to. */
class Runs {
  readonly begun: number[] = [];
  running = 0;
  peak = 0;
  readonly #ends = new Map<number, PromiseWithResolvers<void>>();

  readonly run = async (choice: number, signal: AbortSignal): Promise<void> => {
    this.begun.push(choice);
    this.running += 1;
    this.peak = Math.max(this.peak, this.running);
    const end = Promise.withResolvers<void>();
    this.#ends.set(choice, end);
    signal.addEventListener("abort", () => end.reject(signal.reason as Error));
    await end.promise.finally(() => (this.running -= 1));
  };

  end(choice: number, fault?: Fault): void {
    const end = this.#ends.get(choice);
    if (fault === undefined) end?.resolve();
    else end?.reject(fault);
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const seedOfChoice = (sampling: Sampling, choice: number): number | undefined =>
  requestOfChoice({ kind: "chat", messages: [], choices: 3, sampling }, choice).sampling.seed;

/** The prompts and seeds of the runs of a request with two choices per prompt. */
const runsOf = (fields: Partial<GenerateRequest>): (readonly [string, number | undefined])[] => {
  const request: GenerateRequest = {
    kind: "generate",
    prompt: "a",
    raw: false,
    images: [],
    sampling: {},
    choices: 2,
    ...fields,
  };
  return Array.from({ length: choicesOf(request) }, (_, choice) => {
    const { prompt, sampling } = requestOfChoice(request, choice);
    return [prompt, sampling.seed];
  });
};

const never = new AbortController().signal;

describe("the choices of a task", () => {
  it("run one after another without a lender, and with one that has nothing to lend", async () => {
    for (const lender of [undefined, new Slots(0)]) {
      const runs = new Runs();
      const done = runChoices({ choices: 3, lender, signal: never, run: runs.run });
      for (const choice of [0, 1, 2]) {
        await turn();
        assert.deepEqual(runs.begun, [0, 1, 2].slice(0, choice + 1));
        runs.end(choice);
      }
      await done;
    }
  });

  it("run beside each other on free slots, each once, and give all slots back", async () => {
    const counts = { choices: fc.integer({ min: 1, max: 16 }), free: fc.integer({ min: 0, max: 16 }) };
    await fc.assert(
      fc.asyncProperty(fc.record(counts), fc.infiniteStream(fc.nat()), async ({ choices, free }, dice) => {
        const lender = new Slots(free);
        const runs = new Runs();
        const done = runChoices({ choices, lender, signal: never, run: runs.run });
        const ended = new Set<number>();
        while (ended.size < choices) {
          await turn();
          const open = runs.begun.filter((choice) => !ended.has(choice));
          const one = open[Number(dice.next().value) % open.length] ?? 0;
          ended.add(one);
          runs.end(one);
        }
        await done;
        assert.deepEqual(
          runs.begun,
          Array.from({ length: choices }, (_, choice) => choice),
        );
        assert.equal(runs.peak, Math.min(choices, free + 1));
        assert.equal(lender.free, free);
      }),
      { numRuns: 50 },
    );
  });

  it("all stop when one fails, and its reason is told when all have stopped", async () => {
    const lender = new Slots(2);
    const runs = new Runs();
    const done = runChoices({ choices: 8, lender, signal: never, run: runs.run });
    await turn();
    assert.deepEqual(runs.begun, [0, 1, 2]);
    runs.end(1, new Fault("backend_busy", "full"));
    await assert.rejects(done, { code: "backend_busy" });
    assert.deepEqual([runs.begun.length, runs.running, lender.free], [3, 0, 2]);
  });

  it("all stop when the task is stopped", async () => {
    const stop = new AbortController();
    const runs = new Runs();
    const done = runChoices({ choices: 3, lender: new Slots(1), signal: stop.signal, run: runs.run });
    await turn();
    stop.abort(new Fault("cancelled", "gone"));
    await assert.rejects(done, { code: "cancelled" });
    assert.deepEqual([runs.begun.length, runs.running], [2, 0]);
  });

  it("leave the slots to tasks that were claimed together with theirs", async () => {
    const lender = new Slots(3);
    const runs = new Runs();
    const done = runChoices({ choices: 4, lender, signal: never, run: runs.run });
    lender.free -= 3;
    await turn();
    assert.deepEqual(runs.begun, [0]);
    for (const choice of [0, 1, 2, 3]) {
      runs.end(choice);
      await turn();
    }
    await done;
  });

  it("have seeds of their own where there is one", () => {
    assert.deepEqual(
      [0, 1, 2].map((choice) => seedOfChoice({ seed: 7 }, choice)),
      [7, 8, 9],
    );
    assert.deepEqual([seedOfChoice({ seed: -1 }, 2), seedOfChoice({}, 2)], [-1, undefined]);
  });

  it("of several prompts are counted prompt by prompt, and have the seeds of each alone", () => {
    const more = { morePrompts: ["b", "c"] };
    const prompts = ["a", "a", "b", "b", "c", "c"];
    const told = (seeds: readonly (number | undefined)[]): unknown[] =>
      prompts.map((prompt, index) => [prompt, seeds[index % 2]]);
    assert.deepEqual(runsOf({ ...more, sampling: { seed: 7 } }), told([7, 8]));
    assert.deepEqual(runsOf({ ...more, sampling: { seed: -1 } }), told([-1, -1]));
    assert.deepEqual(runsOf(more), told([undefined, undefined]));
    assert.deepEqual(runsOf({}), [
      ["a", undefined],
      ["a", undefined],
    ]);
  });
});

/** Keeps what it is given. */
class Kept implements ReplySink {
  readonly progress: AttemptProgress = NO_PROGRESS;
  status = 0;
  text = "";

  head(status: number): void {
    assert.equal(this.status, 0, "one head");
    this.status = status;
  }

  write(bytes: Buffer): void {
    this.text += bytes.toString();
  }
}

function taskOf(endpoint: Endpoint, body: Record<string, unknown>): Task {
  return aTask({
    endpoint,
    model: "Tiny",
    stream: body["stream"] === true,
    body: Buffer.from(JSON.stringify({ model: "Tiny", ...body })),
  });
}

const seedIn = (body: Record<string, unknown>): number => {
  const options = (body["options"] ?? body) as { readonly seed?: number };
  return options.seed ?? -1;
};

const promptIn = (body: Record<string, unknown>): string => {
  const { prompt, messages } = body as { prompt?: string; messages?: readonly { content: string }[] };
  return prompt ?? messages?.[0]?.content ?? "";
};

/** Says its seed, so that choices can be told apart. */
const bySeed: Pick<StandInOptions, "script"> = {
  script: (body) => {
    return { firstTokenMs: 0, tokenMs: 1, word: (index) => `s${seedIn(body)}-${index} ` };
  },
};

/** Says its prompt and its seed. */
const byPromptAndSeed: Pick<StandInOptions, "script"> = {
  script: (body) => ({ firstTokenMs: 0, tokenMs: 1, word: () => `${promptIn(body)}${seedIn(body)} ` }),
};

interface Choice {
  readonly index: number;
  readonly delta?: { readonly content?: string; readonly role?: string };
  readonly message?: { readonly content: string };
  readonly text?: string;
  readonly finish_reason: string | null;
}

interface Document {
  readonly id: string;
  readonly choices: readonly Choice[];
  readonly usage?: unknown;
}

const documentsOf = (text: string, stream: boolean): Document[] => {
  const documents = stream ? text.trimEnd().split("\n\n") : [text];
  if (stream) assert.equal(documents.pop(), "data: [DONE]");
  return documents.map((document) => JSON.parse(document.replace(/^data: /, "")) as Document);
};

const textOfChoice = (documents: readonly Document[], index: number): string =>
  documents
    .flatMap(({ choices }) => choices.filter((choice) => choice.index === index))
    .map(({ delta, message, text }) => delta?.content ?? message?.content ?? text ?? "")
    .join("");

const ways: readonly { readonly kind: HttpKind; readonly endpoint: Endpoint; readonly fields: object }[] = [
  { kind: "ollama", endpoint: "openai-chat", fields: { messages: [{ role: "user", content: "hi" }] } },
  { kind: "ollama", endpoint: "openai-completion", fields: { prompt: "hi" } },
  { kind: "exo", endpoint: "openai-completion", fields: { prompt: "hi" } },
];

describe("n answers of a backend that gives one", () => {
  for (const { kind, endpoint, fields } of ways) {
    for (const stream of [true, false]) {
      it(`${endpoint} ${stream ? "streamed" : "whole"} from ${kind}`, async (t) => {
        const { standIn, backend } = await sceneOf(t, kind, { tokens: 5, ...bySeed });
        backend.useLender(new Slots(8));
        const more = stream ? { stream_options: { include_usage: true } } : {};
        const sink = new Kept();
        const task = taskOf(endpoint, { ...fields, ...more, stream, n: 3, seed: 7 });
        const answer = await backend.run(task, "tiny:latest", sink, never);
        const documents = documentsOf(sink.text, stream);
        for (const index of [0, 1, 2]) {
          const word = (at: number): string => `s${7 + index}-${at} `;
          assert.equal(textOfChoice(documents, index), [0, 1, 2, 3, 4].map(word).join(""));
          const ends = documents.flatMap(({ choices }) => {
            return choices.filter((choice) => choice.index === index && choice.finish_reason !== null);
          });
          assert.deepEqual(
            ends.map((end) => end.finish_reason),
            ["stop"],
          );
        }
        assert.equal(new Set(documents.map(({ id }) => id)).size, 1);
        const usages = documents.filter(({ usage }) => usage !== undefined && usage !== null);
        assert.deepEqual(
          usages.map(({ usage }) => usage),
          [{ prompt_tokens: 7, completion_tokens: 15, total_tokens: 22 }],
        );
        assert.deepEqual(answer satisfies Answer, {
          usage: { promptTokens: 7, completionTokens: 15 },
        });
        assert.equal(standIn.requests.length, 3);
        assert.ok(standIn.requests.every(({ body }) => !("n" in body)));
        assert.equal(standIn.peak, 3);
        if (stream) assert.deepEqual(documents.at(-1)?.choices, []);
        else {
          assert.deepEqual(
            documents[0]?.choices.map(({ index }) => index),
            [0, 1, 2],
          );
        }
      });
    }
  }

  for (const kind of ["ollama", "exo"] as const) {
    for (const stream of [true, false]) {
      it(`to each of several prompts ${stream ? "streamed" : "whole"} from ${kind}`, async (t) => {
        const { standIn, backend } = await sceneOf(t, kind, { tokens: 3, ...byPromptAndSeed });
        backend.useLender(new Slots(8));
        const sink = new Kept();
        const more = stream ? { stream_options: { include_usage: true } } : {};
        const asked = { prompt: ["red", "blue"], n: 2, seed: 7, stream, ...more };
        const answer = await backend.run(taskOf("openai-completion", asked), "tiny:latest", sink, never);
        const documents = documentsOf(sink.text, stream);
        assert.deepEqual(
          [0, 1, 2, 3, 4].map((index) => textOfChoice(documents, index)),
          ["red7 red7 red7 ", "red8 red8 red8 ", "blue7 blue7 blue7 ", "blue8 blue8 blue8 ", ""],
        );
        assert.deepEqual(documents.at(-1)?.usage, {
          prompt_tokens: 14,
          completion_tokens: 12,
          total_tokens: 26,
        });
        assert.deepEqual(answer satisfies Answer, { usage: { promptTokens: 14, completionTokens: 12 } });
        assert.deepEqual([standIn.requests.length, standIn.peak], [4, 4]);
      });
    }
  }

  it("more answers than can be made are refused before the backend is asked", async (t) => {
    const { standIn, backend } = await sceneOf(t, "ollama", {});
    const sink = new Kept();
    const task = taskOf("openai-completion", { prompt: ["a", "b", "c"], n: 6, stream: true });
    await assert.rejects(backend.run(task, "tiny", sink, never), { code: "unsupported", http: 400 });
    assert.deepEqual([standIn.requests.length, sink.status], [0, 0]);
  });

  it("without slots to lend the backend never gets two at once", async (t) => {
    const { standIn, backend } = await sceneOf(t, "ollama", { tokens: 3, ...bySeed });
    const sink = new Kept();
    const asked = taskOf("openai-chat", { messages: [{ role: "user", content: "hi" }], n: 4 });
    await backend.run(asked, "tiny", sink, never);
    assert.equal(documentsOf(sink.text, false)[0]?.choices.length, 4);
    assert.equal(standIn.peak, 1);
  });

  it("a failure before the first byte is told with its own status, and nothing is sent", async (t) => {
    const refuse = { status: 503, message: "server busy", retryAfter: 9 };
    for (const stream of [true, false]) {
      const { backend } = await sceneOf(t, "ollama", { refuse });
      backend.useLender(new Slots(8));
      const sink = new Kept();
      const task = taskOf("openai-completion", { prompt: "hi", stream, n: 3 });
      await assert.rejects(backend.run(task, "tiny", sink, never), {
        code: "backend_busy",
        http: 503,
        retryAfter: 9,
      });
      assert.equal(sink.status, 0);
    }
  });

  it("a failure in the middle stops the others, and the stream has no end", async (t) => {
    const hour = 3_600_000;
    const { standIn, backend } = await sceneOf(t, "ollama", {
      dieAfter: 2,
      script: (body) => {
        return { firstTokenMs: seedIn(body) === 8 ? 0 : hour, tokenMs: 1, word: (index) => `t${index} ` };
      },
    });
    backend.useLender(new Slots(8));
    const sink = new Kept();
    const task = taskOf("openai-chat", {
      messages: [{ role: "user", content: "hi" }],
      stream: true,
      n: 3,
      seed: 7,
    });
    await assert.rejects(backend.run(task, "tiny", sink, never), { code: "backend_lost" });
    await standIn.waitFor("aborted", 2);
    assert.match(sink.text, /"index":1,.*t1 /);
    assert.doesNotMatch(sink.text, /\[DONE\]|"finish_reason":"/);
  });

  it("tokens that share a piece with the backend's error reach the client before it", async (t) => {
    const lines = [
      { model: "m", message: { role: "assistant", content: "Hello" }, done: false },
      { error: "an error was encountered" },
    ];
    const ollama = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    const events =
      'data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\ndata: {"error":{"message":"boom"}}\n\n';
    const pairs = [
      ["ollama", "openai-chat", "/api/chat", { contentType: "application/x-ndjson", body: ollama }],
      ["exo", "ollama-chat", "/v1/chat/completions", { contentType: "text/event-stream", body: events }],
    ] as const;
    for (const [kind, endpoint, path, answer] of pairs) {
      const { backend } = await sceneOf(t, kind, { answers: { [path]: answer } });
      const sink = new Kept();
      const body = { messages: [{ role: "user", content: "hi" }], stream: true };
      await assert.rejects(backend.run(taskOf(endpoint, body), "m", sink, never), { code: "backend_error" });
      assert.match(sink.text, /Hello/);
    }
  });
});
