import { errorIn } from "./errors.ts";
import { TASK_ERRORS } from "./operation.ts";
import type { Answers, Chapter, Operation } from "./operation.ts";
import { bytes, either, flag, integer, list, number, object, open, text } from "./schema.ts";
import type { Members, Schema } from "./schema.ts";

/** Endpoints that are relayed as they are to backends that have them, and asked for by a form with files. */

const SOUND: Members = {
  file: bytes("The sound."),
  model: text(),
  prompt: text("The words before."),
  response_format: text("`json`, `text`, `srt`, `verbose_json`, `vtt`."),
  temperature: number(),
  stream: flag(),
};

/** Fields for words in the language of the sound. */
const AS_SAID: Members = {
  language: text("ISO 639-1."),
  "timestamp_granularities[]": list(text("`word`, `segment`.")),
};

/** Images, one or several. */
const IMAGE: Schema = { anyOf: [bytes("An image."), list(bytes("An image."))] };

const IMAGES: Members = {
  model: text(),
  n: integer(),
  size: text("`1024x1024`, …"),
  response_format: text("`url` or `b64_json`."),
  user: text(),
};

/** An event that says what it is, as OpenAI's do, or the error that broke the stream. */
const TYPED_EVENT: Schema = either([object({ type: text() }), errorIn("openai")]);

const SAID: Answers = {
  200: {
    description:
      "The words, in the form asked for; of a stream the schema is that of the data of each event.",
    contents: {
      "application/json": object({ text: text(), language: text(), duration: number() }, ["text"]),
      "text/plain": text(),
      "text/event-stream": TYPED_EVENT,
    },
  },
};

const MADE: Answers = {
  200: {
    description: "The images.",
    contents: {
      "application/json": object(
        {
          created: integer(),
          data: list(object({ url: text(), b64_json: text("Base64.") })),
          usage: open("Tokens."),
        },
        ["data"],
      ),
    },
  },
};

/** As {@link MADE}, or as events. */
const EDITED: Answers = {
  200: {
    description: "The images; of a stream the schema is that of the data of each event.",
    contents: { ...MADE[200]?.contents, "text/event-stream": TYPED_EVENT },
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
      summary: "Writes down what is said",
      fields: { ...SOUND, ...AS_SAID },
      required: ["file"],
      answers: SAID,
    }),
    form({
      path: "/v1/audio/translations",
      summary: "Writes down what is said, in English",
      fields: SOUND,
      required: ["file"],
      answers: SAID,
    }),
    form({
      path: "/v1/images/edits",
      summary: "Changes images",
      fields: {
        image: IMAGE,
        "image[]": list(bytes("An image.")),
        prompt: text(),
        mask: bytes("Where to change it."),
        stream: flag("Whether images come as events."),
        ...IMAGES,
      },
      required: ["prompt"],
      answers: EDITED,
    }),
    form({
      path: "/v1/images/variations",
      summary: "Makes variations of an image",
      fields: { image: bytes("The image."), ...IMAGES },
      required: ["image"],
      answers: MADE,
    }),
  ],
  schemas: {},
};
