import { isObject } from "../core/json.ts";
import type { Json, JsonObject } from "../core/json.ts";
import type { Endpoint } from "../core/task.ts";

/** The size of a request before a model has seen it, for limits on tokens. */
export interface RequestSize {
  /** An estimate, for all prompts together. */
  readonly inputTokens: number;
  /** Answers in all; 0 where the answer has no tokens. */
  readonly answers: number;
  /** Most tokens of one answer, as the client set it. Absent: unbounded. */
  readonly mostOutput?: number;
}

/** Ollama's rule of thumb, which holds for English. For other scripts bytes are nearer to tokens than characters. */
const BYTES_PER_TOKEN = 4;
/** Tokens of an image of medium size, and of half a minute of audio. */
const MEDIA_TOKENS = 1000;

/** Most choices that OpenAI allows. */
const MOST_CHOICES = 128;

/** Endpoints whose answer is made of tokens. */
const ANSWERS = new Set<Endpoint>([
  "ollama-generate",
  "ollama-chat",
  "openai-chat",
  "openai-completion",
  "openai-responses",
  "openai-infill",
  "openai-transcriptions",
  "openai-translations",
  "anthropic-messages",
]);

/** Estimates the tokens of so many bytes of text. */
export function tokensOfText(bytes: number): number {
  return Math.ceil(bytes / BYTES_PER_TOKEN);
}

/** The size of a form, which is one file beside its model and options. */
export function sizeOfForm(endpoint: Endpoint): RequestSize {
  return { inputTokens: MEDIA_TOKENS, answers: ANSWERS.has(endpoint) ? 1 : 0 };
}

/**
 * Estimates the size of a request. Text counts by its bytes, an image or a sound as a thousand tokens whatever its size.
 * @param body checked by its codec
 */
export function sizeOf(endpoint: Endpoint, body: JsonObject): RequestSize {
  const text = new TextMeter();
  for (const name in body) if (Object.hasOwn(body, name)) text.add(name, body[name]);
  const inputTokens = text.tokens;
  const answers = ANSWERS.has(endpoint) && inputTokens > 0 ? answersOf(body) : 0;
  const mostOutput = mostOutputOf(body);
  return mostOutput === undefined ? { inputTokens, answers } : { inputTokens, answers, mostOutput };
}

/** A list of prompts gets as many answers as if each came by itself. */
function answersOf({ n, prompt }: JsonObject): number {
  const choices = typeof n === "number" && n > 1 ? Math.min(Math.floor(n), MOST_CHOICES) : 1;
  const prompts = Array.isArray(prompt) && typeof prompt[0] !== "number" ? Math.max(1, prompt.length) : 1;
  return choices * prompts;
}

/** The least of the bounds in all dialects. Ollama's -1 and -2 mean no bound. */
function mostOutputOf({ options, ...body }: JsonObject): number | undefined {
  const most = [
    body["max_tokens"],
    body["max_completion_tokens"],
    body["max_output_tokens"],
    body["n_predict"],
    isObject(options) ? options["num_predict"] : undefined,
  ].reduce((least: number, bound) => (isBound(bound) ? Math.min(least, bound) : least), Infinity);
  return most === Infinity ? undefined : Math.floor(most);
}

function isBound(value: Json | undefined): value is number {
  return typeof value === "number" && value >= 0;
}

/** Members that are no part of a prompt. */
const NO_PROMPT = new Set([
  "model",
  "role",
  "type",
  "id",
  "call_id",
  "tool_call_id",
  "tool_use_id",
  "user",
  "metadata",
  "cache_control",
  "signature",
  "encrypted_content",
  "keep_alive",
  "options",
]);

/** Members whose names count too: schemas of tools and of answers. */
const SCHEMAS = new Set(["tools", "functions", "response_format", "format", "input_schema", "parameters"]);

/** Types of content that is no text. */
const MEDIA = new Set([
  "image",
  "image_url",
  "input_image",
  "audio",
  "audio_url",
  "input_audio",
  "video",
  "video_url",
  "input_video",
  "file",
  "input_file",
  "document",
]);

/** Sums up the parts of a prompt. */
class TextMeter {
  #bytes = 0;
  #tokens = 0;

  get tokens(): number {
    return Math.ceil(this.#bytes / BYTES_PER_TOKEN) + this.#tokens;
  }

  /** Adds one member of an object. */
  add(name: string, value: Json | undefined): void {
    if (value === undefined || NO_PROMPT.has(name)) return;
    if (SCHEMAS.has(name) && typeof value === "object") this.#bytes += jsonBytes(value);
    else if (name === "images" && Array.isArray(value)) this.#tokens += value.length * MEDIA_TOKENS;
    else this.#addValue(value);
  }

  #addValue(value: Json): void {
    if (typeof value === "string") this.#addText(value);
    else if (Array.isArray(value)) this.#addList(value);
    else if (isObject(value)) this.#addObject(value);
  }

  #addText(text: string): void {
    if (text.startsWith("data:") && text.slice(0, 100).includes(";base64,")) this.#tokens += MEDIA_TOKENS;
    else this.#bytes += Buffer.byteLength(text);
  }

  /** Numbers in a list are tokens. */
  #addList(list: readonly Json[]): void {
    for (const value of list) {
      if (typeof value === "number") this.#tokens += 1;
      else this.#addValue(value);
    }
  }

  #addObject(object: JsonObject): void {
    if (isMedia(object)) {
      this.#tokens += MEDIA_TOKENS;
      return;
    }
    for (const name in object) if (Object.hasOwn(object, name)) this.add(name, object[name]);
  }
}

/** A document may be text. */
function isMedia({ type, source }: JsonObject): boolean {
  if (typeof type !== "string" || !MEDIA.has(type)) return false;
  return !isObject(source) || (source["type"] !== "text" && source["type"] !== "content");
}

function jsonBytes(value: Json): number {
  return value === null ? 0 : Buffer.byteLength(JSON.stringify(value));
}
