import { errorIn } from "./errors.ts";
import { task, answersWith, answersOrStreams } from "./operation.ts";
import type { Chapter } from "./operation.ts";
import {
  bodyOf,
  anyOf,
  boolean,
  integer,
  integerOrNull,
  list,
  named,
  number,
  object,
  anyObject,
  nonEmptyList,
} from "./schema.ts";
import { nonEmptyString, string, stringOrNull, enumOf } from "./schema.ts";
import type { Members, Schema } from "./schema.ts";

/** Anthropic's API. */

const BLOCKS: Schema = anyOf([
  string(),
  list(object({ type: string("`text`, `image`, `document`, `tool_use`, `tool_result`, …") }, ["type"])),
]);

const TOOL: Schema = {
  ...bodyOf({
    name: string(),
    type: string(),
    description: string(),
    input_schema: anyObject("A JSON Schema."),
    strict: boolean(),
  }),
  anyOf: [{ required: ["name"] }, { required: ["type"] }],
};

const CHAT: Members = {
  model: nonEmptyString(),
  messages: {
    ...nonEmptyList(bodyOf({ role: string("`user`, `assistant` or `system`."), content: BLOCKS }, ["role"])),
  },
  system: BLOCKS,
  tools: list(TOOL),
  tool_choice: bodyOf({ type: enumOf(["auto", "any", "tool", "none"]), name: string() }),
  thinking: bodyOf({ type: enumOf(["enabled", "adaptive", "disabled"]), budget_tokens: number() }),
  output_config: bodyOf({ effort: string(), format: anyObject("`json_schema` with a `schema`.") }),
  temperature: number(),
  top_p: number(),
  top_k: integer(),
  stop_sequences: list(string()),
  metadata: anyObject("Has no effect."),
};

const USAGE: Schema = object(
  {
    input_tokens: integer(),
    cache_creation_input_tokens: integer(),
    cache_read_input_tokens: integer(),
    output_tokens: integer(),
  },
  ["input_tokens", "output_tokens"],
);

/** Unknown facts are null. */
const MODEL: Schema = object(
  {
    type: enumOf(["model"]),
    id: string(),
    display_name: string(),
    created_at: { type: "string", format: "date-time" },
    lifecycle: enumOf(["active"]),
    max_input_tokens: integerOrNull(),
    max_tokens: integerOrNull(),
  },
  ["type", "id", "display_name", "created_at"],
);

const SCHEMAS: Chapter["schemas"] = {
  AnthropicMessagesRequest: bodyOf(
    {
      ...CHAT,
      max_tokens: { type: "integer", minimum: 1 },
      stream: boolean("True for an answer as events; false when absent."),
    },
    ["model", "messages", "max_tokens"],
  ),
  AnthropicMessage: object(
    {
      id: string(),
      type: enumOf(["message"]),
      role: enumOf(["assistant"]),
      model: string(),
      content: list(object({ type: string("`text`, `thinking`, `tool_use`.") }, ["type"])),
      stop_reason: stringOrNull(),
      stop_sequence: stringOrNull(),
      usage: USAGE,
    },
    ["id", "type", "role", "model", "content", "usage"],
  ),
  AnthropicEvent: object(
    {
      type: enumOf([
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
      ]),
      message: named("AnthropicMessage"),
      index: integer("Index of the block."),
      content_block: anyObject("The block as it begins."),
      delta: anyObject("A piece of a block, or of the message."),
      usage: object({ output_tokens: integer() }),
    },
    ["type"],
  ),
  AnthropicModel: MODEL,
  AnthropicModels: object(
    {
      data: list(named("AnthropicModel")),
      has_more: boolean("True when another page follows."),
      first_id: stringOrNull(),
      last_id: stringOrNull("Pass it as `after_id` for the next page."),
    },
    ["data", "has_more", "first_id", "last_id"],
  ),
  AnthropicCountRequest: bodyOf(CHAT, ["model", "messages"]),
  AnthropicCount: object({ input_tokens: integer() }, ["input_tokens"]),
};

const OPERATIONS: Chapter["operations"] = [
  task({
    path: "/v1/messages",
    tag: "Anthropic",
    summary: "Answers with a message",
    body: named("AnthropicMessagesRequest"),
    answers: answersOrStreams(named("AnthropicMessage"), {
      events: anyOf([named("AnthropicEvent"), errorIn("anthropic")]),
    }),
  }),
  task({
    path: "/v1/messages/count_tokens",
    tag: "Anthropic",
    summary: "Counts the tokens of a prompt",
    description: "The count is an estimate when the backend cannot count.",
    body: named("AnthropicCountRequest"),
    answers: answersWith(named("AnthropicCount"), "The count."),
  }),
];

export const ANTHROPIC: Chapter = { operations: OPERATIONS, schemas: SCHEMAS };
