import assert from "node:assert/strict";
import { test } from "node:test";
import type { Answer, AttemptProgress, ReplySink } from "../../src/backends/backend.ts";
import type { HttpBackend } from "../../src/backends/http-backend.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Endpoint, Task } from "../../src/core/task.ts";
import { standInText } from "../rig/backends/stand-in.ts";
import { NO_PROGRESS } from "../rig/no-progress.ts";
import { sceneOf } from "./scene.ts";
import { aTask } from "../rig/task.ts";

/** A sink that keeps what it is given, and refuses what its contract forbids. */
class KeptReply implements ReplySink {
  status = 0;
  contentType = "";
  dropped: readonly string[] = [];
  readonly writes: string[] = [];
  readonly progress: AttemptProgress = NO_PROGRESS;
  readonly firstWrite: Promise<void>;
  #first: () => void;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.firstWrite = promise;
    this.#first = resolve;
  }

  head(status: number, contentType: string, dropped: readonly string[] = []): void {
    assert.equal(this.status, 0, "one head");
    this.dropped = dropped;
    this.status = status;
    this.contentType = contentType;
  }

  write(bytes: Buffer): void {
    assert.notEqual(this.status, 0, "the head comes first");
    assert.ok(bytes.length > 0);
    this.writes.push(bytes.toString());
    this.#first();
  }

  get text(): string {
    return this.writes.join("");
  }
}

function taskOf(endpoint: Endpoint, body: Record<string, unknown>): Task {
  const stream = endpoint.startsWith("openai") ? body["stream"] === true : body["stream"] !== false;
  return aTask({
    endpoint,
    model: String(body["model"]),
    stream,
    body: Buffer.from(JSON.stringify(body)),
  });
}

interface Asked {
  readonly reply: KeptReply;
  readonly done: Promise<Answer>;
}

function ask(backend: HttpBackend, task: Task, signal?: AbortSignal): Asked {
  const reply = new KeptReply();
  const done = backend.run(task, "tiny:latest", reply, signal ?? new AbortController().signal);
  return { reply, done };
}

const messages = [{ role: "user", content: "hi" }];

/** Every endpoint, with the text of a reply in its dialect. */
const ENDPOINTS: readonly {
  readonly endpoint: Endpoint;
  readonly body: Record<string, unknown>;
  readonly types: { readonly stream: string; readonly whole: string };
  readonly text: (reply: string, stream: boolean) => string;
}[] = [
  {
    endpoint: "ollama-chat",
    body: { model: "Tiny", messages },
    types: { stream: "application/x-ndjson", whole: "application/json; charset=utf-8" },
    text: (reply) => ollamaTexts(reply, (line) => line.message?.content),
  },
  {
    endpoint: "ollama-generate",
    body: { model: "Tiny", prompt: "hi" },
    types: { stream: "application/x-ndjson", whole: "application/json; charset=utf-8" },
    text: (reply) => ollamaTexts(reply, (line) => line.response),
  },
  {
    endpoint: "openai-chat",
    body: { model: "Tiny", messages },
    types: { stream: "text/event-stream", whole: "application/json" },
    text: openaiText,
  },
  {
    endpoint: "openai-completion",
    body: { model: "Tiny", prompt: "hi" },
    types: { stream: "text/event-stream", whole: "application/json" },
    text: openaiText,
  },
];

interface OllamaLine {
  readonly model: string;
  readonly done: boolean;
  readonly message?: { readonly content: string };
  readonly response?: string;
}

function ollamaTexts(reply: string, pick: (line: OllamaLine) => string | undefined): string {
  const lines = reply
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as OllamaLine);
  assert.ok(lines.every((line) => line.model.toLowerCase().startsWith("tiny")));
  assert.equal(
    lines.findIndex((line) => line.done),
    lines.length - 1,
  );
  return lines.map(pick).join("");
}

interface OpenaiChoice {
  readonly delta?: { readonly content?: string };
  readonly message?: { readonly content: string };
  readonly text?: string;
}

function openaiText(reply: string, stream: boolean): string {
  const documents = stream
    ? reply
        .trimEnd()
        .split("\n\n")
        .map((event) => event.replace(/^data: /, ""))
    : [reply];
  if (stream) assert.equal(documents.pop(), "[DONE]");
  const parsed = documents.map((text) => {
    return JSON.parse(text) as { model: string; choices: readonly OpenaiChoice[] };
  });
  assert.ok(parsed.every(({ model }) => model === "Tiny"));
  return parsed
    .flatMap(({ choices }) => choices)
    .map(({ delta, message, text }) => delta?.content ?? message?.content ?? text ?? "")
    .join("");
}

