import assert from "node:assert/strict";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { standInText, standInVector, unitVector } from "../rig/backends/stand-in.ts";
import { statusOf } from "../rig/fleet/asked.ts";
import { journey, MODEL as model } from "../rig/fleet/fleet.ts";

journey(
  "a reply larger than a subscriber may be owed does not cut the channel",
  { posts: [{ speaks: "openai" }] },
  async (fleet) => {
    const long = "A".repeat(40 * 1024 * 1024);
    const entry = { object: "embedding", index: 0, embedding: long };
    const body = JSON.stringify({ object: "list", model: `${model}:latest`, data: [entry], usage: {} });
    fleet.post().standIn.behaviour.answers = { "/v1/embeddings": { contentType: "application/json", body } };
    const asked = JSON.stringify({ model, input: "a", encoding_format: "base64" });
    const reply = await fetch(`${fleet.gateway.url}/v1/embeddings`, { method: "POST", body: asked });
    assert.equal(reply.status, 200);
    const told = (await reply.json()) as { data: { embedding: string }[] };
    assert.ok(told.data[0]?.embedding === long);
    assert.doesNotMatch(fleet.gateway.story, /Redis is away/);
  },
);

function assertClose(actual: readonly number[] | undefined, expected: readonly number[]): void {
  assert.equal(actual?.length, expected.length);
  for (const [index, value] of expected.entries()) {
    assert.ok(Math.abs((actual?.[index] ?? Number.NaN) - value) < 1e-6, `number ${index}`);
  }
}

for (const speaks of ["ollama", "openai"] as const) {
  journey(
    `vectors and text completions of a backend that speaks ${speaks} reach both client libraries`,
    { posts: [{ speaks }] },
    async (fleet, t) => {
      const { url } = fleet.gateway;
      const ollama = new Ollama({ host: url });
      const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
      const input = ["hello", "world"];
      const expected = input.map((one) => unitVector(standInVector(one)));

      await t.test("ollama.embed", async () => {
        const whole = await ollama.embed({ model, input });
        assert.equal(whole.model, model);
        assert.equal(whole.prompt_eval_count, 7);
        assert.equal(whole.embeddings.length, input.length);
        for (const [index, vector] of expected.entries()) assertClose(whole.embeddings[index], vector);
        const cut = await ollama.embed({ model, input: "hello", dimensions: 3 });
        assertClose(cut.embeddings[0], unitVector(standInVector("hello"), 3));
      });

      await t.test("ollama.embeddings, as the model made it", async () => {
        const { embedding } = await ollama.embeddings({ model, prompt: "hello" });
        assertClose(embedding, standInVector("hello"));
      });

      await t.test("openai.embeddings, base64 by default and float", async () => {
        for (const format of [undefined, "float", "base64"] as const) {
          const encoding = format === undefined ? {} : { encoding_format: format };
          const reply = await openai.embeddings.create({ model, input, dimensions: 3, ...encoding });
          assert.equal(reply.model, model);
          assert.equal(reply.usage.prompt_tokens, 7);
          for (const [index, entry] of reply.data.entries()) {
            assert.equal(entry.index, index);
            const told: unknown = entry.embedding;
            assert.equal(typeof told, format === "base64" ? "string" : "object");
            const vector = typeof told === "string" ? floatsOf(told) : entry.embedding;
            assertClose(vector, unitVector(standInVector(input[index]), 3));
          }
        }
      });

      await t.test("openai.embeddings of token ids", async () => {
        const asked = openai.embeddings.create({ model, input: [[1, 2, 3]] });
        if (speaks === "openai") {
          assertClose((await asked).data[0]?.embedding, standInVector([1, 2, 3]));
        } else {
          await assert.rejects(asked, (error: Error) => {
            assert.match(error.message, /invalid input type/);
            return statusOf(error) === 400;
          });
        }
      });

      await t.test("openai.completions, whole and streamed", async () => {
        const asked = { model, prompt: "Once", max_tokens: 9 };
        const whole = await openai.completions.create(asked);
        assert.equal(whole.object, "text_completion");
        assert.equal(whole.choices[0]?.text, standInText(9));
        assert.equal(whole.usage?.completion_tokens, 9);
        const usage = { stream: true as const, stream_options: { include_usage: true } };
        let text = "";
        let finish: string | undefined;
        let counted: number | undefined;
        for await (const chunk of await openai.completions.create({ ...asked, ...usage })) {
          text += chunk.choices[0]?.text ?? "";
          finish = chunk.choices[0]?.finish_reason ?? finish;
          counted = chunk.usage?.completion_tokens ?? counted;
        }
        assert.deepEqual([text, finish, counted], [standInText(9), "stop", 9]);
      });

      await t.test("what the backend cannot do is refused, what is unknown is not found", async () => {
        if (speaks === "ollama") {
          const tokens = openai.completions.create({ model, prompt: [[1, 2], [3]] });
          await assert.rejects(tokens, { status: 400, message: /a prompt of token ids is not supported/ });
        }
        const unknown = openai.embeddings.create({ model: "nope", input: "a" });
        await assert.rejects(unknown, {
          status: 404,
          message: /model "nope" not found, try pulling it first/,
        });
        await assert.rejects(ollama.embed({ model: "nope", input: "a" }), /model "nope" not found/);
      });

      await t.test("a backend that dies is an error, never a vector", async () => {
        const { behaviour } = fleet.post().standIn;
        behaviour.dieAfter = 1;
        await assert.rejects(openai.embeddings.create({ model, input }), { status: 502 });
        await assert.rejects(ollama.embed({ model, input }));
        behaviour.dieAfter = undefined;
      });
    },
  );
}

function floatsOf(base64: string): number[] {
  const bytes = Buffer.from(base64, "base64");
  return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4));
}
