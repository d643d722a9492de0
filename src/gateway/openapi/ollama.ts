import { errorIn } from "./errors.ts";
import { task, tells, tellsOrStreams, TOKEN_LOGPROB } from "./operation.ts";
import type { Chapter } from "./operation.ts";
import { asked, either, label, flag, integer, integerFrom, list, named, number } from "./schema.ts";
import { object, open, text, word } from "./schema.ts";
import type { Members, Schema } from "./schema.ts";

/** Ollama's API: what takes tasks. */

const MOST_ALTERNATIVES = 20;

/** Go's durations. */
const DURATION = "^[+-]?(0|(([0-9]+([.][0-9]*)?|[.][0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$";

const KEEP_ALIVE = either(
  [{ type: "string", pattern: DURATION }, number()],
  "How long the model stays in memory: seconds, or a duration as `5m`; 0 unloads it.",
);

const OPTIONS: Schema = asked(
  {
    num_predict: number("Most tokens of the answer."),
    temperature: number(),
    top_p: number(),
    top_k: number(),
    min_p: number(),
    typical_p: number(),
    seed: number(),
    stop: list(text()),
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
    use_mmap: flag(),
  },
  [],
  "Sampling, and what Ollama's runner is told. Whole numbers may have a fraction, which is cut.",
);

const TOOL_CALL: Schema = object({
  id: text(),
  function: object({ name: text(), arguments: open("By the names of the tool's parameters.") }),
});

const MESSAGE: Schema = asked({
  role: text("`system`, `user`, `assistant` or `tool`."),
  content: text(),
  thinking: text("The assistant's thoughts."),
  images: list(text("Base64, or a data URL.")),
  tool_calls: list(TOOL_CALL),
  tool_call_id: text(),
  tool_name: text("The tool whose result this is."),
});

const SHARED: Members = {
  stream: flag("Whether the answer comes as lines; true when absent."),
  format: either([word(["json", ""]), open("A JSON Schema.")], "The form of the answer."),
  options: OPTIONS,
  think: either([flag(), word(["low", "medium", "high", "max"])]),
  keep_alive: KEEP_ALIVE,
  logprobs: flag(),
  top_logprobs: integerFrom(0, MOST_ALTERNATIVES),
};

/** Counts and times (ns) at the end of an answer. */
const ENDED: Members = {
  done: flag("True at the end."),
  done_reason: text("`stop`, `length`, `load`, `unload`, `content_filter`."),
  total_duration: integer(),
  load_duration: integer(),
  prompt_eval_count: integer(),
  prompt_eval_cached_count: integer(),
  prompt_eval_duration: integer(),
  eval_count: integer(),
  eval_duration: integer(),
  logprobs: list(TOKEN_LOGPROB),
};

const BEGUN: Members = { model: text(), created_at: { type: "string", format: "date-time" } };

const ANSWER_MESSAGE: Schema = object(
  { role: text(), content: text(), thinking: text(), tool_calls: list(TOOL_CALL) },
  ["role", "content"],
);

const VECTOR: Schema = list(number());

const SCHEMAS: Chapter["schemas"] = {
  OllamaChatRequest: asked(
    {
      model: label(),
      messages: list(MESSAGE, "None: the model is loaded, or unloaded."),
      tools: list(
        object({
          type: text(),
          function: asked({
            name: text(),
            description: text(),
            parameters: open("A JSON Schema."),
            strict: flag(),
          }),
        }),
      ),
      ...SHARED,
    },
    ["model"],
  ),
  OllamaChatReply: object({ ...BEGUN, message: ANSWER_MESSAGE, ...ENDED }, ["model", "created_at"]),
  OllamaGenerateRequest: asked(
    {
      model: label(),
      prompt: text("None: the model is loaded, or unloaded."),
      suffix: text(),
      images: list(text("Base64, or a data URL.")),
      system: text(),
      template: text(),
      context: list(integer(), "The context that an earlier answer gave."),
      raw: flag("True: the prompt is passed on as it is, without a template."),
      ...SHARED,
    },
    ["model"],
  ),
  OllamaGenerateReply: object(
    { ...BEGUN, response: text(), thinking: text(), context: list(integer()), ...ENDED },
    ["model", "created_at"],
  ),
  OllamaEmbedRequest: asked(
    {
      model: label(),
      input: either([text(), list(text())], "None: the model is loaded."),
      truncate: flag("Whether an input that is too long is cut; true when absent."),
      dimensions: integer(),
      keep_alive: KEEP_ALIVE,
      options: OPTIONS,
    },
    ["model"],
  ),
  OllamaEmbedReply: object(
    {
      model: text(),
      embeddings: list(VECTOR, "One for each input, of length 1."),
      total_duration: integer(),
      load_duration: integer(),
      prompt_eval_count: integer(),
    },
    ["model", "embeddings"],
  ),
  OllamaEmbeddingsRequest: asked(
    { model: label(), prompt: text(), keep_alive: KEEP_ALIVE, options: OPTIONS },
    ["model"],
  ),
  OllamaEmbeddingsReply: object({ embedding: VECTOR }, ["embedding"]),
};

/** A line of a stream: a piece of the answer, or the error that broke it. */
function lineOf(name: string): Schema {
  return either([named(name), errorIn("ollama")]);
}

const OPERATIONS: Chapter["operations"] = [
  task({
    path: "/api/chat",
    tag: "Ollama",
    summary: "Answers a chat",
    body: named("OllamaChatRequest"),
    answers: tellsOrStreams(named("OllamaChatReply"), { lines: lineOf("OllamaChatReply") }),
  }),
  task({
    path: "/api/generate",
    tag: "Ollama",
    summary: "Completes a prompt",
    body: named("OllamaGenerateRequest"),
    answers: tellsOrStreams(named("OllamaGenerateReply"), { lines: lineOf("OllamaGenerateReply") }),
  }),
  task({
    path: "/api/embed",
    tag: "Ollama",
    summary: "Makes vectors of texts",
    body: named("OllamaEmbedRequest"),
    answers: tells(named("OllamaEmbedReply"), "The vectors."),
  }),
  task({
    path: "/api/embeddings",
    tag: "Ollama",
    summary: "Makes the vector of one text, the older way",
    body: named("OllamaEmbeddingsRequest"),
    answers: tells(named("OllamaEmbeddingsReply"), "The vector, as the model makes it."),
  }),
];

export const OLLAMA: Chapter = { operations: OPERATIONS, schemas: SCHEMAS };