for (const kind of ["ollama", "openai", "llamacpp", "vllm", "lmstudio", "exo"] as const) {
  for (const { endpoint, body, types, text } of ENDPOINTS) {
    for (const stream of [true, false]) {
      test(`${endpoint} ${stream ? "streamed" : "whole"} from ${kind}`, async (t) => {
        const { standIn, backend } = await sceneOf(t, kind, { tokens: 5, tokenMs: 1 });
        const { reply, done } = ask(backend, taskOf(endpoint, { ...body, stream }));
        const { usage } = await done;
        assert.equal(reply.status, 200);
        assert.equal(reply.contentType, stream ? types.stream : types.whole);
        assert.equal(text(reply.text, stream), standInText(5));
        assert.equal(usage?.promptTokens, 7);
        assert.equal(usage?.completionTokens, 5);
        if (!stream) assert.equal(reply.writes.length, 1);
        // Ollama matches every spelling itself; others must be asked for their own id.
        const sent = String(standIn.requests[0]?.body["model"]);
        if (kind !== "ollama") assert.equal(sent, "tiny:latest");
      });
    }
  }
}

test("the first token of a stream is handed on before the second exists", async (t) => {
  for (const kind of ["ollama", "openai"] as const) {
    const { standIn, backend } = await sceneOf(t, kind, { hangAfter: 1 });
    for (const { endpoint, body } of ENDPOINTS) {
      const controller = new AbortController();
      const task = taskOf(endpoint, { ...body, stream: true });
      const { reply, done } = ask(backend, task, controller.signal);
      await reply.firstWrite;
      assert.match(reply.text, /t0 /);
      controller.abort();
      await assert.rejects(done);
    }
    assert.ok(standIn.requests.every(({ tokens }) => tokens === 1));
  }
});

test("parts that come together leave together", async (t) => {
  const { backend } = await sceneOf(t, "openai", { tokens: 200 });
  const { reply, done } = ask(backend, taskOf("ollama-chat", { model: "Tiny", messages }));
  await done;
  assert.ok(reply.writes.length < 10, `${reply.writes.length} writes`);
});

