import { errorIn } from "./errors.ts";
import { task, answersWith, answersOrStreams, TOKEN_LOGPROB } from "./operation.ts";
import type { Chapter } from "./operation.ts";
import {
  bodyOf,
  anyOf,
  nonEmptyString,
  boolean,
  integer,
  integerFrom,
  list,
  named,
  number,
} from "./schema.ts";
import { object, anyObject, string, enumOf } from "./schema.ts";
import type { Members, Schema } from "./schema.ts";

/** Ollama's API: the endpoints that take tasks. */

const MOST_ALTERNATIVES = 20;

/** Go's durations. */
const DURATION = "^[+-]?(0|(([0-9]+([.][0-9]*)?|[.][0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$";

const KEEP_ALIVE = anyOf(
  [{ type: "string", pattern: DURATION }, number()],
  "Time for which the model stays in memory: seconds, or a duration such as `5m`. 0 unloads it.",
);

const OPTIONS: Schema = bodyOf(
  {
    num_predict: number("Most tokens of the answer."),
    temperature: number(),
    top_p: number(),
    top_k: number(),
    min_p: number(),
    typical_p: number(),
    seed: number(),
    stop: list(string()),
    presence_penalty: number(),
    frequency_penalty: number(),
    repeat_penalty: number(),
    repeat_last_n: number(),
    num_keep: number(),
    num_ctx: number("Tokens of context."),
    num_batch: number(),
    num_gpu: number(),
    main_gpu: number(),
    num_thread: number(),
    draft_num_predict: number(),
    use_mmap: boolean(),
  },
  [],
  "Sampling, and options of Ollama's runner. A fraction of a whole number is cut.",
);

const TOOL_CALL: Schema = object({
  id: string(),
  function: object({ name: string(), arguments: anyObject("By the names of the tool's parameters.") }),
});

const MESSAGE: Schema = bodyOf({
  role: string("`system`, `user`, `assistant` or `tool`."),
  content: string(),
  thinking: string("The assistant's thoughts."),
  images: list(string("Base64, or a data URL.")),
  tool_calls: list(TOOL_CALL),
  tool_call_id: string(),
  tool_name: string("The tool whose result this is."),
});

const SHARED: Members = {
  stream: boolean("True for an answer as lines; true when absent."),
  format: anyOf([enumOf(["json", ""]), anyObject("A JSON Schema.")], "The form of the answer."),
  options: OPTIONS,
  think: anyOf([boolean(), enumOf(["low", "medium", "high", "max"])]),
  keep_alive: KEEP_ALIVE,
  logprobs: boolean(),
  top_logprobs: integerFrom(0, MOST_ALTERNATIVES),
};

/** Counts and times (ns) at the end of an answer. */
const ENDED: Members = {
  done: boolean("True at the end."),
  done_reason: string("`stop`, `length`, `load`, `unload`, `content_filter`."),
  total_duration: integer(),
  load_duration: integer(),
  prompt_eval_count: integer(),
  prompt_eval_cached_count: integer(),
  prompt_eval_duration: integer(),
  eval_count: integer(),
  eval_duration: integer(),
  logprobs: list(TOKEN_LOGPROB),
};

const BEGUN: Members = { model: string(), created_at: { type: "string", format: "date-time" } };

const ANSWER_MESSAGE: Schema = object(
  { role: string(), content: string(), thinking: string(), tool_calls: list(TOOL_CALL) },
  ["role", "content"],
);

const VECTOR: Schema = list(number());

const SCHEMAS: Chapter["schemas"] = {
  OllamaChatRequest: bodyOf(
    {
      model: nonEmptyString(),
      messages: list(MESSAGE, "Without it the model is loaded, or unloaded."),
      tools: list(
        object({
          type: string(),
          function: bodyOf({
            name: string(),
            description: string(),
            parameters: anyObject("A JSON Schema."),
            strict: boolean(),
          }),
        }),
      ),
      ...SHARED,
    },
    ["model"],
  ),
  OllamaChatReply: object({ ...BEGUN, message: ANSWER_MESSAGE, ...ENDED }, ["model", "created_at"]),
  OllamaGenerateRequest: bodyOf(
    {
      model: nonEmptyString(),
      prompt: string("Without it the model is loaded, or unloaded."),
      suffix: string(),
      images: list(string("Base64, or a data URL.")),
      system: string(),
      template: string(),
      context: list(integer(), "The `context` of an earlier answer."),
      raw: boolean("True passes on the prompt as it is, without a template."),
      ...SHARED,
    },
    ["model"],
  ),
  OllamaGenerateReply: object(
    { ...BEGUN, response: string(), thinking: string(), context: list(integer()), ...ENDED },
    ["model", "created_at"],
  ),
  OllamaEmbedRequest: bodyOf(
    {
      model: nonEmptyString(),
      input: anyOf([string(), list(string())], "Without it the model is loaded."),
      truncate: boolean("True cuts an input that is too long; true when absent."),
      dimensions: integer(),
      keep_alive: KEEP_ALIVE,
      options: OPTIONS,
    },
    ["model"],
  ),
  OllamaEmbedReply: object(
    {
      model: string(),
      embeddings: list(VECTOR, "One for each input, of length 1."),
      total_duration: integer(),
      load_duration: integer(),
      prompt_eval_count: integer(),
    },
    ["model", "embeddings"],
  ),
  OllamaEmbeddingsRequest: bodyOf(
    { model: nonEmptyString(), prompt: string(), keep_alive: KEEP_ALIVE, options: OPTIONS },
    ["model"],
  ),
  OllamaEmbeddingsReply: object({ embedding: VECTOR }, ["embedding"]),
};

/** A line of a stream: a piece of the answer, or the error that ended it. */
function lineOf(name: string): Schema {
  return anyOf([named(name), errorIn("ollama")]);
}

const OPERATIONS: Chapter["operations"] = [
  task({
    path: "/api/chat",
    tag: "Ollama",
    summary: "Answers a chat",
    body: named("OllamaChatRequest"),
    answers: answersOrStreams(named("OllamaChatReply"), { lines: lineOf("OllamaChatReply") }),
  }),
  task({
    path: "/api/generate",
    tag: "Ollama",
    summary: "Completes a prompt",
    body: named("OllamaGenerateRequest"),
    answers: answersOrStreams(named("OllamaGenerateReply"), { lines: lineOf("OllamaGenerateReply") }),
  }),
  task({
    path: "/api/embed",
    tag: "Ollama",
    summary: "Makes embeddings of texts",
    body: named("OllamaEmbedRequest"),
    answers: answersWith(named("OllamaEmbedReply"), "The embeddings."),
  }),
  task({
    path: "/api/embeddings",
    tag: "Ollama",
    summary: "Makes the embedding of one text (older endpoint)",
    body: named("OllamaEmbeddingsRequest"),
    answers: answersWith(named("OllamaEmbeddingsReply"), "The embedding, as the model makes it."),
  }),
];

export const OLLAMA: Chapter = { operations: OPERATIONS, schemas: SCHEMAS };
