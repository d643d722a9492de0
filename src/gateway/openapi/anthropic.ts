import { errorIn } from "./errors.ts";
import { task, tells, tellsOrStreams } from "./operation.ts";
import type { Chapter } from "./operation.ts";
import {
  asked,
  either,
  flag,
  integer,
  integerOrNull,
  list,
  named,
  number,
  object,
  open,
  some,
} from "./schema.ts";
import { label, text, textOrNull, word } from "./schema.ts";
import type { Members, Schema } from "./schema.ts";

/** Anthropic's API. */

const BLOCKS: Schema = either([
  text(),
  list(object({ type: text("`text`, `image`, `document`, `tool_use`, `tool_result`, …") }, ["type"])),
]);

const TOOL: Schema = {
  ...asked({
    name: text(),
    type: text(),
    description: text(),
    input_schema: open("A JSON Schema."),
    strict: flag(),
  }),
  anyOf: [{ required: ["name"] }, { required: ["type"] }],
};

const CHAT: Members = {
  model: label(),
  messages: {
    ...some(asked({ role: text("`user`, `assistant` or `system`."), content: BLOCKS }, ["role"])),
  },
  system: BLOCKS,
  tools: list(TOOL),
  tool_choice: asked({ type: word(["auto", "any", "tool", "none"]), name: text() }),
  thinking: asked({ type: word(["enabled", "adaptive", "disabled"]), budget_tokens: number() }),
  output_config: asked({ effort: text(), format: open("`json_schema` with a `schema`.") }),
  temperature: number(),
  top_p: number(),
  top_k: integer(),
  stop_sequences: list(text()),
  metadata: open("Has no effect."),
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

/** What a fleet does not know is null. */
const MODEL: Schema = object(
  {
    type: word(["model"]),
    id: text(),
    display_name: text(),
    created_at: { type: "string", format: "date-time" },
    lifecycle: word(["active"]),
    max_input_tokens: integerOrNull(),
    max_tokens: integerOrNull(),
  },
  ["type", "id", "display_name", "created_at"],
);

const SCHEMAS: Chapter["schemas"] = {
  AnthropicMessagesRequest: asked(
    {
      ...CHAT,
      max_tokens: { type: "integer", minimum: 1 },
      stream: flag("Whether the answer comes as events; false when absent."),
    },
    ["model", "messages", "max_tokens"],
  ),
  AnthropicMessage: object(
    {
      id: text(),
      type: word(["message"]),
      role: word(["assistant"]),
      model: text(),
      content: list(object({ type: text("`text`, `thinking`, `tool_use`.") }, ["type"])),
      stop_reason: textOrNull(),
      stop_sequence: textOrNull(),
      usage: USAGE,
    },
    ["id", "type", "role", "model", "content", "usage"],
  ),
  AnthropicEvent: object(
    {
      type: word([
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
      ]),
      message: named("AnthropicMessage"),
      index: integer("The block's."),
      content_block: open("As it begins."),
      delta: open("A piece of a block, or of the message."),
      usage: object({ output_tokens: integer() }),
    },
    ["type"],
  ),
  AnthropicModel: MODEL,
  AnthropicModels: object(
    {
      data: list(named("AnthropicModel")),
      has_more: flag("Whether another page follows."),
      first_id: textOrNull(),
      last_id: textOrNull("The next page comes after it."),
    },
    ["data", "has_more", "first_id", "last_id"],
  ),
  AnthropicCountRequest: asked(CHAT, ["model", "messages"]),
  AnthropicCount: object({ input_tokens: integer() }, ["input_tokens"]),
};

const OPERATIONS: Chapter["operations"] = [
  task({
    path: "/v1/messages",
    tag: "Anthropic",
    summary: "Answers with a message",
    body: named("AnthropicMessagesRequest"),
    answers: tellsOrStreams(named("AnthropicMessage"), {
      events: either([named("AnthropicEvent"), errorIn("anthropic")]),
    }),
  }),
  task({
    path: "/v1/messages/count_tokens",
    tag: "Anthropic",
    summary: "Counts the tokens of a prompt",
    description: "An estimate where the backend cannot count.",
    body: named("AnthropicCountRequest"),
    answers: tells(named("AnthropicCount"), "The count."),
  }),
];

export const ANTHROPIC: Chapter = { operations: OPERATIONS, schemas: SCHEMAS };
