import { refusesWorker } from "../core/cause.ts";
import { Fault } from "../core/fault.ts";
import type { FaultOptions } from "../core/fault.ts";
import { isObject } from "../core/json.ts";
import type { Json, JsonObject } from "../core/json.ts";

/** Longest excerpt of an error body that is not JSON, in characters. */
const MAX_TEXT = 500;

const TOO_LONG = /^input \(\d+ tokens\) is too large to process/;

/**
 * The fault of a non-2xx reply with the backend's message: `{"error":{"message"}}`, `{"error":"…"}`, FastAPI's
 * `{"detail"}`, `{"message"}` or plain text.
 * @param retryAfter seconds, from the Retry-After header
 */
export function readErrorBody(status: number, body: Buffer, retryAfter: number | undefined): Fault {
  const text = body.toString("utf8").trim();
  return errorFault(status, messageIn(parsed(text)) ?? text.slice(0, MAX_TEXT), retryAfter);
}

/** True for `{"error":…}` and for the older `{"object":"error",…}`. An empty error beside an answer does not count. */
export function isErrorReply(reply: JsonObject): boolean {
  return reply["object"] === "error" || reply["type"] === "error" || isMeaningful(reply["error"]);
}

/** False for empty values: null, zero, "", and objects of such values. */
export function isMeaningful(value: Json | undefined): boolean {
  if (typeof value !== "object" || value === null) return Boolean(value);
  return Object.values(value).some(isMeaningful);
}

/** False for null, false and empty values. */
function isFilled(value: Json | undefined): boolean {
  if (value === undefined || value === null || value === false || value === "") return false;
  return typeof value !== "object" || Object.keys(value).length > 0;
}

/** Members of answers: chats, vectors, rankings, tokens, Ollama's texts, transcripts. */
const ANSWER_MEMBERS =
  "choices usage data content object embeddings embedding results tokens response text prompt".split(" ");
const ERROR_MEMBERS = ["detail", "errors", "message", "msg", "error_message", "error_description"] as const;

/**
 * The message of an object that is no answer and no declared error: `{"detail":"…"}`, `{"code":400,"message":"…"}`.
 * Undefined for an answer.
 */
export function undeclaredError(reply: JsonObject): string | undefined {
  if (ANSWER_MEMBERS.some((name) => isFilled(reply[name]))) return undefined;
  const words = ERROR_MEMBERS.map((name) => reply[name]).find(
    (value) => isFilled(value) && (typeof value === "string" || Array.isArray(value)),
  );
  return words === undefined ? undefined : messageIn(reply);
}

/** True when an object has an error status, as a number or in words. */
export function hasErrorStatus(reply: JsonObject): boolean {
  return statusIn(reply) !== undefined;
}

/** The fault of an error inside a 2xx reply, with the status that it states, else 502. */
export function embeddedFault(payload: Json): Fault {
  return errorFault(statusIn(payload) ?? 502, messageIn(payload) ?? excerptOf(payload), undefined);
}

/** The text of an error without a message. */
function excerptOf(payload: Json): string {
  return typeof payload === "string" ? payload : JSON.stringify(payload).slice(0, MAX_TEXT);
}

/** Members with a status, as a number or in words. */
const STATUS_NAMES = ["code", "status", "status_code", "statusCode", "http_status", "type"] as const;

/** Words for a status, in lower case without separators. The first match counts. */
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
  if (refusesWorker(status)) return workerRefusalFault(status, message, wait);
  switch (status) {
    case 404:
      return notFound(message, wait);
    case 429:
    case 503:
      return new Fault("backend_busy", message, { http: status, ...wait });
    case 501:
      return new Fault("not_implemented", message, wait);
    case 500:
      // llama.cpp reports 500 for an embedding input that is too long.
      if (TOO_LONG.test(message)) return new Fault("invalid_request", message);
      return new Fault("backend_error", message, { http: status, ...wait });
    default:
      return new Fault("backend_error", message, { http: status, ...wait });
  }
}

/**
 * Messages for an unknown path: FastAPI (vLLM, Exo), llama.cpp, Go's router, Express, and pages of proxies. Messages
 * for an unknown model name that model.
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

/** Most levels of nested errors. No known server has more than five. */
const MOST_WRAPPED = 12;

/** Members with a message, the most reliable first. */
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

/** The first message found. A message that is itself an error body, from a server behind a server, is unwrapped. */
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
  // Web frameworks put the name of the status into `error`, and the reason into `message`.
  const isTitle = typeof value["error"] === "string" && !value["error"].startsWith("{");
  return isTitle && second !== undefined && second !== first ? `${first}: ${second}` : first;
}

/**
 * The fault for a client when the backend rejects the worker ({@link refusesWorker}): 502 with the backend's message.
 */
export function workerRefusalFault(
  status: number | undefined,
  message: string,
  options: FaultOptions = {},
): Fault {
  const text = `the backend refused its worker with status ${status}: ${message}`;
  return new Fault("backend_error", text, { ...options, http: 502 });
}
