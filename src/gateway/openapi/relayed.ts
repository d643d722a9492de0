import { errorIn } from "./errors.ts";
import { task, tells, tellsOrStreams } from "./operation.ts";
import type { Answers, Chapter, Operation } from "./operation.ts";
import { anything, asked, bytes, either, flag, integer, list, named, number, object } from "./schema.ts";
import { open, text } from "./schema.ts";
import type { Members, Schema } from "./schema.ts";

/**
 * Endpoints that are relayed as they are to backends that have them: OpenAI's, Cohere's, vLLM's, llama.cpp's, in JSON. A
 * request without a model goes to a backend that has the endpoint. All else in a body is its backend's matter.
 */

const USAGE: Schema = open("Tokens, as the backend counts them.");

const DOCUMENT: Schema = either([text(), open("With a `text`.")]);

const SCHEMAS: Chapter["schemas"] = {
  RerankRequest: asked(
    {
      model: text(),
      query: text(),
      documents: list(DOCUMENT),
      top_n: integer("Most results; all when absent."),
      return_documents: flag(),
    },
    ["query", "documents"],
  ),
  Rerank: object(
    {
      model: text(),
      results: list(
        object(
          { index: integer("Among the documents, from 0."), relevance_score: number(), document: DOCUMENT },
          ["index", "relevance_score"],
        ),
        "The most relevant first.",
      ),
      usage: USAGE,
    },
    ["results"],
  ),
  ScoreRequest: asked(
    { model: text(), text_1: either([text(), list(text())]), text_2: either([text(), list(text())]) },
    ["text_1", "text_2"],
  ),
  Score: object(
    {
      object: text("`list`"),
      model: text(),
      data: list(object({ index: integer(), object: text("`score`"), score: number() }, ["index", "score"])),
      usage: USAGE,
    },
    ["data"],
  ),
  TokenizeRequest: asked({
    model: text(),
    prompt: text("As vLLM has it."),
    messages: list(open("In place of a prompt: a chat.")),
    add_special_tokens: flag(),
    add_generation_prompt: flag(),
    return_token_strs: flag(),
    content: text("As llama.cpp has it."),
    add_special: flag(),
    parse_special: flag(),
    with_pieces: flag(),
  }),
  Tokens: object(
    {
      tokens: list(either([integer(), object({ id: integer(), piece: anything("Text, or bytes.") })])),
      count: integer(),
      max_model_len: integer(),
    },
    ["tokens"],
  ),
  DetokenizeRequest: asked({ model: text(), tokens: list(integer()) }, ["tokens"]),
  Detokenized: object({ prompt: text("As vLLM has it."), content: text("As llama.cpp has it.") }),
  ModerationRequest: asked(
    { model: text(), input: either([text(), list(either([text(), open("A part of a message.")]))]) },
    ["input"],
  ),
  Moderation: object({ id: text(), model: text(), results: list(open("For each input.")) }, ["results"]),
  ImageRequest: asked(
    {
      model: text(),
      prompt: text(),
      n: integer(),
      size: text("`1024x1024`, …"),
      quality: text(),
      style: text(),
      background: text(),
      response_format: text("`url` or `b64_json`."),
      user: text(),
      stream: flag("Whether images come as events, unfinished ones first."),
      partial_images: integer("How many unfinished ones."),
    },
    ["prompt"],
  ),
  Images: object(
    {
      created: integer(),
      data: list(object({ url: text(), b64_json: text("Base64."), revised_prompt: text() })),
      usage: USAGE,
    },
    ["data"],
  ),
  SpeechRequest: asked(
    {
      model: text(),
      input: text("The words."),
      voice: either([text(), open("A voice by id.")]),
      response_format: text("`mp3`, `opus`, `aac`, `flac`, `wav`, `pcm`."),
      speed: number(),
      instructions: text(),
      stream_format: text("`audio` or `sse`."),
    },
    ["input"],
  ),
  InfillRequest: asked({
    model: text(),
    input_prefix: text("The text before the gap."),
    input_suffix: text("The text behind it."),
    input_extra: list(object({ filename: text(), text: text() })),
    prompt: text(),
    n_predict: integer("Most tokens of the answer."),
    temperature: number(),
    top_k: number(),
    top_p: number(),
    stream: flag("Whether the answer comes as events; false when absent."),
  }),
  Infill: object({ content: text(), stop: flag(), tokens_predicted: integer() }, ["content"]),
};

interface Endpoint {
  readonly summary: string;
  readonly body: string;
  readonly answers: Answers;
}

/** One endpoint at each of the paths that servers have for it. */
function at(paths: readonly string[], { summary, body, answers }: Endpoint): readonly Operation[] {
  return paths.map((path) => task({ path, tag: "OpenAI", summary, body: named(body), answers }));
}

function whole(name: string): Answers {
  return tells(named(name), "As the backend has it.");
}

/** An event that says what it is, as OpenAI's do, or the error that broke the stream. */
const TYPED_EVENT: Schema = either([object({ type: text() }, ["type"]), errorIn("openai")]);

const AUDIO_TYPES = ["audio/mpeg", "audio/wav", "audio/flac", "audio/aac", "audio/opus", "audio/ogg"];

const AUDIO: Answers = {
  200: {
    description: "The sound, as it is made.",
    contents: {
      ...Object.fromEntries(AUDIO_TYPES.map((type) => [type, bytes("In the form asked for.")])),
      "application/octet-stream": bytes("Where the backend names no type."),
      "text/event-stream": TYPED_EVENT,
    },
  },
};

const EVENTS: Members = { content: text(), stop: flag() };

export const RELAYED: Chapter = {
  operations: [
    ...at(["/v1/rerank", "/rerank", "/v1/reranking", "/reranking", "/v2/rerank"], {
      summary: "Orders documents by what they have to do with a query",
      body: "RerankRequest",
      answers: whole("Rerank"),
    }),
    ...at(["/score", "/v1/score"], {
      summary: "Scores pairs of texts",
      body: "ScoreRequest",
      answers: whole("Score"),
    }),
    ...at(["/tokenize"], {
      summary: "The tokens of a text",
      body: "TokenizeRequest",
      answers: whole("Tokens"),
    }),
    ...at(["/detokenize"], {
      summary: "The text of tokens",
      body: "DetokenizeRequest",
      answers: whole("Detokenized"),
    }),
    ...at(["/v1/moderations"], {
      summary: "Judges texts",
      body: "ModerationRequest",
      answers: whole("Moderation"),
    }),
    ...at(["/v1/images/generations"], {
      summary: "Makes images",
      body: "ImageRequest",
      answers: tellsOrStreams(named("Images"), { events: TYPED_EVENT }),
    }),
    ...at(["/v1/audio/speech"], { summary: "Says a text", body: "SpeechRequest", answers: AUDIO }),
    ...at(["/infill"], {
      summary: "Fills a gap in code, as llama.cpp has it",
      body: "InfillRequest",
      answers: tellsOrStreams(named("Infill"), { events: either([object(EVENTS), errorIn("openai")]) }),
    }),
  ],
  schemas: SCHEMAS,
};
