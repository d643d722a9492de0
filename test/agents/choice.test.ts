import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { choose } from "./choice.ts";

const clients = ["codex", "cline (openai)", "cline (anthropic)"];
const kinds = ["ollama", "vllm"];

describe("the choice of agents", () => {
  it("is all of them without a word", () => {
    assert.deepEqual(choose({ words: [], clients, kinds }), { clients, kinds });
  });

  it("takes agents with their variants, and kinds", () => {
    assert.deepEqual(choose({ words: ["cline", "vllm"], clients, kinds }), {
      clients: ["cline (openai)", "cline (anthropic)"],
      kinds: ["vllm"],
    });
    assert.deepEqual(choose({ words: ["cline (openai)"], clients, kinds }).clients, ["cline (openai)"]);
    assert.deepEqual(choose({ words: ["ollama"], clients, kinds }), { clients, kinds: ["ollama"] });
  });

  it("refuses a word that names nothing, instead of running all", () => {
    assert.throws(
      () => choose({ words: ["codx", "vllm"], clients, kinds }),
      /no agent and no kind of backend codx: there are codex, cline \(openai\)/,
    );
  });
});
