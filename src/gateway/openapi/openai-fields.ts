import { asked, either, flag, integer, list, number, object, open, text } from "./schema.ts";
import type { Members, Schema } from "./schema.ts";

/** Members that chats and text completions of OpenAI's API share. */

const RESPONSE_FORMAT: Schema = asked({
  type: text("`text`, `json_object` or `json_schema`."),
  json_schema: asked({ name: text(), description: text(), schema: open("A JSON Schema."), strict: flag() }),
});

/** How tokens are chosen; OpenAI's own names first. */
export const SAMPLING: Members = {
  n: { type: "integer", minimum: 1, description: "How many answers." },
  max_tokens: number("Most tokens of the answer."),
  temperature: number(),
  top_p: number(),
  seed: number(),
  stop: either([text(), list(text())]),
  presence_penalty: number(),
  frequency_penalty: number(),
  logit_bias: open("By token id."),
  top_k: number(),
  min_p: number(),
  typical_p: number(),
  repeat_penalty: number(),
  repetition_penalty: number("As `repeat_penalty`."),
  repeat_last_n: number(),
  response_format: RESPONSE_FORMAT,
  keep_alive: either([text(), number()], "As Ollama has it."),
  options: open("As Ollama has them."),
  user: text(),
};

export const STREAMING: Members = {
  stream: flag("Whether the answer comes as events; false when absent."),
  stream_options: asked({ include_usage: flag("Whether the last event counts tokens.") }),
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
