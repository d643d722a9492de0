import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ChatRequest } from "../../src/core/chat.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Json, JsonObject } from "../../src/core/json.ts";
import type { Endpoint } from "../../src/core/task.ts";
import { serverCodec } from "../../src/protocols/dialects.ts";
import { reportableNames } from "../../src/protocols/dropped-fields.ts";
import { ollamaClientCodec } from "../../src/protocols/ollama/client-codec.ts";
import { openaiClientCodec } from "../../src/protocols/openai/client-codec.ts";
import { OPENAI_PROFILES } from "../../src/protocols/openai/profiles.ts";
import { type Example, PublishedTypes, WORD } from "./published-types.ts";

/**
 * Every type of block, item, tool and choice in the vendors' libraries, in a request to each kind of backend: none ends a conversation, and none is lost in silence.
 */

const anthropic = new PublishedTypes(["@anthropic-ai/sdk/resources/beta/messages/messages.d.ts"]);
const openai = new PublishedTypes([
  "openai/resources/responses/responses.d.ts",
  "openai/resources/chat/completions/completions.d.ts",
  "openai/resources/shared.d.ts",
]);

const CODECS = [ollamaClientCodec, ...Object.values(OPENAI_PROFILES).map(openaiClientCodec)];

interface Outcome {
  readonly request: ChatRequest;
  /** As `x-sgnet-dropped` has it, from the backend that leaves out most. */
  readonly dropped: readonly string[];
}

/** The outcome of a request with each kind of backend. Throws what a client would be told. */
function outcomeOf(endpoint: Endpoint, body: JsonObject): Outcome {
  const server = serverCodec(endpoint);
  server.validate(structuredClone(body));
  const request = server.decode(structuredClone(body));
  assert.equal(request.kind, "chat");
  const dropped = CODECS.flatMap(
    (codec) => codec.encode(request, { model: "m", stream: true }).dropped ?? [],
  );
  return { request, dropped: reportableNames(dropped) };
}

/** The model is told the words of what is marked, or the client is told that it is not. */
function assertKept(endpoint: Endpoint, body: JsonObject, about: string): void {
  const { request, dropped } = outcomeOf(endpoint, body);
  const isTold = JSON.stringify([request.messages, request.tools]).includes(WORD);
  assert.ok(isTold || dropped.length > 0, `${about} is lost in silence: ${JSON.stringify(request)}`);
}

const both = (types: PublishedTypes, name: string): Example[] => {
  const examples = [false, true].flatMap((isFull) => types.examples(name, isFull));
  assert.ok(examples.length > 0, name);
  return examples;
};

const user = (content: Json): JsonObject => ({ role: "user", content });
const assistant = (content: Json): JsonObject => ({ role: "assistant", content });
const GO_ON = [assistant("fine"), user("go on")];

const messagesOf = (messages: Json, more: JsonObject = {}): JsonObject => {
  return { model: "m", max_tokens: 9, messages, ...more };
};
const responseOf = (input: Json, more: JsonObject = {}): JsonObject => ({ model: "m", input, ...more });
const chatOf = (messages: Json, more: JsonObject = {}): JsonObject => ({ model: "m", messages, ...more });
const callOf = (id: string): JsonObject => ({
  type: "function_call",
  call_id: id,
  name: "n",
  arguments: "{}",
});
const readMessages = (messages: Json, more: JsonObject = {}): Outcome => {
  return outcomeOf("anthropic-messages", messagesOf(messages, more));
};
const isShown = (messages: Json): boolean => {
  return JSON.stringify(readMessages(messages).request.messages).includes(WORD);
};

/** Says which tools there are, and nothing else. */
const SILENT = /^(?:Beta)?(?:RequestTool(?:Addition|Removal)Block)$/;

