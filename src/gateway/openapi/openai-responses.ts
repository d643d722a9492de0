import { errorIn } from "./errors.ts";
import { task, answersOrStreams } from "./operation.ts";
import type { Chapter } from "./operation.ts";
import {
  anyValue,
  bodyOf,
  anyOf,
  boolean,
  integer,
  integerOrNull,
  list,
  named,
  nullValue,
} from "./schema.ts";
import {
  nonEmptyString,
  number,
  object,
  anyObject,
  nonEmptyList,
  string,
  stringOrNull,
  enumOf,
} from "./schema.ts";
import type { Schema } from "./schema.ts";

/** Responses of OpenAI's API. Nothing is stored. */

const TYPES = "`message`, `function_call`, `reasoning`, …";

const ITEM: Schema = object({ type: string(TYPES), id: stringOrNull() }, ["type"]);

/** A message needs no type. */
const INPUT_ITEM: Schema = {
  ...object({ type: string(TYPES), role: string(), id: stringOrNull() }),
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
  OpenAIResponseRequest: bodyOf(
    {
      model: nonEmptyString(),
      input: anyOf([string(), nonEmptyList(INPUT_ITEM)]),
      instructions: string("The system prompt."),
      stream: boolean("True for an answer as events; false when absent."),
      tools: list(object({ type: nonEmptyString("`function`, `custom`, `namespace`, …") }, ["type"])),
      tool_choice: anyOf([
        enumOf(["auto", "none", "required"]),
        object({ type: nonEmptyString() }, ["type"], "A tool, or the allowed tools."),
      ]),
      parallel_tool_calls: boolean(),
      text: bodyOf({
        format: anyObject("`text`, `json_object`, or `json_schema` with a `schema`."),
        verbosity: string(),
      }),
      reasoning: bodyOf({ effort: string(), summary: string() }),
      temperature: number(),
      top_p: number(),
      max_output_tokens: number(),
      include: list(string()),
      metadata: anyObject("Returned in the answer."),
      store: boolean("Has no effect: nothing is stored."),
      background: boolean("True is refused: nothing is stored."),
    },
    ["model", "input"],
  ),
  OpenAIResponse: object(
    {
      id: string(),
      object: enumOf(["response"]),
      created_at: integer(),
      completed_at: integerOrNull(),
      status: enumOf(["in_progress", "completed", "incomplete", "failed"]),
      incomplete_details: anyOf([object({ reason: string() }), nullValue()]),
      error: anyOf([anyObject("The reason of a failure."), nullValue()]),
      model: string(),
      instructions: anyValue("As in the request."),
      output: list(ITEM),
      tools: list(anyObject("As in the request.")),
      tool_choice: anyValue("As in the request."),
      parallel_tool_calls: boolean(),
      text: anyObject("As in the request."),
      reasoning: anyOf([anyObject("As in the request."), nullValue()]),
      usage: anyOf([USAGE, nullValue()]),
      metadata: anyOf([anyObject("As in the request."), nullValue()]),
    },
    ["id", "object", "created_at", "status", "model", "output", "usage"],
  ),
  OpenAIResponseEvent: object(
    {
      type: string("`response.created`, `response.output_text.delta`, …, `response.completed`; or `error`."),
      sequence_number: integer(),
      response: named("OpenAIResponse"),
      item: ITEM,
      delta: string(),
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
    answers: answersOrStreams(named("OpenAIResponse"), {
      events: anyOf([named("OpenAIResponseEvent"), errorIn("openai")]),
    }),
  }),
];

export const RESPONSES: Chapter = { operations: OPERATIONS, schemas: SCHEMAS };
