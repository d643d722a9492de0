import { errorIn } from "./errors.ts";
import { task, answersWith, answersOrStreams } from "./operation.ts";
import type { Answers, Chapter, Operation } from "./operation.ts";
import { anyValue, bodyOf, binary, anyOf, boolean, integer, list, named, number, object } from "./schema.ts";
import { anyObject, string } from "./schema.ts";
import type { Members, Schema } from "./schema.ts";

/**
 * Endpoints in JSON that are relayed unchanged to backends that have them: OpenAI's, Cohere's, vLLM's, llama.cpp's. A
 * request without a model goes to a backend that has the endpoint. The backend checks the rest of the body.
 */

const USAGE: Schema = anyObject("Token counts of the backend.");

const DOCUMENT: Schema = anyOf([string(), anyObject("With a `text`.")]);

const SCHEMAS: Chapter["schemas"] = {
  RerankRequest: bodyOf(
    {
      model: string(),
      query: string(),
      documents: list(DOCUMENT),
      top_n: integer("Most results; all when absent."),
      return_documents: boolean(),
    },
    ["query", "documents"],
  ),
  Rerank: object(
    {
      model: string(),
      results: list(
        object(
          { index: integer("Index of the document, from 0."), relevance_score: number(), document: DOCUMENT },
          ["index", "relevance_score"],
        ),
        "The most relevant first.",
      ),
      usage: USAGE,
    },
    ["results"],
  ),
  ScoreRequest: bodyOf(
    { model: string(), text_1: anyOf([string(), list(string())]), text_2: anyOf([string(), list(string())]) },
    ["text_1", "text_2"],
  ),
  Score: object(
    {
      object: string("`list`"),
      model: string(),
      data: list(
        object({ index: integer(), object: string("`score`"), score: number() }, ["index", "score"]),
      ),
      usage: USAGE,
    },
    ["data"],
  ),
  TokenizeRequest: bodyOf({
    model: string(),
    prompt: string("For vLLM."),
    messages: list(anyObject("A chat, instead of a prompt.")),
    add_special_tokens: boolean(),
    add_generation_prompt: boolean(),
    return_token_strs: boolean(),
    content: string("For llama.cpp."),
    add_special: boolean(),
    parse_special: boolean(),
    with_pieces: boolean(),
  }),
  Tokens: object(
    {
      tokens: list(anyOf([integer(), object({ id: integer(), piece: anyValue("Text, or bytes.") })])),
      count: integer(),
      max_model_len: integer(),
    },
    ["tokens"],
  ),
  DetokenizeRequest: bodyOf({ model: string(), tokens: list(integer()) }, ["tokens"]),
  Detokenized: object({ prompt: string("For vLLM."), content: string("For llama.cpp.") }),
  ModerationRequest: bodyOf(
    { model: string(), input: anyOf([string(), list(anyOf([string(), anyObject("A part of a message.")]))]) },
    ["input"],
  ),
  Moderation: object(
    { id: string(), model: string(), results: list(anyObject("A result for each input.")) },
    ["results"],
  ),
  ImageRequest: bodyOf(
    {
      model: string(),
      prompt: string(),
      n: integer(),
      size: string("`1024x1024`, …"),
      quality: string(),
      style: string(),
      background: string(),
      response_format: string("`url` or `b64_json`."),
      user: string(),
      stream: boolean("True for images as events, unfinished ones first."),
      partial_images: integer("Number of unfinished images."),
    },
    ["prompt"],
  ),
  Images: object(
    {
      created: integer(),
      data: list(object({ url: string(), b64_json: string("Base64."), revised_prompt: string() })),
      usage: USAGE,
    },
    ["data"],
  ),
  SpeechRequest: bodyOf(
    {
      model: string(),
      input: string("The text to speak."),
      voice: anyOf([string(), anyObject("A voice by id.")]),
      response_format: string("`mp3`, `opus`, `aac`, `flac`, `wav`, `pcm`."),
      speed: number(),
      instructions: string(),
      stream_format: string("`audio` or `sse`."),
    },
    ["input"],
  ),
  InfillRequest: bodyOf({
    model: string(),
    input_prefix: string("The text before the gap."),
    input_suffix: string("The text after the gap."),
    input_extra: list(object({ filename: string(), text: string() })),
    prompt: string(),
    n_predict: integer("Most tokens of the answer."),
    temperature: number(),
    top_k: number(),
    top_p: number(),
    stream: boolean("True for an answer as events; false when absent."),
  }),
  Infill: object({ content: string(), stop: boolean(), tokens_predicted: integer() }, ["content"]),
};

interface Endpoint {
  readonly summary: string;
  readonly body: string;
  readonly answers: Answers;
}

/** One endpoint, at each path that servers use for it. */
function at(paths: readonly string[], { summary, body, answers }: Endpoint): readonly Operation[] {
  return paths.map((path) => task({ path, tag: "OpenAI", summary, body: named(body), answers }));
}

function whole(name: string): Answers {
  return answersWith(named(name), "The answer of the backend, unchanged.");
}

/** An event with its type, in OpenAI's form, or the error that ended the stream. */
const TYPED_EVENT: Schema = anyOf([object({ type: string() }, ["type"]), errorIn("openai")]);

const AUDIO_TYPES = ["audio/mpeg", "audio/wav", "audio/flac", "audio/aac", "audio/opus", "audio/ogg"];

const AUDIO: Answers = {
  200: {
    description: "The audio, as it is made.",
    contents: {
      ...Object.fromEntries(AUDIO_TYPES.map((type) => [type, binary("In the requested format.")])),
      "application/octet-stream": binary("For a backend that names no type."),
      "text/event-stream": TYPED_EVENT,
    },
  },
};

const EVENTS: Members = { content: string(), stop: boolean() };

export const RELAYED: Chapter = {
  operations: [
    ...at(["/v1/rerank", "/rerank", "/v1/reranking", "/reranking", "/v2/rerank"], {
      summary: "Ranks documents by their relevance to a query",
      body: "RerankRequest",
      answers: whole("Rerank"),
    }),
    ...at(["/score", "/v1/score"], {
      summary: "Scores pairs of texts",
      body: "ScoreRequest",
      answers: whole("Score"),
    }),
    ...at(["/tokenize"], {
      summary: "Splits a text into tokens",
      body: "TokenizeRequest",
      answers: whole("Tokens"),
    }),
    ...at(["/detokenize"], {
      summary: "Joins tokens into a text",
      body: "DetokenizeRequest",
      answers: whole("Detokenized"),
    }),
    ...at(["/v1/moderations"], {
      summary: "Classifies texts for moderation",
      body: "ModerationRequest",
      answers: whole("Moderation"),
    }),
    ...at(["/v1/images/generations"], {
      summary: "Makes images",
      body: "ImageRequest",
      answers: answersOrStreams(named("Images"), { events: TYPED_EVENT }),
    }),
    ...at(["/v1/audio/speech"], { summary: "Speaks a text", body: "SpeechRequest", answers: AUDIO }),
    ...at(["/infill"], {
      summary: "Fills a gap in code (llama.cpp)",
      body: "InfillRequest",
      answers: answersOrStreams(named("Infill"), { events: anyOf([object(EVENTS), errorIn("openai")]) }),
    }),
  ],
  schemas: SCHEMAS,
};
