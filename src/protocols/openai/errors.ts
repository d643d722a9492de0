import { Fault } from "../../core/fault.ts";
import type { FaultOptions } from "../../core/fault.ts";
import { isObject } from "../../core/json.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import { refusesWorker, workerRefused } from "../refused.ts";

/** Longest text of an error body that is no JSON which is shown, in characters. */
const MAX_TEXT = 500;

const TOO_LONG = /^input \(\d+ tokens\) is too large to process/;

/**
 * The fault of a non-2xx reply. The message is the backend's own: `{"error":{"message"}}`, `{"error":"…"}`,
 * FastAPI's `{"detail"}`, `{"message"}` or plain text.
 * @param retryAfter seconds, from the Retry-After header
 */
export function readErrorBody(status: number, body: Buffer, retryAfter: number | undefined): Fault {
  const text = body.toString("utf8").trim();
  return errorFault(status, messageIn(parsed(text)) ?? text.slice(0, MAX_TEXT), retryAfter);
}

/** True for `{"error":…}` and for the older `{"object":"error",…}`. An empty error beside an answer is none. */
export function isErrorReply(reply: JsonObject): boolean {
  return reply["object"] === "error" || reply["type"] === "error" || says(reply["error"]);
}

/** False for what stands where there is nothing to say: null, zero, an empty text, or an object of nothing else. */
export function says(value: Json | undefined): boolean {
  if (typeof value !== "object" || value === null) return Boolean(value);
  return Object.values(value).some(says);
}

/** False for null, false, and what is empty. */
function isFilled(value: Json | undefined): boolean {
  if (value === undefined || value === null || value === false || value === "") return false;
  return typeof value !== "object" || Object.keys(value).length > 0;
}

/** Members that an answer has: a chat, vectors, what is ranked, tokens, a text of Ollama's or of sound. */
const ANSWERING =
  "choices usage data content object embeddings embedding results tokens response text prompt".split(" ");
const COMPLAINING = ["detail", "errors", "message", "msg", "error_message", "error_description"] as const;

/**
 * The words of an object that is no answer and no declared error: `{"detail":"…"}`, `{"code":400,"message":"…"}`.
 * Undefined for an answer.
 */
export function complaintIn(reply: JsonObject): string | undefined {
  if (ANSWERING.some((name) => isFilled(reply[name]))) return undefined;
  const words = COMPLAINING.map((name) => reply[name]).find(
    (value) => isFilled(value) && (typeof value === "string" || Array.isArray(value)),
  );
  return words === undefined ? undefined : messageIn(reply);
}

/** True when an object tells a status of failure, or words for one. */
export function tellsStatus(reply: JsonObject): boolean {
  return statusIn(reply) !== undefined;
}

/** The fault of an error inside a 2xx reply: the status that it would have had, as far as it says so, else 502. */
export function embeddedFault(payload: Json): Fault {
  return errorFault(statusIn(payload) ?? 502, messageIn(payload) ?? wordless(payload), undefined);
}

/** An error without a message says something all the same. */
function wordless(payload: Json): string {
  return typeof payload === "string" ? payload : JSON.stringify(payload).slice(0, MAX_TEXT);
}

/** Members that say a status, by its number or by OpenAI's and other servers' words. */
const STATUS_NAMES = ["code", "status", "status_code", "statusCode", "http_status", "type"] as const;

/** Words for a status, in lower case without what parts them; the first that is found counts. */
const STATUS_WORDS: readonly (readonly [word: string, status: number])[] = [
  ["ratelimit", 429],
  ["toomanyrequests", 429],
  ["exhausted", 429],
  ["quota", 429],
  ["unavailable", 503],
  ["overloaded", 503],
  ["serverbusy", 503],
  ["modelnotfound", 404],
  ["notfound", 404],
  ["authentication", 401],
  ["invalidapikey", 401],
  ["unauthorized", 401],
  ["permission", 403],
  ["toolarge", 413],
  ["unprocessable", 422],
  ["contextlength", 400],
  ["contextsize", 400],
  ["badrequest", 400],
  ["invalid", 400],
  ["unsupported", 400],
];

function statusIn(payload: Json): number | undefined {
  if (!isObject(payload)) return undefined;
  const inner = isObject(payload["error"]) ? statusIn(payload["error"]) : undefined;
  if (inner !== undefined) return inner;
  for (const name of STATUS_NAMES) {
    const status = statusBy(payload[name]);
    if (status !== undefined) return status;
  }
  return undefined;
}

function statusBy(value: Json | undefined): number | undefined {
  if (typeof value === "string" && !/^\d{3}$/.test(value)) {
    const word = value.toLowerCase().replace(/[^a-z]/g, "");
    return STATUS_WORDS.find(([one]) => word.includes(one))?.[1];
  }
  const status = Number(value);
  return Number.isInteger(status) && status >= 400 && status <= 599 ? status : undefined;
}

function errorFault(status: number, text: string, retryAfter: number | undefined): Fault {
  const message = text === "" ? `the backend answered with status ${status}` : text;
  const wait: FaultOptions = retryAfter === undefined ? {} : { retryAfter };
  if (refusesWorker(status)) return workerRefused(status, message, wait);
  switch (status) {
    case 404:
      return notFound(message, wait);
    case 429:
    case 503:
      return new Fault("backend_busy", message, { http: status, ...wait });
    case 501:
      return new Fault("not_implemented", message, wait);
    case 500:
      // llama.cpp blames itself for an input that is too long to be embedded.
      if (TOO_LONG.test(message)) return new Fault("invalid_request", message);
      return new Fault("backend_error", message, { http: status, ...wait });
    default:
      return new Fault("backend_error", message, { http: status, ...wait });
  }
}

/**
 * How servers say that they do not have a path: FastAPI (vLLM, Exo), llama.cpp, Go's router, Express, and proxies with a
 * page. Whoever misses a model names it.
 */
const NO_PATH = /^(?:(?:file )?not found\.?$|404\b|cannot post \/|<)/i;

function notFound(message: string, wait: FaultOptions): Fault {
  if (!NO_PATH.test(message)) return new Fault("model_not_found", message, wait);
  return new Fault("not_implemented", `the backend does not offer this: ${message}`, wait);
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** Errors, lists and texts within each other that are looked into: no server has more than five. */
const MOST_WRAPPED = 12;

/** Where messages are, the surest first. */
const MESSAGE_NAMES = [
  "error",
  "message",
  "detail",
  "msg",
  "error_message",
  "error_description",
  "errors",
  "reason",
  "description",
] as const;

/** The first message found; a message that is an error body itself (a server behind a server) is opened. */
function messageIn(value: Json | undefined, levels: number = MOST_WRAPPED): string | undefined {
  if (levels === 0 || value === "") return undefined;
  if (typeof value === "string")
    return (value.startsWith("{") ? messageIn(parsed(value), levels - 1) : undefined) ?? value;
  if (Array.isArray(value)) {
    const messages = value
      .map((item) => messageIn(item, levels - 1))
      .filter((message) => message !== undefined);
    return messages.length === 0 ? undefined : messages.join("; ");
  }
  return isObject(value) ? messageOf(value, levels) : undefined;
}

function messageOf(value: JsonObject, levels: number): string | undefined {
  const found = MESSAGE_NAMES.map((name) => messageIn(value[name], levels - 1)).filter(
    (message) => message !== undefined,
  );
  const [first, second] = found;
  // Web frameworks have the name of the status in `error`, and what is wrong in `message`.
  const isTitle = typeof value["error"] === "string" && !value["error"].startsWith("{");
  return isTitle && second !== undefined && second !== first ? `${first}: ${second}` : first;
}
