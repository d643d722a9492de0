import { errorIn } from "./errors.ts";
import { task, tellsOrStreams } from "./operation.ts";
import type { Chapter } from "./operation.ts";
import { anything, asked, either, flag, integer, integerOrNull, list, named, nothing } from "./schema.ts";
import { label, number, object, open, some, text, textOrNull, word } from "./schema.ts";
import type { Schema } from "./schema.ts";

/** Responses of OpenAI's API. Nothing is stored. */

const TYPES = "`message`, `function_call`, `reasoning`, …";

const ITEM: Schema = object({ type: text(TYPES), id: textOrNull() }, ["type"]);

/** A message needs no type. */
const ASKED_ITEM: Schema = {
  ...object({ type: text(TYPES), role: text(), id: textOrNull() }),
  anyOf: [{ required: ["type"] }, { required: ["role"] }],
};

const USAGE: Schema = object(
  {
    input_tokens: integer(),
    input_tokens_details: object({ cached_tokens: integer() }),
    output_tokens: integer(),
    output_tokens_details: object({ reasoning_tokens: integer() }),
    total_tokens: integer(),
  },
  ["input_tokens", "output_tokens", "total_tokens"],
);

const SCHEMAS: Chapter["schemas"] = {
  OpenAIResponseRequest: asked(
    {
      model: label(),
      input: either([text(), some(ASKED_ITEM)]),
      instructions: text("The system's words."),
      stream: flag("Whether the answer comes as events; false when absent."),
      tools: list(object({ type: label("`function`, `custom`, `namespace`, …") }, ["type"])),
      tool_choice: either([
        word(["auto", "none", "required"]),
        object({ type: label() }, ["type"], "A tool, or those allowed."),
      ]),
      parallel_tool_calls: flag(),
      text: asked({
        format: open("`text`, `json_object`, or `json_schema` with a `schema`."),
        verbosity: text(),
      }),
      reasoning: asked({ effort: text(), summary: text() }),
      temperature: number(),
      top_p: number(),
      max_output_tokens: number(),
      include: list(text()),
      metadata: open("Is echoed."),
      store: flag("Has no effect: nothing is stored."),
      background: flag("Refused when true: nothing is stored."),
    },
    ["model", "input"],
  ),
  OpenAIResponse: object(
    {
      id: text(),
      object: word(["response"]),
      created_at: integer(),
      completed_at: integerOrNull(),
      status: word(["in_progress", "completed", "incomplete", "failed"]),
      incomplete_details: either([object({ reason: text() }), nothing()]),
      error: either([open("Why it failed."), nothing()]),
      model: text(),
      instructions: anything("As asked."),
      output: list(ITEM),
      tools: list(open("As asked.")),
      tool_choice: anything("As asked."),
      parallel_tool_calls: flag(),
      text: open("As asked."),
      reasoning: either([open("As asked."), nothing()]),
      usage: either([USAGE, nothing()]),
      metadata: either([open("As asked."), nothing()]),
    },
    ["id", "object", "created_at", "status", "model", "output", "usage"],
  ),
  OpenAIResponseEvent: object(
    {
      type: text("`response.created`, `response.output_text.delta`, …, `response.completed`; or `error`."),
      sequence_number: integer(),
      response: named("OpenAIResponse"),
      item: ITEM,
      delta: text(),
    },
    ["type", "sequence_number"],
  ),
};

const OPERATIONS: Chapter["operations"] = [
  task({
    path: "/v1/responses",
    tag: "OpenAI",
    summary: "Answers with items",
    body: named("OpenAIResponseRequest"),
    answers: tellsOrStreams(named("OpenAIResponse"), {
      events: either([named("OpenAIResponseEvent"), errorIn("openai")]),
    }),
  }),
];

export const RESPONSES: Chapter = { operations: OPERATIONS, schemas: SCHEMAS };
