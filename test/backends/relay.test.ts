import assert from "node:assert/strict";
import { test } from "node:test";
import { replyType } from "../../src/backends/relay.ts";

const chat = { endpoint: "openai-chat", stream: true } as const;
const lines = { endpoint: "ollama-chat", stream: true } as const;

test("a forwarded reply has its backend's content type where that says what the bytes are", () => {
  const kept = [
    [chat, "text/event-stream; charset=utf-8"],
    [chat, "Text/Event-Stream"],
    [{ ...chat, stream: false }, "application/json;charset=UTF-8"],
    [lines, "application/x-ndjson"],
    [lines, "application/json; charset=utf-8"],
    [{ endpoint: "openai-embeddings", stream: false }, "application/json"],
  ] as const;
  for (const [task, told] of kept) assert.equal(replyType(told, task), told);
});

test("a forwarded reply whose backend says nothing, or something else, has the type of its form", () => {
  for (const told of [undefined, "text/plain", "application/octet-stream", ""]) {
    assert.equal(replyType(told, chat), "text/event-stream");
    assert.equal(replyType(told, { ...chat, stream: false }), "application/json");
    assert.equal(replyType(told, lines), "application/x-ndjson");
  }
  assert.equal(replyType("application/json", chat), "text/event-stream");
  assert.equal(replyType("text/event-stream", { ...chat, stream: false }), "application/json");
});
