import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { unreadable } from "../../src/backends/request-sender.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Endpoint, Task } from "../../src/core/task.ts";
import { NO_PROGRESS } from "../rig/no-progress.ts";
import { sceneOf } from "./scene.ts";
import { aTask } from "../rig/task.ts";

function blameOf(error: unknown): string {
  const thrown = unreadable(error);
  return thrown instanceof Fault ? `${thrown.code} ${thrown.blame}` : "none";
}

test("what cannot be read of a reply is put down to the request, unless its reader knows better", () => {
  assert.equal(blameOf(new Fault("backend_lost", "no JSON")), "backend_lost request");
  assert.equal(blameOf(new Fault("backend_lost", "cut", { blame: "backend" })), "backend_lost backend");
  assert.equal(blameOf(new Fault("backend_error", "sick", { http: 500 })), "backend_error backend");
  assert.equal(blameOf(new TypeError("a bug")), "none");
});

const CHAT = "/v1/chat/completions";

/** The blame of a question in another dialect, when the backend says this. */
async function blameFor(
  t: TestContext,
  body: string,
  endpoint: Endpoint = "anthropic-messages",
): Promise<string> {
  const scene = await sceneOf(t, "openai", {
    answers: { [CHAT]: { contentType: "application/json", body } },
  });
  const asked = { model: "tiny", max_tokens: 5, messages: [{ role: "user", content: "hi" }] };
  const task: Task = aTask({
    endpoint,
    stream: false,
    body: Buffer.from(JSON.stringify(asked)),
  });
  const sink = { head: () => {}, write: () => {}, progress: NO_PROGRESS };
  try {
    await scene.backend.run(task, "tiny", sink, new AbortController().signal);
    return "answered";
  } catch (error) {
    return error instanceof Fault ? `${error.code} ${error.blame}` : String(error);
  }
}

test("a reply of a backend that breaks its protocol is no failure of the backend's", async (t) => {
  for (const body of ["{", "[]", '{"choices":[{"message":{"content":"x"},"finish_reason":', '"text"']) {
    assert.equal(await blameFor(t, body), "backend_lost request", body);
  }
});
