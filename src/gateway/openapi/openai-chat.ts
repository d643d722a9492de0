import { SAMPLING, STREAMING, TOKEN_USAGE } from "./openai-fields.ts";
import { TOKEN_LOGPROB } from "./operation.ts";
import {
  bodyOf,
  anyOf,
  boolean,
  integer,
  integerFrom,
  list,
  nullValue,
  number,
  object,
  nonEmptyList,
} from "./schema.ts";
import { nonEmptyString, anyObject, string, stringOrNull, enumOf } from "./schema.ts";
import type { Members, Schema } from "./schema.ts";

/** Chats of OpenAI's API. */

const MOST_ALTERNATIVES = 20;

/** Text, or parts. The backend decides which types of part it accepts. */
const CONTENT: Schema = anyOf([
  string(),
  list(object({ type: string("`text`, `image_url`, `input_audio`, …") }, ["type"])),
]);

const MESSAGE: Schema = bodyOf(
  {
    role: string("`developer`, `system`, `user`, `assistant`, `tool`."),
    content: CONTENT,
    name: string(),
    refusal: string(),
    reasoning: string("The assistant's thoughts."),
    reasoning_content: string("Another name of `reasoning`."),
    tool_calls: list(anyObject("A call: `id`, `type`, and the members of its type.")),
    tool_call_id: string(),
    function_call: anyObject("The older form of a call."),
  },
  ["role"],
);

const FUNCTION: Schema = bodyOf(
  {
    name: nonEmptyString(),
    description: string(),
    parameters: anyObject("A JSON Schema."),
    strict: boolean(),
  },
  ["name"],
);

/** A function, or a tool of another type. */
const TOOL: Schema = {
  ...object({ type: string("`function`, `custom`."), function: FUNCTION }),
  anyOf: [
    { required: ["function"] },
    { required: ["type"], properties: { type: { not: { const: "function" } } } },
  ],
};

const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "ultra", "max"];

const CHOICE: Schema = anyOf([
  enumOf(["auto", "none", "required"]),
  anyObject("The tool that must be called, or the allowed tools."),
]);

const LOGPROBS: Schema = anyOf([
  object({ content: { anyOf: [list(TOKEN_LOGPROB), nullValue()] } }),
  nullValue(),
]);

const CALL: Members = {
  id: string(),
  index: integer(),
  type: string(),
  function: object({ name: stringOrNull(), arguments: stringOrNull("JSON.") }),
};

/** The members of an answer; in a stream, a piece of each. */
const ANSWER: Members = {
  role: stringOrNull(),
  content: stringOrNull(),
  refusal: stringOrNull(),
  reasoning: stringOrNull(),
  reasoning_content: stringOrNull(),
  tool_calls: { type: ["array", "null"], items: object(CALL) },
};

const HEAD: Members = {
  id: string(),
  object: string(),
  created: integer(),
  model: string(),
  system_fingerprint: stringOrNull(),
  usage: anyOf([TOKEN_USAGE, nullValue()]),
};

function choices(answer: Members): Schema {
  return list(
    object({ index: integer(), ...answer, finish_reason: stringOrNull(), logprobs: LOGPROBS }, ["index"]),
  );
}

const REQUIRED = ["id", "object", "created", "model", "choices"];

export const CHAT_SCHEMAS: Readonly<Record<string, Schema>> = {
  OpenAIChatRequest: bodyOf(
    {
      model: nonEmptyString(),
      messages: nonEmptyList(MESSAGE),
      tools: list(TOOL),
      tool_choice: CHOICE,
      parallel_tool_calls: boolean(),
      functions: list(FUNCTION, "The older form of tools."),
      function_call: CHOICE,
      reasoning_effort: enumOf(EFFORTS),
      reasoning: bodyOf({ effort: enumOf(EFFORTS) }),
      logprobs: boolean(),
      top_logprobs: integerFrom(0, MOST_ALTERNATIVES),
      max_completion_tokens: number("The newer name of `max_tokens`."),
      modalities: list(string()),
      verbosity: string(),
      metadata: anyObject("Has no effect."),
      store: boolean("Has no effect: nothing is stored."),
      service_tier: string("Has no effect."),
      ...SAMPLING,
      ...STREAMING,
    },
    ["model", "messages"],
  ),
  OpenAIChat: object({ ...HEAD, choices: choices({ message: object(ANSWER) }) }, REQUIRED),
  OpenAIChatChunk: object({ ...HEAD, choices: choices({ delta: object(ANSWER) }) }, REQUIRED),
};
