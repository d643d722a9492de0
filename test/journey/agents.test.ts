import assert from "node:assert/strict";
import Anthropic, * as anthropic from "@anthropic-ai/sdk";
import OpenAI, * as openai from "openai";
import type { Recorded } from "../rig/backends/stand-in.ts";
import { standInText } from "../rig/backends/stand-in.ts";
import { type Fleet, journey, MODEL } from "../rig/fleet/fleet.ts";

/** The features that agents use: Anthropic's messages and OpenAI's responses, through the public client libraries. */

const PNG = "iVBORw0KGgoAAAANSUhEUg==";
const QUESTION = "What is the weather in Paris and Berlin?";
const SCHEMA = { type: "object" as const, properties: { city: { type: "string" } }, required: ["city"] };
const KINDS = ["ollama", "openai"] as const;
type Kind = (typeof KINDS)[number];

const TEXT = { role: "user" as const, content: QUESTION };
const TOOL = { name: "get_weather", description: "The weather", input_schema: SCHEMA };

function anthropicAt(fleet: Fleet): Anthropic {
  return new Anthropic({ baseURL: fleet.gateway.url, apiKey: "none", maxRetries: 0 });
}

function openaiAt(fleet: Fleet): OpenAI {
  return new OpenAI({ baseURL: `${fleet.gateway.url}/v1`, apiKey: "none", maxRetries: 0 });
}

function ollamaCall(id: string, city: string): object {
  return { id, function: { name: "get_weather", arguments: { city } } };
}

function openaiCall(index: number, more: object): object {
  return { tool_calls: [{ index, ...more }] };
}

/** A thought, a text and two calls at once, as each kind of backend streams them. */
function calls(kind: Kind): Record<string, { contentType: string; body: string }> {
  if (kind === "openai") {
    const deltas: object[] = [
      { role: "assistant", content: null },
      { reasoning_content: "Two " },
      { reasoning_content: "cities." },
      { content: "I " },
      { content: "look." },
      openaiCall(0, { id: "call_p", type: "function", function: { name: "get_weather", arguments: "" } }),
      openaiCall(0, { function: { arguments: '{"city":' } }),
      openaiCall(0, { function: { arguments: '"Paris"}' } }),
      openaiCall(1, {
        id: "call_b",
        type: "function",
        function: { name: "get_weather", arguments: '{"city":"Berl' },
      }),
      openaiCall(1, { function: { arguments: 'in"}' } }),
    ];
    const events = [
      ...deltas.map((delta) => ({ choices: [{ index: 0, delta, finish_reason: null }] })),
      { choices: [{ index: 0, delta: {}, finish_reason: "tool_calls" }] },
      { choices: [], usage: { prompt_tokens: 20, completion_tokens: 9, total_tokens: 29 } },
    ];
    const body = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("");
    return { "/v1/chat/completions": { contentType: "text/event-stream", body: `${body}data: [DONE]\n\n` } };
  }
  const lines = [
    { message: { role: "assistant", content: "", thinking: "Two " }, done: false },
    { message: { role: "assistant", content: "", thinking: "cities." }, done: false },
    { message: { role: "assistant", content: "I look." }, done: false },
    {
      message: {
        role: "assistant",
        content: "",
        tool_calls: [ollamaCall("call_p", "Paris"), ollamaCall("call_b", "Berlin")],
      },
      done: false,
    },
    {
      message: { role: "assistant", content: "" },
      done: true,
      done_reason: "stop",
      prompt_eval_count: 20,
      eval_count: 9,
    },
  ];
  const body = lines.map((line) => `${JSON.stringify({ model: MODEL, ...line })}\n`).join("");
  return { "/api/chat": { contentType: "application/x-ndjson", body } };
}

const pathOf = (kind: Kind): string => (kind === "ollama" ? "/api/chat" : "/v1/chat/completions");

function lastRequest(fleet: Fleet, kind: Kind): Recorded["body"] {
  const found = fleet.post().standIn.requests.findLast(({ path }) => path === pathOf(kind));
  assert.ok(found);
  return found.body;
}

/** Roles and what else tells the messages apart that a backend was sent. */
function turnsOf(body: Recorded["body"]): object[] {
  return (body["messages"] as Record<string, unknown>[]).map((message) => ({
    role: message["role"],
    calls: (message["tool_calls"] as { id: string }[] | undefined)?.map(({ id }) => id),
    answers: message["tool_call_id"],
    thinking: message["thinking"] ?? message["reasoning_content"],
  }));
}

