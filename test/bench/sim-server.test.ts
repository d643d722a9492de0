import assert from "node:assert/strict";
import { once } from "node:events";
import type net from "node:net";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { PROFILES } from "../../bench/profiles.ts";
import { simServer } from "../../bench/sim-server.ts";
import { answerText } from "../../bench/tokens.ts";

describe("the simulated backend", () => {
  let server: net.Server;
  let base = "";

  before(async () => {
    server = simServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => server.close());

  const ask = async (path: string, body: unknown): Promise<Response> =>
    await fetch(base + path, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { connection: "close" },
    });

  it("lists its models in both dialects", async () => {
    const tags = (await (await fetch(`${base}/api/tags`, { headers: { connection: "close" } })).json()) as {
      models: { name: string }[];
    };
    const models = (await (
      await fetch(`${base}/v1/models`, { headers: { connection: "close" } })
    ).json()) as {
      data: { id: string }[];
    };
    const names = PROFILES.map(({ model }) => model);
    assert.deepEqual(
      tags.models.map(({ name }) => name),
      names,
    );
    assert.deepEqual(
      models.data.map(({ id }) => id),
      names,
    );
  });

  it("streams Ollama lines, as many as asked for, and ends with the counts", async () => {
    const response = await ask("/api/chat", { model: "sim-first:latest", options: { num_predict: 5 } });
    assert.equal(response.headers.get("content-type"), "application/x-ndjson");
    const lines = (await response.text())
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Line);
    assert.equal(lines.map(({ message }) => message.content).join(""), answerText(5));
    assert.deepEqual(
      lines.map(({ done }) => done),
      [false, false, false, false, false, true],
    );
    assert.equal(lines.at(-1)?.eval_count, 5);
  });

  it("answers whole when not streaming", async () => {
    const ollama = (await (
      await ask("/api/generate", { model: "sim-instant", stream: false })
    ).json()) as Whole;
    assert.equal(ollama.response, answerText(8));
    const openai = (await (
      await ask("/v1/chat/completions", { model: "sim-instant", max_tokens: 3 })
    ).json()) as Completion;
    assert.equal(openai.choices[0]?.message?.content, answerText(3));
    assert.equal(openai.usage?.completion_tokens, 3);
  });

  it("streams OpenAI events, with usage when asked for", async () => {
    const stream_options = { include_usage: true };
    const response = await ask("/v1/chat/completions", {
      model: "sim-burst",
      stream: true,
      max_tokens: 2,
      stream_options,
    });
    const events = (await response.text())
      .trimEnd()
      .split("\n\n")
      .map((event) => event.replace(/^data: /, ""));
    assert.equal(events.at(-1), "[DONE]");
    const chunks = events.slice(0, -1).map((event) => JSON.parse(event) as Completion);
    assert.equal(chunks.map(({ choices }) => choices[0]?.delta?.content ?? "").join(""), answerText(2));
    assert.equal(chunks.at(-1)?.usage?.completion_tokens, 2);
  });

  it("does not know other models and paths", async () => {
    assert.equal((await ask("/api/chat", { model: "other" })).status, 404);
    assert.equal((await ask("/api/pull", { model: "sim-first" })).status, 404);
  });

  it("keeps the pace, the number of tokens and the failures that its rules set", async () => {
    const whole = { model: "sim-instant", stream: false };
    await ask("/sim/log", { firstMs: 150, gapMs: 50, tokens: 3 });
    const begin = performance.now();
    const { response } = (await (await ask("/api/generate", whole)).json()) as Whole;
    assert.equal(response, answerText(3));
    assert.ok(performance.now() - begin >= 240, "150 ms to the first token, 50 to each other");
    await ask("/sim/log", { status: 500 });
    assert.equal((await ask("/api/generate", whole)).status, 500);
    await ask("/sim/log", {});
    assert.equal((await ask("/api/generate", whole)).status, 200);
  });
});

interface Line {
  readonly message: { readonly content: string };
  readonly done: boolean;
  readonly eval_count?: number;
}

interface Whole {
  readonly response: string;
}

interface Completion {
  readonly choices: readonly {
    readonly message?: { readonly content: string };
    readonly delta?: { readonly content: string };
  }[];
  readonly usage?: { readonly completion_tokens: number };
}
