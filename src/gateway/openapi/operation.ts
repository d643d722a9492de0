import { FAULTS } from "../../core/fault.ts";
import type { Route } from "../http.ts";
import { list, object, text } from "./schema.ts";
import type { Members, Schema } from "./schema.ts";

/** One method of one path, before the document has it. */
export interface Operation {
  readonly method: Route["method"];
  /** With names in braces: `/v1/models/{id}`. */
  readonly path: string;
  readonly tag: TagName;
  readonly summary: string;
  readonly description?: string;
  /** In the path, by their names in braces. */
  readonly parameters?: Members;
  /** What the query may have, by name. */
  readonly query?: Members;
  /** The request's; absent for none. */
  readonly body?: Body;
  readonly answers: Answers;
  /** Statuses of errors beside those that every path has. */
  readonly errors?: readonly number[];
  /** `open`: no key is needed; `admin`: an admin's is. Absent: a client's. */
  readonly access?: "open" | "admin";
  /** True when the request becomes a task: it has the headers of tasks. */
  readonly isTask?: true;
  /** True for a path of OpenAI's that Anthropic has, too: clients that say `anthropic-version` get Anthropic's form. */
  readonly isShared?: true;
}

/** Operations that belong together, and the schemas that they name. */
export interface Chapter {
  readonly operations: readonly Operation[];
  readonly schemas: Readonly<Record<string, Schema>>;
}

/** Content types of a body, each with its schema. */
export type Contents = Readonly<Record<string, Schema>>;

export interface Body {
  readonly contents: Contents;
  readonly description?: string;
}

export interface Answer {
  readonly description: string;
  /** Absent for an answer without a body. */
  readonly contents?: Contents;
}

/** Statuses, each with its answer. */
export type Answers = Readonly<Record<number, Answer>>;

/** The groups of operations, with what is said of each. */
export const TAGS = {
  Ollama: "Ollama's API. Streams are lines of JSON (NDJSON).",
  OpenAI: "OpenAI's API. Streams are server-sent events; the last one is `[DONE]`, but for responses.",
  Anthropic: "Anthropic's API. Streams are server-sent events with names.",
  Models: "The models of Ollama's servers, and the orders for admins that change them.",
  Gateway: "The gateway itself: probes, metrics, this document.",
  Admin: "What the live page lets holders of an admin key do.",
  Page: "The live page and its files.",
} as const;

export type TagName = keyof typeof TAGS;

const JSON_TYPE = "application/json";
const EVENTS = "text/event-stream";
const LINES = "application/x-ndjson";

export function json(schema: Schema): Contents {
  return { [JSON_TYPE]: schema };
}

/** An answer in JSON. */
export function tells(schema: Schema, description: string): Answers {
  return { 200: { description, contents: json(schema) } };
}

/** An answer that is an object, or a stream: the schema of a stream is that of each of its events or lines. */
export function tellsOrStreams(whole: Schema, stream: { events: Schema } | { lines: Schema }): Answers {
  const contents = "events" in stream ? { [EVENTS]: stream.events } : { [LINES]: stream.lines };
  const each = "events" in stream ? "the data of each event" : "each line";
  const description = `The whole answer; of a stream the schema is that of ${each}.`;
  return { 200: { description, contents: { ...json(whole), ...contents } } };
}

/** Never shown to a client; what no described path gives; and what a body in gzip gets. */
const CLIENT_GONE = 499;
const WRONG_METHOD = 405;
const COMPRESSED = 415;

/** Statuses of all faults that a task can end with. */
export const TASK_ERRORS: readonly number[] = [
  ...new Set([...Object.values(FAULTS).map(({ http }) => http), COMPRESSED]),
]
  .filter((status) => status !== CLIENT_GONE && status !== WRONG_METHOD)
  .toSorted((a, b) => a - b);

/** A request for an answer of a model. */
export function task(
  told: Omit<Operation, "method" | "errors" | "isTask" | "body"> & { body: Schema },
): Operation {
  const body = { contents: json(told.body) };
  return { ...told, body, method: "POST", errors: TASK_ERRORS, isTask: true };
}

/** Log probabilities of tokens, as all dialects but Anthropic's have them. */
export const TOKEN_LOGPROB: Schema = object(
  {
    token: text(),
    logprob: { type: "number" },
    bytes: { type: ["array", "null"], items: { type: "integer" } },
    top_logprobs: list(object({ token: text(), logprob: { type: "number" } }, ["token", "logprob"])),
  },
  ["token", "logprob"],
);
