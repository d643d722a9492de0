import { bodyOf, anyOf, boolean, integer, list, number, object, anyObject, string } from "./schema.ts";
import type { Members, Schema } from "./schema.ts";

/** Members that chats and text completions of OpenAI's API share. */

const RESPONSE_FORMAT: Schema = bodyOf({
  type: string("`text`, `json_object` or `json_schema`."),
  json_schema: bodyOf({
    name: string(),
    description: string(),
    schema: anyObject("A JSON Schema."),
    strict: boolean(),
  }),
});

/** Options of sampling; OpenAI's own names first. */
export const SAMPLING: Members = {
  n: { type: "integer", minimum: 1, description: "Number of answers." },
  max_tokens: number("Most tokens of the answer."),
  temperature: number(),
  top_p: number(),
  seed: number(),
  stop: anyOf([string(), list(string())]),
  presence_penalty: number(),
  frequency_penalty: number(),
  logit_bias: anyObject("By token id."),
  top_k: number(),
  min_p: number(),
  typical_p: number(),
  repeat_penalty: number(),
  repetition_penalty: number("Another name of `repeat_penalty`."),
  repeat_last_n: number(),
  response_format: RESPONSE_FORMAT,
  keep_alive: anyOf([string(), number()], "As in Ollama's API."),
  options: anyObject("As in Ollama's API."),
  user: string(),
};

export const STREAMING: Members = {
  stream: boolean("True for an answer as events; false when absent."),
  stream_options: bodyOf({ include_usage: boolean("True adds the token counts to the last event.") }),
};

export const TOKEN_USAGE: Schema = object(
  {
    prompt_tokens: integer(),
    completion_tokens: integer(),
    total_tokens: integer(),
    prompt_tokens_details: { type: ["object", "null"] },
    completion_tokens_details: { type: ["object", "null"] },
  },
  ["prompt_tokens", "total_tokens"],
);
