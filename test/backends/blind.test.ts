import assert from "node:assert/strict";
import { test } from "node:test";
import type { Task } from "../../src/core/task.ts";
import { STILL_PULSE } from "../still-pulse.ts";
import { sceneOf } from "./scene.ts";

const PNG = "iVBORw0KGgoAAAANSUhEUg==";
const IMAGE = { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } };
const TURNS = [
  { role: "user", content: "Look" },
  { role: "assistant", content: [{ type: "tool_use", id: "t", name: "Read", input: {} }] },
  { role: "user", content: [{ type: "tool_result", tool_use_id: "t", content: [IMAGE] }] },
];

function taskOf(messages: readonly object[]): Task {
  return {
    id: "g.1",
    endpoint: "anthropic-messages",
    model: "tiny",
    stream: false,
    createdAt: Date.now(),
    deadline: Date.now() + 60_000,
    requestId: "r",
    trace: "",
    body: Buffer.from(JSON.stringify({ model: "tiny", max_tokens: 4, messages })),
  };
}

/** The request to an Ollama whose model can do this, and the names that the client is told. */
async function sentTo(
  t: Parameters<typeof sceneOf>[0],
  capabilities: readonly string[],
  messages: readonly object[],
): Promise<{ readonly raw: string; readonly dropped: readonly string[] }> {
  const documents = { "/api/tags": { models: [{ name: "tiny:latest", capabilities }] } };
  const { standIn, backend } = await sceneOf(t, "ollama", { documents });
  await backend.inspect(AbortSignal.timeout(5000));
  let dropped: readonly string[] = [];
  const head = (_status: number, _type: string, names: readonly string[] = []): void => {
    dropped = names;
  };
  const sink = { head, write: (): void => {}, pulse: STILL_PULSE };
  await backend.run(taskOf(messages), "tiny:latest", sink, new AbortController().signal);
  return { raw: standIn.requests.at(-1)?.raw ?? "", dropped };
}

test("an image that a tool has brought ends no session with a model that cannot see", async (t) => {
  const { raw, dropped } = await sentTo(t, ["completion", "tools"], TURNS);
  assert.match(raw, /Content of type image was here/);
  assert.ok(!raw.includes(PNG));
  assert.deepEqual(dropped, ["messages.image"]);
});

test("a model that sees gets it, and so does one of a server that does not tell", async (t) => {
  for (const capabilities of [["completion", "tools", "vision"], []]) {
    const { raw, dropped } = await sentTo(t, capabilities, TURNS);
    assert.ok(raw.includes(PNG));
    assert.deepEqual(dropped, []);
  }
});

test("an image of the user's newest turn is for the server to refuse", async (t) => {
  const { raw } = await sentTo(t, ["completion", "tools"], [{ role: "user", content: [IMAGE] }]);
  assert.ok(raw.includes(PNG));
});
