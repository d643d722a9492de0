import assert from "node:assert/strict";
import OpenAI from "openai";
import { allDone, askAll, WAYS } from "../rig/fleet/asked.ts";
import { EMBEDDED_MODEL as MODEL, embeddedJourney } from "../rig/fleet/embedded-model.ts";

embeddedJourney(
  "a real model answers through gateway and worker, the same in both dialects",
  async (fleet, t) => {
    const question = { tokens: 24, prompt: "What is the capital of France?", model: MODEL };
    const ways = WAYS.filter((way) => way !== "ollama-generate");
    const streams = askAll(fleet.gateway, ways, { ...question, stream: true });
    const whole = askAll(fleet.gateway, ways, { ...question, stream: false });
    const asked = [...streams, ...whole];
    await allDone(asked);
    for (const { error, text, reason, completionTokens } of asked) {
      assert.equal(error, undefined);
      assert.match(text, /Paris/);
      assert.equal(text, asked[0]?.text);
      assert.ok(reason === "stop" || reason === "length");
      assert.ok(
        completionTokens !== undefined && completionTokens > 3 && completionTokens <= question.tokens,
      );
    }
    t.diagnostic(`${MODEL} says: ${asked[0]?.text}`);

    await t.test("two answers to each of two prompts, the same in one piece and streamed", async () => {
      const client = new OpenAI({ baseURL: `${fleet.gateway.url}/v1`, apiKey: "none", maxRetries: 0 });
      const prompt = ["Write a poem about the sea.", "Name a colour."];
      const several = { model: MODEL, prompt, n: 2, seed: 7, max_tokens: 8 };
      const reply = await client.completions.create(several);
      const texts = reply.choices.map(({ text }) => text);
      assert.deepEqual(
        reply.choices.map(({ index }) => index),
        [0, 1, 2, 3],
      );
      assert.equal(new Set(texts).size, 4);
      const streamed = ["", "", "", ""];
      for await (const { choices } of await client.completions.create({ ...several, stream: true })) {
        for (const { index, text } of choices) streamed[index] += text;
      }
      assert.deepEqual(streamed, texts);
    });
  },
);
