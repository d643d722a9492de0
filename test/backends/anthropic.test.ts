import assert from "node:assert/strict";
import { test } from "node:test";
import type { HttpBackend } from "../../src/backends/http-backend.ts";
import type { Endpoint, Task } from "../../src/core/task.ts";
import { NO_PROGRESS } from "../rig/no-progress.ts";
import { sceneOf } from "./scene.ts";
import { aTask } from "../rig/task.ts";

const COUNT = "/v1/messages/count_tokens";
const QUESTION = "How many tokens are these?";
const ESTIMATE = Math.ceil(QUESTION.length / 4) + 4;

function taskOf(endpoint: Endpoint, more: object): Task {
  const body = { model: "Tiny", messages: [{ role: "user", content: QUESTION }], ...more };
  return aTask({
    endpoint,
    model: "Tiny",
    stream: false,
    body: Buffer.from(JSON.stringify(body)),
  });
}

async function answerOf(backend: HttpBackend, task: Task): Promise<{ text: string; usage: unknown }> {
  let text = "";
  const write = (bytes: Buffer): void => void (text += bytes.toString());
  const sink = { head: (): void => {}, write, progress: NO_PROGRESS };
  const { usage } = await backend.run(task, "tiny:latest", sink, new AbortController().signal);
  return { text, usage };
}

test("a backend that can count does, of its own model, and nothing counts as used", async (t) => {
  const answers = { [COUNT]: { contentType: "application/json", body: '{"input_tokens":33}' } };
  for (const kind of ["llamacpp", "vllm"] as const) {
    const { standIn, backend } = await sceneOf(t, kind, { answers });
    const { text, usage } = await answerOf(backend, taskOf("anthropic-count-tokens", {}));
    assert.equal(text, '{"input_tokens":33}');
    assert.equal(usage, undefined);
    assert.equal(standIn.requests[0]?.body["model"], "tiny:latest");
  }
});

test("one that cannot, or not any more, is not asked to generate: its tokens are estimated", async (t) => {
  const broken = { [COUNT]: { contentType: "application/json", body: '{"error":"no"}' } };
  const scenes = [
    await sceneOf(t, "ollama"),
    await sceneOf(t, "openai"),
    // An older version, without the endpoint.
    await sceneOf(t, "llamacpp"),
    await sceneOf(t, "llamacpp", { answers: broken }),
  ];
  for (const { standIn, backend } of scenes) {
    const { text, usage } = await answerOf(backend, taskOf("anthropic-count-tokens", {}));
    assert.deepEqual(JSON.parse(text), { input_tokens: ESTIMATE });
    assert.equal(usage, undefined);
    assert.ok(standIn.requests.every(({ path }) => path === COUNT));
  }
});

test("a backend that is not there is told as such", async (t) => {
  const { standIn, backend } = await sceneOf(t, "llamacpp");
  await standIn.stop();
  await assert.rejects(answerOf(backend, taskOf("anthropic-count-tokens", {})), {
    code: "backend_unreachable",
  });
});

test("a wish to think reaches the models of Ollama that can, and no others", async (t) => {
  const thinker = { name: "tiny:latest", model: "tiny:latest", capabilities: ["completion", "thinking"] };
  const scenes = [
    { options: {}, think: undefined },
    { options: { documents: { "/api/tags": { models: [thinker] } } }, think: true },
  ];
  for (const { options, think } of scenes) {
    const { standIn, backend } = await sceneOf(t, "ollama", options);
    await backend.inspect(new AbortController().signal);
    const asked = { max_tokens: 5, thinking: { type: "enabled", budget_tokens: 1024 } };
    await answerOf(backend, taskOf("anthropic-messages", asked));
    assert.equal(standIn.requests[0]?.body["think"], think);
  }
});

test("vLLM's stop string is told", async (t) => {
  const choice = {
    index: 0,
    message: { role: "assistant", content: "a" },
    finish_reason: "stop",
    stop_reason: "END",
  };
  const usage = { prompt_tokens: 3, completion_tokens: 2 };
  const body = JSON.stringify({ choices: [choice], usage });
  const answers = { "/v1/chat/completions": { contentType: "application/json", body } };
  const { backend } = await sceneOf(t, "vllm", { answers });
  const { text } = await answerOf(
    backend,
    taskOf("anthropic-messages", { max_tokens: 5, stop_sequences: ["END"] }),
  );
  const message = JSON.parse(text) as Record<string, unknown>;
  assert.deepEqual([message["stop_reason"], message["stop_sequence"]], ["stop_sequence", "END"]);
});
