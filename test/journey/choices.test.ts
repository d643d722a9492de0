import assert from "node:assert/strict";
import OpenAI, { BadRequestError } from "openai";
import { until } from "../rig/until.ts";
import { gaugeOf } from "../rig/fleet/leaks.ts";
import { journey, MODEL as model } from "../rig/fleet/fleet.ts";
import { standInText } from "../rig/backends/stand-in.ts";

const messages = [{ role: "user" as const, content: "hi" }];
const N = 3;
const USAGE = { prompt_tokens: 7, completion_tokens: 5 * N, total_tokens: 7 + 5 * N };

for (const speaks of ["ollama", "openai"] as const) {
  journey(
    `several answers through OpenAI's library, from ${speaks}`,
    { posts: [{ speaks }] },
    async (fleet, t) => {
      // The stand-in that speaks OpenAI's dialect answers once whatever n is: only translated ones are counted.
      const { standIn } = fleet.post();
      const client = new OpenAI({ baseURL: `${fleet.gateway.url}/v1`, apiKey: "none", maxRetries: 0 });

      if (speaks === "openai") {
        await client.chat.completions.create({ model, messages, n: 40 });
        assert.equal(standIn.requests.at(-1)?.body["n"], 40);
        return;
      }

      await t.test("a chat in one piece", async () => {
        const reply = await client.chat.completions.create({ model, messages, n: N, max_tokens: 5 });
        assert.deepEqual(
          reply.choices.map(({ index, message, finish_reason: reason }) => [index, message.content, reason]),
          [0, 1, 2].map((index) => [index, standInText(5), "stop"]),
        );
        assert.deepEqual(reply.usage, USAGE);
      });

      await t.test("a streamed chat, through the library's own gathering of chunks", async () => {
        const stream = client.chat.completions.stream({
          model,
          messages,
          n: N,
          max_tokens: 5,
          stream_options: { include_usage: true },
        });
        const reply = await stream.finalChatCompletion();
        assert.deepEqual(
          reply.choices.map(({ index, message }) => [index, message.content]),
          [0, 1, 2].map((index) => [index, standInText(5)]),
        );
        assert.deepEqual(reply.usage, USAGE);
      });

      await t.test("text completions", async () => {
        const reply = await client.completions.create({
          model,
          prompt: "hi",
          n: N,
          best_of: N,
          max_tokens: 5,
        });
        assert.deepEqual(
          reply.choices.map(({ index, text }) => [index, text]),
          [0, 1, 2].map((index) => [index, standInText(5)]),
        );
        const texts = ["", "", ""];
        const asked = { model, prompt: "hi", n: N, max_tokens: 5, stream: true } as const;
        for await (const { choices } of await client.completions.create(asked)) {
          for (const { index, text } of choices) texts[index] += text;
        }
        assert.deepEqual(
          texts,
          Array.from({ length: N }, () => standInText(5)),
        );
      });

      await t.test("two answers to each of two prompts, in one piece and streamed", async () => {
        standIn.behaviour.script = ({ prompt, options }) => {
          const { seed } = options as { seed: number };
          return { firstTokenMs: 0, tokenMs: 1, word: () => `${String(prompt)}${seed} ` };
        };
        const asked = { model, prompt: ["red", "blue"], n: 2, seed: 7, max_tokens: 2 };
        const texts = ["red7 red7 ", "red8 red8 ", "blue7 blue7 ", "blue8 blue8 "];
        const usage = { prompt_tokens: 14, completion_tokens: 8, total_tokens: 22 };
        const whole = await client.completions.create(asked);
        assert.deepEqual(
          whole.choices.map(({ index, text, finish_reason: reason }) => [index, text, reason]),
          texts.map((text, index) => [index, text, "stop"]),
        );
        assert.deepEqual(whole.usage, usage);
        const streamed = ["", "", "", ""];
        const counted: unknown[] = [];
        const counts = { stream: true as const, stream_options: { include_usage: true } };
        for await (const chunk of await client.completions.create({ ...asked, ...counts })) {
          for (const { index, text } of chunk.choices) streamed[index] += text;
          if (chunk.usage) counted.push(chunk.usage);
        }
        assert.deepEqual(streamed, texts);
        assert.deepEqual(counted, [usage]);
        standIn.behaviour.script = undefined;
      });

      await t.test("more than can be made is refused", async () => {
        for (const n of [0, 1.5, 17]) {
          const refused = client.chat.completions.create({ model, messages, n });
          await assert.rejects(refused, BadRequestError);
        }
        const many = client.completions.create({ model, prompt: ["a", "b", "c"], n: 6 });
        await assert.rejects(many, (error: unknown) => {
          assert.ok(error instanceof BadRequestError);
          assert.match(error.message, /more than 16 answers \(3 prompts, n=6\) is not supported/);
          return error.type === "invalid_request_error";
        });
      });

      await t.test("a client that leaves stops them all", async () => {
        standIn.behaviour.tokenMs = 20;
        const before = standIn.requests.length;
        const stream = await client.chat.completions.create({
          model,
          messages,
          n: N,
          max_tokens: 1000,
          stream: true,
        });
        await standIn.waitFor("request", before + N);
        stream.controller.abort();
        await standIn.waitFor("aborted", N);
        await until("no open task", async () => (await gaugeOf(fleet.gateway, "sgnet_open_tasks")) === 0);
      });
    },
  );
}

journey(
  "choices never get more than the slots of their backend",
  { posts: [{ slots: 2 }] },
  async (fleet) => {
    const { standIn } = fleet.post();
    const client = new OpenAI({ baseURL: `${fleet.gateway.url}/v1`, apiKey: "none", maxRetries: 0 });
    standIn.behaviour.tokenMs = 2;
    const reply = await client.chat.completions.create({ model, messages, n: 5, max_tokens: 5 });
    assert.equal(reply.choices.length, 5);
    assert.equal(standIn.peak, 2);
  },
);

journey(
  "slots that choices take while the worker waits for tasks are no slots for those",
  { posts: [{ slots: 4 }] },
  async (fleet) => {
    const { standIn } = fleet.post();
    const client = new OpenAI({ baseURL: `${fleet.gateway.url}/v1`, apiKey: "none", maxRetries: 0 });
    const ask = async (n: number, seed: number): Promise<void> => {
      const reply = await client.chat.completions.create({ model, messages, n, seed, max_tokens: 5 });
      assert.equal(reply.choices.length, n);
      for (const { message } of reply.choices) assert.equal(message.content, standInText(5));
    };
    // The first choice, on the task's own slot, outlasts those on lent ones: the worker waits with three free slots.
    standIn.behaviour.script = ({ options }) => {
      const { seed } = options as { seed: number };
      return { firstTokenMs: seed === 100 ? 200 : 50, tokenMs: 0, word: (index) => `t${index} ` };
    };
    const several = ask(12, 100);
    await standIn.waitFor("finished", 3);
    // When its own choice ends, the next one takes three others beside it.
    await standIn.waitFor("request", 8);
    const others = Array.from({ length: 6 }, (_, index) => ask(1, index));
    await Promise.all([several, ...others]);
    assert.equal(standIn.peak, 4);
    assert.equal(standIn.requests.length, 12 + others.length);
  },
);
