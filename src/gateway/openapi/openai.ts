import { CHAT_SCHEMAS } from "./openai-chat.ts";
import { errorIn } from "./errors.ts";
import { task, answersWith, answersOrStreams } from "./operation.ts";
import type { Chapter } from "./operation.ts";
import { anyOf, named, integer, integerFrom, list, number, object, nonEmptyList, string } from "./schema.ts";
import { bodyOf, boolean, nonEmptyString, integerOrNull, anyObject, enumOf } from "./schema.ts";
import { SAMPLING, STREAMING, TOKEN_USAGE } from "./openai-fields.ts";
import type { Members, Schema } from "./schema.ts";

/** OpenAI's API, except responses. */

const TOKENS: Schema = nonEmptyList(integer());

const TEXT_CHOICE: Schema = object(
  {
    index: integer(),
    text: string(),
    finish_reason: { type: ["string", "null"] },
    logprobs: { type: ["object", "null"] },
  },
  ["index", "text"],
);

const MODEL: Schema = object({ id: string(), object: string(), created: integer(), owned_by: string() }, [
  "id",
  "object",
  "created",
  "owned_by",
]);

const SCHEMAS: Chapter["schemas"] = {
  ...CHAT_SCHEMAS,
  OpenAICompletionRequest: bodyOf(
    {
      model: nonEmptyString(),
      prompt: anyOf(
        [string(), nonEmptyList(string()), TOKENS, nonEmptyList(TOKENS)],
        "One prompt or a list; token ids when the backend accepts them.",
      ),
      suffix: string(),
      echo: boolean(),
      best_of: number(),
      logprobs: anyOf([integer("Number of alternatives."), boolean()]),
      ...SAMPLING,
      ...STREAMING,
    },
    ["model"],
  ),
  OpenAICompletion: object(
    {
      id: string(),
      object: string("`text_completion`"),
      created: integer(),
      model: string(),
      system_fingerprint: string(),
      choices: list(TEXT_CHOICE),
      usage: anyOf([TOKEN_USAGE, { type: "null" }]),
    },
    ["id", "object", "created", "model", "choices"],
  ),
  OpenAIEmbeddingsRequest: bodyOf(
    {
      model: nonEmptyString(),
      input: anyOf([string(), nonEmptyList(string()), TOKENS, nonEmptyList(TOKENS)]),
      encoding_format: enumOf(["float", "base64"]),
      dimensions: { type: "integer", minimum: 1 },
      user: string(),
      keep_alive: anyOf([string(), number()]),
      options: anyObject("As in Ollama's API."),
    },
    ["model", "input"],
  ),
  OpenAIEmbeddings: object(
    {
      object: enumOf(["list"]),
      model: string(),
      data: list(
        object(
          {
            object: enumOf(["embedding"]),
            index: integer(),
            embedding: anyOf([list(number()), string("Base64 of 32-bit floats, the lowest byte first.")]),
          },
          ["object", "index", "embedding"],
        ),
      ),
      usage: object({ prompt_tokens: integerOrNull(), total_tokens: integerOrNull() }),
    },
    ["object", "data", "model", "usage"],
  ),
  OpenAIModel: MODEL,
  OpenAIModels: object({ object: enumOf(["list"]), data: list(named("OpenAIModel")) }, ["object", "data"]),
};

/** An event of a stream: a piece of the answer, or the error that ended it. */
function eventOf(name: string): Schema {
  return anyOf([named(name), errorIn("openai")]);
}

/** Read only when the answer has Anthropic's form. */
const MODEL_PAGE: Members = {
  limit: integerFrom(1, 1000, "Models per page in Anthropic's form; 20 when absent."),
  after_id: string("The id before the page."),
  before_id: string("The id after the page."),
  lifecycle: list(string("Only `active` has models.")),
};

const OPERATIONS: Chapter["operations"] = [
  task({
    path: "/v1/chat/completions",
    tag: "OpenAI",
    summary: "Answers a chat",
    body: named("OpenAIChatRequest"),
    answers: answersOrStreams(named("OpenAIChat"), { events: eventOf("OpenAIChatChunk") }),
  }),
  task({
    path: "/v1/completions",
    tag: "OpenAI",
    summary: "Completes prompts",
    body: named("OpenAICompletionRequest"),
    answers: answersOrStreams(named("OpenAICompletion"), { events: eventOf("OpenAICompletion") }),
  }),
  task({
    path: "/v1/embeddings",
    tag: "OpenAI",
    summary: "Makes embeddings of texts",
    body: named("OpenAIEmbeddingsRequest"),
    answers: answersWith(named("OpenAIEmbeddings"), "The embeddings."),
  }),
  {
    method: "GET",
    path: "/v1/models",
    tag: "OpenAI",
    summary: "Lists the models that workers serve",
    description:
      "With the header `anthropic-version` the answer has Anthropic's form: a page, the newest models first.",
    query: MODEL_PAGE,
    answers: answersWith(anyOf([named("OpenAIModels"), named("AnthropicModels")]), "The models."),
    errors: [400],
    isShared: true,
  },
  {
    method: "GET",
    path: "/v1/models/{id}",
    tag: "OpenAI",
    summary: "Describes a model",
    parameters: { id: string("May have slashes, as they are or as `%2F`.") },
    answers: answersWith(anyOf([named("OpenAIModel"), named("AnthropicModel")]), "The model."),
    errors: [404],
    isShared: true,
  },
];

export const OPENAI: Chapter = { operations: OPERATIONS, schemas: SCHEMAS };
