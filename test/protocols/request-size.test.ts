import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { Json, JsonObject } from "../../src/core/json.ts";
import type { Endpoint } from "../../src/core/task.ts";
import { sizeOf, sizeOfForm } from "../../src/protocols/request-size.ts";

const PIXELS = "iVBORw0KGgo".repeat(50_000);

function inputOf(body: JsonObject): number {
  return sizeOf("openai-chat", { model: "tiny", ...body }).inputTokens;
}

function answers(endpoint: Endpoint, body: JsonObject): number {
  return sizeOf(endpoint, { model: "tiny", ...body }).answers;
}

function chat(...content: Json[]): JsonObject {
  return { messages: [{ role: "user", content }] };
}

describe("the size of a request", () => {
  it("counts text by its bytes, in each dialect", () => {
    const text = "x".repeat(400);
    const bodies: readonly JsonObject[] = [
      { messages: [{ role: "user", content: text }] },
      { messages: [{ role: "user", content: [{ type: "text", text }] }] },
      { prompt: text },
      { prompt: ["x".repeat(200), "x".repeat(200)] },
      { input: text, instructions: "" },
      { input: [{ type: "message", role: "user", content: [{ type: "input_text", text }] }] },
      { system: [{ type: "text", text }], messages: [] },
      { query: "x".repeat(100), documents: ["x".repeat(100), { text: "x".repeat(200) }] },
      { messages: [{ role: "tool", tool_call_id: "call_1234567890", content: text }] },
      { messages: [{ role: "user", content: [{ type: "tool_result", content: [{ type: "text", text }] }] }] },
    ];
    for (const body of bodies) assert.equal(inputOf(body), 100, JSON.stringify(body));
    assert.equal(inputOf({ prompt: "語".repeat(400) }), 300);
  });

  it("counts a list of numbers as tokens", () => {
    assert.equal(inputOf({ prompt: [1, 2, 3] }), 3);
    assert.equal(inputOf({ input: [[1, 2, 3], [4]] }), 4);
  });

  it("counts the schemas of tools with their names", () => {
    const parameters = { type: "object", properties: { file: { type: "string", description: "a path" } } };
    const tools = [{ type: "function", function: { name: "read", parameters } }];
    assert.equal(inputOf({ tools }), Math.ceil(JSON.stringify(tools).length / 4));
  });

  it("counts an image or a sound as a thousand tokens, whatever its bytes", () => {
    const url = `data:image/png;base64,${PIXELS}`;
    const source = { type: "base64", media_type: "image/png", data: PIXELS };
    const bodies: readonly JsonObject[] = [
      chat({ type: "image_url", image_url: { url } }),
      chat({ type: "input_image", image_url: url }),
      chat({ type: "input_audio", input_audio: { data: PIXELS, format: "wav" } }),
      chat({ type: "image", source }),
      chat({ type: "document", source }),
      chat({ type: "file", file: { file_data: url } }),
      { messages: [{ role: "user", content: "", images: [PIXELS] }] },
      { prompt: "", images: [PIXELS] },
      { input: url },
    ];
    for (const body of bodies) assert.equal(inputOf(body), 1000, JSON.stringify(body).slice(0, 100));
  });

  it("counts a document of text as text", () => {
    const source = { type: "text", media_type: "text/plain", data: "x".repeat(4000) };
    const size = inputOf(chat({ type: "document", source }));
    assert.ok(size >= 1000 && size <= 1003, String(size));
  });

  it("takes the least bound of the answer, in each dialect", () => {
    const body = { model: "tiny", prompt: "Hi" };
    const most = (bounds: JsonObject): number | undefined =>
      sizeOf("openai-completion", { ...body, ...bounds }).mostOutput;
    assert.equal(most({}), undefined);
    assert.equal(most({ max_tokens: 7 }), 7);
    assert.equal(most({ max_tokens: 70, max_completion_tokens: 30 }), 30);
    assert.equal(most({ max_output_tokens: 9 }), 9);
    assert.equal(most({ n_predict: 5 }), 5);
    assert.equal(most({ options: { num_predict: 11 } }), 11);
    assert.equal(most({ options: { num_predict: -1 }, max_tokens: null }), undefined);
  });

  it("counts the answers: choices, prompts, and none where the answer is no text", () => {
    assert.equal(answers("openai-chat", { ...chat({ type: "text", text: "Hi" }), n: 3 }), 3);
    assert.equal(answers("openai-chat", { ...chat({ type: "text", text: "Hi" }), n: 1e9 }), 128);
    assert.equal(answers("openai-completion", { prompt: ["a", "b"], n: 2 }), 4);
    assert.equal(answers("openai-completion", { prompt: [1, 2, 3] }), 1);
    assert.equal(answers("openai-completion", { prompt: [[1], [2]] }), 2);
    assert.equal(answers("openai-embeddings", { input: ["a", "b"] }), 0);
    assert.equal(answers("ollama-embed", { input: "a" }), 0);
    assert.equal(answers("openai-rerank", { query: "a", documents: ["b"] }), 0);
    assert.equal(answers("anthropic-count-tokens", chat("Hi")), 0);
    assert.equal(answers("ollama-generate", {}), 0, "it only loads the model");
  });

  it("counts the file of a form as one sound or image", () => {
    assert.deepEqual(sizeOfForm("openai-transcriptions"), { inputTokens: 1000, answers: 1 });
    assert.deepEqual(sizeOfForm("openai-image-edits"), { inputTokens: 1000, answers: 0 });
  });

  it("is finite and whole for any body", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (body) => {
        const size = sizeOf("openai-chat", body);
        assert.ok(Number.isSafeInteger(size.inputTokens) && Number.isSafeInteger(size.answers));
      }),
    );
  });
});
