import { errorIn } from "./errors.ts";
import { TASK_ERRORS } from "./operation.ts";
import type { Answers, Chapter, Operation } from "./operation.ts";
import { binary, anyOf, boolean, integer, list, number, object, anyObject, string } from "./schema.ts";
import type { Members, Schema } from "./schema.ts";

/** Endpoints that take a form with files, relayed unchanged to backends that have them. */

const AUDIO: Members = {
  file: binary("The audio file."),
  model: string(),
  prompt: string("The text before this audio."),
  response_format: string("`json`, `text`, `srt`, `verbose_json`, `vtt`."),
  temperature: number(),
  stream: boolean(),
};

/** Fields of a transcription in the language of the audio. */
const ORIGINAL: Members = {
  language: string("ISO 639-1."),
  "timestamp_granularities[]": list(string("`word`, `segment`.")),
};

/** Images, one or several. */
const IMAGE: Schema = { anyOf: [binary("An image."), list(binary("An image."))] };

const IMAGES: Members = {
  model: string(),
  n: integer(),
  size: string("`1024x1024`, …"),
  response_format: string("`url` or `b64_json`."),
  user: string(),
};

/** An event with its type, in OpenAI's form, or the error that ended the stream. */
const TYPED_EVENT: Schema = anyOf([object({ type: string() }), errorIn("openai")]);

const TRANSCRIPT: Answers = {
  200: {
    description:
      "The text in the requested format. For a stream the schema describes the data of each event.",
    contents: {
      "application/json": object({ text: string(), language: string(), duration: number() }, ["text"]),
      "text/plain": string(),
      "text/event-stream": TYPED_EVENT,
    },
  },
};

const IMAGE_LIST: Answers = {
  200: {
    description: "The images.",
    contents: {
      "application/json": object(
        {
          created: integer(),
          data: list(object({ url: string(), b64_json: string("Base64.") })),
          usage: anyObject("Token counts."),
        },
        ["data"],
      ),
    },
  },
};

/** As {@link IMAGE_LIST}, or as events. */
const EDITED: Answers = {
  200: {
    description: "The images. For a stream the schema describes the data of each event.",
    contents: { ...IMAGE_LIST[200]?.contents, "text/event-stream": TYPED_EVENT },
  },
};

interface Form {
  readonly path: string;
  readonly summary: string;
  readonly fields: Members;
  readonly required: readonly string[];
  readonly answers: Answers;
}

function form({ path, summary, fields, required, answers }: Form): Operation {
  const body = { contents: { "multipart/form-data": object(fields, required) } };
  return { method: "POST", path, tag: "OpenAI", summary, body, answers, errors: TASK_ERRORS, isTask: true };
}

export const RELAYED_FORMS: Chapter = {
  operations: [
    form({
      path: "/v1/audio/transcriptions",
      summary: "Transcribes speech",
      fields: { ...AUDIO, ...ORIGINAL },
      required: ["file"],
      answers: TRANSCRIPT,
    }),
    form({
      path: "/v1/audio/translations",
      summary: "Transcribes speech into English",
      fields: AUDIO,
      required: ["file"],
      answers: TRANSCRIPT,
    }),
    form({
      path: "/v1/images/edits",
      summary: "Edits images",
      fields: {
        image: IMAGE,
        "image[]": list(binary("An image.")),
        prompt: string(),
        mask: binary("The area to change."),
        stream: boolean("True for images as events."),
        ...IMAGES,
      },
      required: ["prompt"],
      answers: EDITED,
    }),
    form({
      path: "/v1/images/variations",
      summary: "Makes variations of an image",
      fields: { image: binary("The image."), ...IMAGES },
      required: ["image"],
      answers: IMAGE_LIST,
    }),
  ],
  schemas: {},
};
