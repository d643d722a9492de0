import { CHAT_SCHEMAS } from "./openai-chat.ts";
import { errorIn } from "./errors.ts";
import { task, tells, tellsOrStreams } from "./operation.ts";
import type { Chapter } from "./operation.ts";
import { either, named, integer, integerFrom, list, number, object, some, text } from "./schema.ts";
import { asked, flag, label, integerOrNull, open, word } from "./schema.ts";
import { SAMPLING, STREAMING, TOKEN_USAGE } from "./openai-fields.ts";
import type { Members, Schema } from "./schema.ts";

/** OpenAI's API, but for responses. */

const TOKENS: Schema = some(integer());

const TEXT_CHOICE: Schema = object(
  {
    index: integer(),
    text: text(),
    finish_reason: { type: ["string", "null"] },
    logprobs: { type: ["object", "null"] },
  },
  ["index", "text"],
);

const MODEL: Schema = object({ id: text(), object: text(), created: integer(), owned_by: text() }, [
  "id",
  "object",
  "created",
  "owned_by",
]);

const SCHEMAS: Chapter["schemas"] = {
  ...CHAT_SCHEMAS,
  OpenAICompletionRequest: asked(
    {
      model: label(),
      prompt: either(
        [text(), some(text()), TOKENS, some(TOKENS)],
        "One, or a list; token ids where the backend takes them.",
      ),
      suffix: text(),
      echo: flag(),
      best_of: number(),
      logprobs: either([integer("How many alternatives."), flag()]),
      ...SAMPLING,
      ...STREAMING,
    },
    ["model"],
  ),
  OpenAICompletion: object(
    {
      id: text(),
      object: text("`text_completion`"),
      created: integer(),
      model: text(),
      system_fingerprint: text(),
      choices: list(TEXT_CHOICE),
      usage: either([TOKEN_USAGE, { type: "null" }]),
    },
    ["id", "object", "created", "model", "choices"],
  ),
  OpenAIEmbeddingsRequest: asked(
    {
      model: label(),
      input: either([text(), some(text()), TOKENS, some(TOKENS)]),
      encoding_format: word(["float", "base64"]),
      dimensions: { type: "integer", minimum: 1 },
      user: text(),
      keep_alive: either([text(), number()]),
      options: open("As Ollama has them."),
    },
    ["model", "input"],
  ),
  OpenAIEmbeddings: object(
    {
      object: word(["list"]),
      model: text(),
      data: list(
        object(
          {
            object: word(["embedding"]),
            index: integer(),
            embedding: either([list(number()), text("Base64 of 32-bit floats, the lowest byte first.")]),
          },
          ["object", "index", "embedding"],
        ),
      ),
      usage: object({ prompt_tokens: integerOrNull(), total_tokens: integerOrNull() }),
    },
    ["object", "data", "model", "usage"],
  ),
  OpenAIModel: MODEL,
  OpenAIModels: object({ object: word(["list"]), data: list(named("OpenAIModel")) }, ["object", "data"]),
};

/** An event of a stream: a piece of the answer, or the error that broke it. */
function eventOf(name: string): Schema {
  return either([named(name), errorIn("openai")]);
}

/** Looked at where the answer has Anthropic's form. */
const MODEL_PAGE: Members = {
  limit: integerFrom(1, 1000, "Models in a page of Anthropic's form; 20 when absent."),
  after_id: text("The id that stands before the page."),
  before_id: text("The id that stands behind the page."),
  lifecycle: list(text("Any but `active` has no models.")),
};

const OPERATIONS: Chapter["operations"] = [
  task({
    path: "/v1/chat/completions",
    tag: "OpenAI",
    summary: "Answers a chat",
    body: named("OpenAIChatRequest"),
    answers: tellsOrStreams(named("OpenAIChat"), { events: eventOf("OpenAIChatChunk") }),
  }),
  task({
    path: "/v1/completions",
    tag: "OpenAI",
    summary: "Completes prompts",
    body: named("OpenAICompletionRequest"),
    answers: tellsOrStreams(named("OpenAICompletion"), { events: eventOf("OpenAICompletion") }),
  }),
  task({
    path: "/v1/embeddings",
    tag: "OpenAI",
    summary: "Makes vectors of texts",
    body: named("OpenAIEmbeddingsRequest"),
    answers: tells(named("OpenAIEmbeddings"), "The vectors."),
  }),
  {
    method: "GET",
    path: "/v1/models",
    tag: "OpenAI",
    summary: "Every model that some worker serves",
    description:
      "To a client that says `anthropic-version` in Anthropic's form: a page, the newest models first.",
    query: MODEL_PAGE,
    answers: tells(either([named("OpenAIModels"), named("AnthropicModels")]), "The models."),
    errors: [400],
    isShared: true,
  },
  {
    method: "GET",
    path: "/v1/models/{id}",
    tag: "OpenAI",
    summary: "One model",
    parameters: { id: text("May hold slashes, written as they are or as `%2F`.") },
    answers: tells(either([named("OpenAIModel"), named("AnthropicModel")]), "The model."),
    errors: [404],
    isShared: true,
  },
];

export const OPENAI: Chapter = { operations: OPERATIONS, schemas: SCHEMAS };