test("a backend that dies mid-stream is backend_lost, and the reply has no end", async (t) => {
  for (const kind of ["ollama", "openai"] as const) {
    const { backend } = await sceneOf(t, kind, { dieAfter: 3, tokenMs: 1 });
    for (const { endpoint, body } of ENDPOINTS) {
      const { reply, done } = ask(backend, taskOf(endpoint, { ...body, stream: true }));
      await assert.rejects(done, { code: "backend_lost" });
      assert.match(reply.text, /t2 /);
      assert.doesNotMatch(reply.text, /"done":true|\[DONE\]|"finish_reason":"/);
    }
  }
});

test("a backend that dies before its reply, or mid-answer in one piece, has sent nothing", async (t) => {
  for (const kind of ["ollama", "openai"] as const) {
    const { backend } = await sceneOf(t, kind, { dieAfter: 0 });
    for (const { endpoint, body } of ENDPOINTS) {
      for (const stream of [true, false]) {
        const { reply, done } = ask(backend, taskOf(endpoint, { ...body, stream }));
        await assert.rejects(done, { code: "backend_unreachable" });
        assert.equal(reply.status, 0);
      }
    }
  }
});

test("a full backend is backend_busy with its Retry-After, and nothing is sent", async (t) => {
  const refuse = { status: 503, message: "server busy", retryAfter: 9 };
  for (const kind of ["ollama", "openai"] as const) {
    const { backend } = await sceneOf(t, kind, { refuse });
    for (const { endpoint, body } of ENDPOINTS) {
      const { reply, done } = ask(backend, taskOf(endpoint, { ...body, stream: true }));
      await assert.rejects(done, (error: Fault) => {
        assert.deepEqual([error.code, error.http, error.retryAfter], ["backend_busy", 503, 9]);
        assert.match(error.message, /server busy/);
        return true;
      });
      assert.equal(reply.status, 0);
    }
  }
});

test("an abort reaches the backend at once, in prefill and mid-stream", async (t) => {
  for (const kind of ["ollama", "openai"] as const) {
    for (const { endpoint, body } of ENDPOINTS) {
      for (const stream of [true, false]) {
        const { standIn, backend } = await sceneOf(t, kind, { hangAfter: stream ? 1 : 0 });
        const controller = new AbortController();
        const { done } = ask(backend, taskOf(endpoint, { ...body, stream }), controller.signal);
        await standIn.waitFor(stream ? "token" : "request");
        const hungUp = standIn.waitFor("aborted");
        // At once is without the help of any timer.
        t.mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
        controller.abort(new Fault("cancelled", "client gone"));
        await assert.rejects(done, { code: "cancelled" });
        await hungUp;
        t.mock.timers.reset();
      }
    }
  }
});

test("loads and unloads go to Ollama, and are answered here for the others", async (t) => {
  const ollama = await sceneOf(t, "ollama", { tokens: 0 });
  await ask(ollama.backend, taskOf("ollama-generate", { model: "Tiny" })).done;
  assert.equal(ollama.standIn.requests.length, 1);

  const other = await sceneOf(t, "vllm");
  for (const [body, reason] of [
    [{ model: "Tiny" }, "load"],
    [{ model: "Tiny", keep_alive: 0 }, "unload"],
  ] as const) {
    for (const endpoint of ["ollama-generate", "ollama-chat"] as const) {
      const { reply, done } = ask(other.backend, taskOf(endpoint, body));
      await done;
      const told = JSON.parse(reply.text) as { done: boolean; done_reason: string };
      assert.deepEqual([told.done, told.done_reason], [true, reason]);
      assert.match(reply.contentType, /^application\/json/);
    }
  }
  assert.equal(other.standIn.requests.length, 0);
});

test("a body that is no JSON object is refused before the backend is asked", async (t) => {
  const { standIn, backend } = await sceneOf(t, "openai");
  for (const body of ["{", "[]"]) {
    const task = { ...taskOf("ollama-chat", { model: "Tiny" }), body: Buffer.from(body) };
    await assert.rejects(ask(backend, task).done, { code: "bad_json" });
  }
  assert.equal(standIn.requests.length, 0);
});

test("a suffix that the backend would overlook is refused before it is asked", async (t) => {
  const { standIn, backend } = await sceneOf(t, "lmstudio");
  const body = { model: "Tiny", prompt: "a", suffix: "z" };
  await assert.rejects(ask(backend, taskOf("openai-completion", body)).done, { code: "not_implemented" });
  assert.equal(standIn.requests.length, 0);
  await ask(backend, taskOf("openai-completion", { ...body, suffix: "" })).done;
  assert.equal(standIn.requests[0]?.path, "/v1/completions");
});

test("what a translation leaves out is told with the head, and nothing when the request is relayed", async (t) => {
  const { backend } = await sceneOf(t, "openai");
  for (const stream of [true, false]) {
    const body = { model: "tiny", messages, stream, options: { num_ctx: 9 }, "odd\r\nname": 1 };
    const translated = ask(backend, taskOf("ollama-chat", body));
    await translated.done;
    assert.deepEqual(translated.reply.dropped, ["num_ctx", "odd__name"]);
    const relayed = ask(backend, taskOf("openai-chat", { ...body, logit_bias: { 5: 1 } }));
    await relayed.done;
    assert.deepEqual(relayed.reply.dropped, []);
  }
});

test("a wish to think is told as dropped when the model cannot", async (t) => {
  const { backend } = await sceneOf(t, "ollama");
  const thinking = { type: "enabled" };
  const asked = ask(
    backend,
    taskOf("anthropic-messages", { model: "tiny", messages, max_tokens: 5, stream: true, thinking }),
  );
  await asked.done;
  assert.deepEqual(asked.reply.dropped, ["thinking"]);
});

test("a forwarded stream is told as one, whatever its backend calls it", async (t) => {
  const event = `data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n`;
  const end = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n`;
  const answer = { contentType: "text/plain", body: event + end };
  const { backend } = await sceneOf(t, "openai", { answers: { "/v1/chat/completions": answer } });
  const body = { model: "tiny", stream: true, messages: [{ role: "user", content: "hi" }] };
  const { reply, done } = ask(backend, taskOf("openai-chat", body));
  await done;
  assert.equal(reply.contentType, "text/event-stream");
});