const TURNS = [
  { role: "system", calls: undefined, answers: undefined, thinking: undefined },
  { role: "user", calls: undefined, answers: undefined, thinking: undefined },
  { role: "assistant", calls: ["call_p", "call_b"], answers: undefined, thinking: "Two cities." },
  { role: "tool", calls: undefined, answers: "call_p", thinking: undefined },
  { role: "tool", calls: undefined, answers: "call_b", thinking: undefined },
];

/** The backend breaks off in the middle of an answer: the client library must say so. */
async function assertRaises(
  fleet: Fleet,
  failure: typeof anthropic.APIError | typeof openai.APIError,
  ask: () => Promise<unknown>,
): Promise<void> {
  const { behaviour } = fleet.post().standIn;
  Object.assign(behaviour, { dieAfter: 3, tokenMs: 5 });
  await assert.rejects(ask, failure);
  Object.assign(behaviour, { dieAfter: undefined, tokenMs: 0 });
}

for (const kind of KINDS) {
  journey(`Anthropic's client library on ${kind}`, { posts: [{ speaks: kind }] }, async (fleet, t) => {
    const client = anthropicAt(fleet);
    const { behaviour } = fleet.post().standIn;
    const plain = { model: MODEL, max_tokens: 5, messages: [TEXT] };

    await t.test("a message in one piece", async () => {
      const message = await client.messages.create({
        ...plain,
        system: [{ type: "text", text: "Be brief." }],
      });
      assert.deepEqual(message.content, [{ type: "text", text: standInText(5) }]);
      assert.equal(message.stop_reason, "end_turn");
      assert.deepEqual([message.usage.input_tokens, message.usage.output_tokens], [7, 5]);
      assert.equal((lastRequest(fleet, kind)["messages"] as { role: string }[])[0]?.role, "system");
    });

    await t.test("a stream", async () => {
      const message = await client.messages.stream(plain).finalMessage();
      assert.deepEqual(message.content, [{ type: "text", text: standInText(5) }]);
      assert.equal(message.stop_reason, "end_turn");
      assert.equal(message.usage.output_tokens, 5);
    });

    await t.test("a turn with tools, and the one after it", async () => {
      behaviour.answers = calls(kind);
      const asked = {
        ...plain,
        system: "Look it up.",
        tools: [TOOL],
        tool_choice: { type: "auto" as const },
      };
      const message = await client.messages.stream(asked).finalMessage();
      assert.deepEqual(message.content, [
        { type: "thinking", thinking: "Two cities.", signature: "" },
        { type: "text", text: "I look." },
        { type: "tool_use", id: "call_p", name: "get_weather", input: { city: "Paris" } },
        { type: "tool_use", id: "call_b", name: "get_weather", input: { city: "Berlin" } },
      ]);
      assert.equal(message.stop_reason, "tool_use");
      behaviour.answers = {};
      const image = {
        type: "image" as const,
        source: { type: "base64" as const, media_type: "image/png" as const, data: PNG },
      };
      const results = [
        { type: "tool_result" as const, tool_use_id: "call_p", content: "sun" },
        {
          type: "tool_result" as const,
          tool_use_id: "call_b",
          content: [{ type: "text" as const, text: "rain" }, image],
        },
      ];
      await client.messages.create({
        ...asked,
        messages: [TEXT, { role: "assistant", content: message.content }, { role: "user", content: results }],
      });
      const sent = lastRequest(fleet, kind);
      assert.deepEqual(turnsOf(sent), TURNS);
      assert.ok(JSON.stringify(sent["messages"]).includes(PNG));
    });

    await t.test("thinking is dropped where a model cannot", async () => {
      const thinking = { type: "enabled" as const, budget_tokens: 1024 };
      await client.messages.create({ ...plain, thinking });
      assert.equal("think" in lastRequest(fleet, kind), false);
    });

    await t.test("tokens are counted, or estimated", async () => {
      const count = await client.messages.countTokens({ model: MODEL, messages: [TEXT] });
      assert.equal(count.input_tokens, Math.ceil(QUESTION.length / 4) + 4);
    });

    await t.test("models are listed", async () => {
      const ids: string[] = [];
      for await (const model of client.models.list()) ids.push(model.id);
      assert.deepEqual(ids, [`${MODEL}:latest`]);
    });

    await t.test(
      "the id of a request is where the library looks for it, of answers and of errors",
      async () => {
        const { request_id: id } = await client.messages.create(plain).withResponse();
        assert.match(id ?? "", /^g\w+\.\w+$/);
        const { request_id: streamed } = await client.messages
          .create({ ...plain, stream: true })
          .withResponse();
        assert.match(streamed ?? "", /^g\w+\.\w+$/);
        const failed = client.messages.create({ ...plain, model: "nope" });
        const fault = await failed.catch(
          (error: unknown) => error as InstanceType<typeof anthropic.APIError>,
        );
        assert.match("requestID" in fault ? (fault.requestID ?? "") : "", /^g\w+\.\w+$/);
      },
    );

    await t.test("the beta path, which agents use", async () => {
      const message = await client.beta.messages.create({
        ...plain,
        betas: ["context-management-2025-06-27"],
      });
      assert.equal(message.usage.output_tokens, 5);
    });

    await t.test("what is wrong is told with its type", async () => {
      await assert.rejects(client.messages.create({ ...plain, model: "nope" }), anthropic.NotFoundError);
      await assert.rejects(client.messages.create({ ...plain, max_tokens: 0 }), anthropic.BadRequestError);
      await assert.rejects(client.get("/v1/messages/batches"), anthropic.NotFoundError);
    });

    await t.test("a stream that breaks off raises", async () => {
      let text = "";
      await assertRaises(fleet, anthropic.APIError, async () => {
        for await (const event of await client.messages.create({ ...plain, max_tokens: 50, stream: true })) {
          if (event.type === "content_block_delta" && event.delta.type === "text_delta")
            text += event.delta.text;
        }
      });
      assert.equal(text, standInText(3));
    });
  });

  journey(`OpenAI's responses on ${kind}`, { posts: [{ speaks: kind }] }, async (fleet, t) => {
    const client = openaiAt(fleet);
    const { behaviour } = fleet.post().standIn;
    const plain = { model: MODEL, input: QUESTION, max_output_tokens: 5 };
    const tool = { type: "function" as const, name: "get_weather", parameters: SCHEMA, strict: false };

    await t.test("a response in one piece", async () => {
      const response = await client.responses.create({ ...plain, instructions: "Be brief." });
      assert.equal(response.output_text, standInText(5));
      assert.equal(response.status, "completed");
      assert.equal(response.usage?.total_tokens, 12);
      assert.equal((lastRequest(fleet, kind)["messages"] as { role: string }[])[0]?.role, "system");
    });

    await t.test("a stream", async () => {
      const response = await client.responses.stream(plain).finalResponse();
      assert.equal(response.output_text, standInText(5));
      assert.equal(response.status, "completed");
    });

    await t.test("a turn with tools, and the one after it", async () => {
      behaviour.answers = calls(kind);
      const asked = { ...plain, instructions: "Look it up.", tools: [tool] };
      const response = await client.responses.stream(asked).finalResponse();
      assert.deepEqual(
        response.output.map((item) =>
          item.type === "function_call" ? `${item.call_id} ${item.arguments}` : item.type,
        ),
        ["reasoning", "message", 'call_p {"city":"Paris"}', 'call_b {"city":"Berlin"}'],
      );
      behaviour.answers = {};
      const results = ["call_p", "call_b"].map((id) => ({
        type: "function_call_output" as const,
        call_id: id,
        output: "sun",
      }));
      await client.responses.create({
        ...asked,
        input: [TEXT, ...(response.output as OpenAI.Responses.ResponseInputItem[]), ...results],
      });
      assert.deepEqual(turnsOf(lastRequest(fleet, kind)), TURNS);
    });

    await t.test("what is wrong is told with its type", async () => {
      await assert.rejects(client.responses.create({ ...plain, model: "nope" }), openai.NotFoundError);
      const followed = client.responses.create({ ...plain, previous_response_id: "resp_1" });
      await assert.rejects(followed, openai.BadRequestError);
      await assert.rejects(client.responses.retrieve("resp_1"), openai.NotFoundError);
    });

    await t.test("a stream that breaks off raises", async () => {
      let text = "";
      await assertRaises(fleet, openai.APIError, async () => {
        for await (const event of await client.responses.create({
          ...plain,
          max_output_tokens: 50,
          stream: true,
        })) {
          if (event.type === "response.output_text.delta") text += event.delta;
        }
      });
      assert.equal(text, standInText(3));
    });
  });
}