describe("blocks of Anthropic's messages", () => {
  const called = assistant([{ type: "tool_use", id: "t", name: "n", input: {} }]);
  const blocks = both(anthropic, "BetaContentBlockParam").filter(({ name }) => !SILENT.test(name));

  it("stay in the past of a user, of an assistant, of the system and of a tool", () => {
    assert.ok(blocks.length > 40, `${blocks.length}`);
    for (const { name, value } of blocks) {
      const places: readonly (readonly [string, JsonObject])[] = [
        ["a user", messagesOf([user([value]), ...GO_ON])],
        ["an assistant", messagesOf([user("hi"), assistant([value]), user("go on")])],
        ["the system", messagesOf([user("go on")], { system: [value] })],
        [
          "a tool",
          messagesOf([
            user("hi"),
            called,
            user([{ type: "tool_result", tool_use_id: "t", content: [value] }]),
          ]),
        ],
      ];
      for (const [place, body] of places) assertKept("anthropic-messages", body, `${name} of ${place}`);
    }
  });

  it("are given or refused in the newest turn", () => {
    for (const { name, value } of blocks) {
      try {
        assertKept("anthropic-messages", messagesOf([user([value])]), name);
      } catch (error) {
        assert.ok(error instanceof Fault && error.http === 400, `${name}: ${String(error)}`);
      }
    }
  });

  it("that are tools are offered or named, and each choice is taken", () => {
    for (const { name, value } of both(anthropic, "BetaToolUnion")) {
      const { request, dropped } = outcomeOf(
        "anthropic-messages",
        messagesOf([user("hi")], { tools: [value] }),
      );
      assert.ok(request.tools !== undefined || dropped.length > 0, name);
    }
    const tools = [{ name: WORD, input_schema: { type: "object" } }];
    const server = serverCodec("anthropic-messages");
    for (const { value } of both(anthropic, "BetaToolChoice"))
      server.validate(messagesOf([user("hi")], { tools, tool_choice: value }));
    for (const { value } of both(anthropic, "BetaThinkingConfigParam"))
      outcomeOf("anthropic-messages", messagesOf([user("hi")], { thinking: value }));
  });

  it("have fields beside them that are read or named", () => {
    const fields = anthropic.members("MessageCreateParamsBase");
    for (const [name, value] of Object.entries(fields)) {
      if (READ.has(name) || HINTS.has(name)) continue;
      const { dropped } = outcomeOf(
        "anthropic-messages",
        messagesOf([user("hi")], { [name]: value ?? null }),
      );
      assert.ok(dropped.includes(name), `${name} is lost in silence`);
    }
  });
});

/** Fields that are read, each tested by itself. */
const READ = new Set(
  (
    "model messages max_tokens stream stream_options stop stop_sequences system thinking tools tool_choice temperature top_p top_k " +
    "output_config output_format input instructions max_output_tokens parallel_tool_calls reasoning text max_completion_tokens " +
    "n seed presence_penalty frequency_penalty response_format reasoning_effort logprobs top_logprobs functions function_call"
  ).split(" "),
);
/** Fields about an account, and about caches: they say nothing about the answer. */
const HINTS = new Set(
  "cache_control metadata service_tier user store safety_identifier prompt_cache_key prompt_cache_retention".split(
    " ",
  ),
);
/** Features that need stored responses. */
const STATEFUL = new Set(["background", "conversation", "previous_response_id", "prompt"]);

describe("items of OpenAI's responses", () => {
  it("stay in the past", () => {
    const items = both(openai, "ResponseInputItem");
    assert.ok(items.length > 60, `${items.length}`);
    for (const { name, value } of items)
      assertKept("openai-responses", responseOf([user("hi"), value, ...GO_ON]), name);
  });

  it("have contents that stay in the past, and in the results of tools", () => {
    const call = { type: "function_call", call_id: "t", name: "n", arguments: "{}" };
    for (const { name, value } of both(openai, "ResponseInputContent")) {
      assertKept("openai-responses", responseOf([user([value]), ...GO_ON]), name);
      const output = { type: "function_call_output", call_id: "t", output: [value] };
      assertKept("openai-responses", responseOf([user("hi"), call, output]), `${name} of a tool`);
    }
  });

  it("that are tools are offered or named", () => {
    for (const { name, value } of both(openai, "Tool")) {
      const { request, dropped } = outcomeOf("openai-responses", responseOf("hi", { tools: [value] }));
      assert.ok(request.tools !== undefined || dropped.length > 0, name);
    }
  });

  it("have fields beside them that are read or named, or need a server that keeps responses", () => {
    for (const [name, value] of Object.entries(openai.members("ResponseCreateParamsBase"))) {
      if (READ.has(name) || HINTS.has(name)) continue;
      const body = responseOf("hi", { [name]: value ?? null });
      if (STATEFUL.has(name)) assert.throws(() => outcomeOf("openai-responses", body), { http: 400 }, name);
      else
        assert.ok(outcomeOf("openai-responses", body).dropped.includes(name), `${name} is lost in silence`);
    }
  });

  it("that are a result without the id of its call answer the first call without one", () => {
    const result = { type: "function_call_output", output: "found" };
    const input = [user("hi"), callOf("a"), callOf("b"), { ...result, call_id: "a" }, result];
    const { request } = outcomeOf("openai-responses", responseOf(input));
    const ids = request.messages.filter(({ role }) => role === "tool").map(({ toolCallId }) => toolCallId);
    assert.deepEqual(ids, ["a", "b"]);
  });

  it("are spoken, too, where the backend hears", () => {
    const heard = { type: "input_audio", input_audio: { data: "AAAA", format: "mp3" } };
    const { request } = outcomeOf("openai-responses", responseOf([user([heard])]));
    assert.deepEqual(request.messages[0]?.content, [{ type: "audio", format: "mp3", base64: "AAAA" }]);
  });

  it("need no thoughts of a vendor: that they are included is no loss", () => {
    const sealed = outcomeOf(
      "openai-responses",
      responseOf("hi", { include: ["reasoning.encrypted_content"] }),
    );
    assert.deepEqual(sealed.dropped.includes("include"), false);
    const others = outcomeOf("openai-responses", responseOf("hi", { include: ["file_search_call.results"] }));
    assert.ok(others.dropped.includes("include"));
  });
});

