import { SAMPLING, STREAMING, TOKEN_USAGE } from "./openai-fields.ts";
import { TOKEN_LOGPROB } from "./operation.ts";
import { asked, either, flag, integer, integerFrom, list, nothing, number, object, some } from "./schema.ts";
import { label, open, text, textOrNull, word } from "./schema.ts";
import type { Members, Schema } from "./schema.ts";

/** Chats of OpenAI's API. */

const MOST_ALTERNATIVES = 20;

/** Text, or parts of it; what kinds of part a backend takes is its own matter. */
const CONTENT: Schema = either([
  text(),
  list(object({ type: text("`text`, `image_url`, `input_audio`, …") }, ["type"])),
]);

const MESSAGE: Schema = asked(
  {
    role: text("`developer`, `system`, `user`, `assistant`, `tool`."),
    content: CONTENT,
    name: text(),
    refusal: text(),
    reasoning: text("The assistant's thoughts."),
    reasoning_content: text("As `reasoning`."),
    tool_calls: list(open("A call: `id`, `type`, and what the type has.")),
    tool_call_id: text(),
    function_call: open("The older form of a call."),
  },
  ["role"],
);

const FUNCTION: Schema = asked(
  { name: label(), description: text(), parameters: open("A JSON Schema."), strict: flag() },
  ["name"],
);

/** A function, or what another type has. */
const TOOL: Schema = {
  ...object({ type: text("`function`, `custom`."), function: FUNCTION }),
  anyOf: [
    { required: ["function"] },
    { required: ["type"], properties: { type: { not: { const: "function" } } } },
  ],
};

const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "ultra", "max"];

const CHOICE: Schema = either([
  word(["auto", "none", "required"]),
  open("The tool that must be called, or those that may be."),
]);

const LOGPROBS: Schema = either([
  object({ content: { anyOf: [list(TOKEN_LOGPROB), nothing()] } }),
  nothing(),
]);

const CALL: Members = {
  id: text(),
  index: integer(),
  type: text(),
  function: object({ name: textOrNull(), arguments: textOrNull("JSON.") }),
};

/** The answer: in a stream a piece of each. */
const SAID: Members = {
  role: textOrNull(),
  content: textOrNull(),
  refusal: textOrNull(),
  reasoning: textOrNull(),
  reasoning_content: textOrNull(),
  tool_calls: { type: ["array", "null"], items: object(CALL) },
};

const HEAD: Members = {
  id: text(),
  object: text(),
  created: integer(),
  model: text(),
  system_fingerprint: textOrNull(),
  usage: either([TOKEN_USAGE, nothing()]),
};

function choices(said: Members): Schema {
  return list(
    object({ index: integer(), ...said, finish_reason: textOrNull(), logprobs: LOGPROBS }, ["index"]),
  );
}

const REQUIRED = ["id", "object", "created", "model", "choices"];

export const CHAT_SCHEMAS: Readonly<Record<string, Schema>> = {
  OpenAIChatRequest: asked(
    {
      model: label(),
      messages: some(MESSAGE),
      tools: list(TOOL),
      tool_choice: CHOICE,
      parallel_tool_calls: flag(),
      functions: list(FUNCTION, "The older form of tools."),
      function_call: CHOICE,
      reasoning_effort: word(EFFORTS),
      reasoning: asked({ effort: word(EFFORTS) }),
      logprobs: flag(),
      top_logprobs: integerFrom(0, MOST_ALTERNATIVES),
      max_completion_tokens: number("As `max_tokens`, the newer name."),
      modalities: list(text()),
      verbosity: text(),
      metadata: open("Has no effect."),
      store: flag("Has no effect: nothing is stored."),
      service_tier: text("Has no effect."),
      ...SAMPLING,
      ...STREAMING,
    },
    ["model", "messages"],
  ),
  OpenAIChat: object({ ...HEAD, choices: choices({ message: object(SAID) }) }, REQUIRED),
  OpenAIChatChunk: object({ ...HEAD, choices: choices({ delta: object(SAID) }) }, REQUIRED),
};
