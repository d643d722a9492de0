import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { reading } from "../../src/backends/reading.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Endpoint, Task } from "../../src/core/task.ts";
import { STILL_PULSE } from "../still-pulse.ts";
import { sceneOf } from "./scene.ts";

function blameOf(error: unknown): string {
  try {
    reading(() => {
      throw error;
    });
  } catch (thrown) {
    return thrown instanceof Fault ? `${thrown.code} ${thrown.blame}` : "none";
  }
  return "nothing was thrown";
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
  const task: Task = {
    id: "g.1",
    endpoint,
    model: "tiny",
    stream: false,
    createdAt: Date.now(),
    deadline: Date.now() + 60_000,
    requestId: "r",
    trace: "",
    body: Buffer.from(JSON.stringify(asked)),
  };
  const sink = { head: () => {}, write: () => {}, pulse: STILL_PULSE };
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