describe("messages of OpenAI's chat completions", () => {
  it("stay in the past with each of their parts", () => {
    for (const { value } of both(openai, "ChatCompletionMessageParam"))
      outcomeOf("openai-chat", chatOf([user("hi"), value, ...GO_ON]));
    for (const { name, value } of both(openai, "ChatCompletionContentPart"))
      assertKept("openai-chat", chatOf([user([value]), ...GO_ON]), name);
    for (const content of [null, ""])
      outcomeOf("openai-chat", chatOf([user("hi"), assistant(content), user("go on")]));
    const spoken = { role: "assistant", audio: { id: "a" } };
    assert.ok(
      outcomeOf("openai-chat", chatOf([user("hi"), spoken, user("go on")])).dropped.includes(
        "messages.audio",
      ),
    );
  });

  it("have tools that are offered or named, and a choice among those that are allowed", () => {
    for (const { name, value } of both(openai, "ChatCompletionTool")) {
      const { request, dropped } = outcomeOf("openai-chat", chatOf([user("hi")], { tools: [value] }));
      assert.ok(request.tools !== undefined || dropped.length > 0, name);
    }
    const tools = ["a", "b"].map((name) => ({ type: "function", function: { name } }));
    const only = { mode: "auto", tools: [{ type: "function", function: { name: "b" } }] };
    const choices = [
      { type: "allowed_tools", allowed_tools: only },
      { type: "allowed_tools", ...only },
    ];
    for (const choice of choices) {
      const { request } = outcomeOf("openai-chat", chatOf([user("hi")], { tools, tool_choice: choice }));
      assert.deepEqual([request.tools?.map(({ name }) => name), request.toolChoice], [["b"], "auto"]);
    }
  });

  it("have fields beside them that are read or named", () => {
    for (const [name, value] of Object.entries(openai.members("ChatCompletionCreateParamsBase"))) {
      if (READ.has(name) || HINTS.has(name) || name === "logit_bias") continue;
      const { dropped } = outcomeOf("openai-chat", chatOf([user("hi")], { [name]: value ?? null }));
      assert.ok(dropped.includes(name), `${name} is lost in silence`);
    }
  });
});

describe("members of Anthropic's messages that are easily missed", () => {
  it("a format under its older name binds the answer", () => {
    const schema = { type: "object", properties: {} };
    const server = serverCodec("anthropic-messages");
    const body = {
      model: "m",
      max_tokens: 9,
      messages: [user("hi")],
      output_format: { type: "json_schema", schema },
    };
    server.validate(body);
    const request = server.decode(body);
    assert.deepEqual(request.kind === "chat" && request.format, { type: "schema", schema });
  });

  it("thinking between tools is thinking, and named", () => {
    const { request, dropped } = readMessages([user("hi")], { thinking: { type: "between_tools" } });
    assert.equal(request.think, true);
    assert.ok(dropped.includes("thinking.type"));
  });

  it("a system message until the next user's is shown until then", () => {
    const note = { role: "system", content: WORD, clear_at: "next_user_message" };
    assert.ok(isShown([user("hi"), note]));
    assert.ok(isShown([user("hi"), note, assistant("fine")]));
    assert.ok(!isShown([user("hi"), note, ...GO_ON]));
    assert.ok(isShown([user("hi"), { ...note, clear_at: "never" }, ...GO_ON]));
    const { request } = readMessages([user("hi"), note], { system: "Be brief." });
    assert.deepEqual(
      request.messages.map(({ role }) => role),
      ["system", "user"],
    );
  });

  it("a system message of settings alone is no message", () => {
    const settings = { role: "system", output_config: { effort: "low" } };
    const { request, dropped } = readMessages([user("hi"), settings, ...GO_ON]);
    assert.deepEqual(
      request.messages.map(({ role }) => role),
      ["user", "assistant", "user"],
    );
    assert.ok(dropped.includes("messages.output_config"));
  });

  it("a compaction keeps the changes of the tools", () => {
    const tools = ["a", "b"].map((name) => ({
      name,
      defer_loading: name === "b",
      input_schema: { type: "object" },
    }));
    const tool = { type: "tool_reference", name: "b" };
    const compaction = {
      type: "compaction",
      content: "so far",
      tool_changes: [{ type: "tool_addition", tool }],
    };
    const { request } = readMessages([assistant([compaction]), user("go on")], { tools });
    assert.deepEqual(
      request.tools?.map(({ name }) => name),
      ["a", "b"],
    );
  });

  it("a wish for citations and a tool that only other tools may call are named", () => {
    const source = { type: "text", media_type: "text/plain", data: "x" };
    const document = { type: "document", source, citations: { enabled: true } };
    assert.ok(readMessages([user([document])]).dropped.includes("messages.citations"));
    const tool = {
      name: "a",
      input_schema: { type: "object" },
      allowed_callers: ["code_execution_20260120"],
    };
    assert.ok(readMessages([user("hi")], { tools: [tool] }).dropped.includes("tools.allowed_callers"));
  });
});
