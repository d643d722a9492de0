import { FAULTS } from "../../core/fault.ts";
import type { Route } from "../http/http.ts";
import { list, object, string } from "./schema.ts";
import type { Members, Schema } from "./schema.ts";

/** One method of one path, as the chapters describe it. */
export interface Operation {
  readonly method: Route["method"];
  /** With names in braces: `/v1/models/{id}`. */
  readonly path: string;
  readonly tag: TagName;
  readonly summary: string;
  readonly description?: string;
  /** Parameters of the path, by their names in braces. */
  readonly parameters?: Members;
  /** Parameters of the query, by name. */
  readonly query?: Members;
  /** The body of the request; absent for none. */
  readonly body?: Body;
  readonly answers: Answers;
  /** Statuses of errors beside those that every path has. */
  readonly errors?: readonly number[];
  /** Key that is needed: `open` for none, `admin` for an admin's, absent for a client's. */
  readonly access?: "open" | "admin";
  /** True when the request becomes a task, which has headers of its own. */
  readonly isTask?: true;
  /** True for a path that OpenAI and Anthropic share: the header `anthropic-version` selects Anthropic's form. */
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

interface Answer {
  readonly description: string;
  /** Absent for an answer without a body. */
  readonly contents?: Contents;
}

/** Statuses, each with its answer. */
export type Answers = Readonly<Record<number, Answer>>;

/** The groups of operations, each with its description. */
export const TAGS = {
  Ollama: "Ollama's API. Streams are lines of JSON (NDJSON).",
  OpenAI: "OpenAI's API. Streams are server-sent events; the last one is `[DONE]`, except for responses.",
  Anthropic: "Anthropic's API. Streams are server-sent events with names.",
  Models: "The models of Ollama's servers, and the requests of admins that change them.",
  Gateway: "The gateway itself: probes, metrics, this document.",
  Keys: "Keys, tenants, their usage, and the audit log, for holders of an admin key.",
  Admin: "Actions of the live page for holders of an admin key.",
  Page: "The live page and its files.",
} as const;

export type TagName = keyof typeof TAGS;

const JSON_TYPE = "application/json";
const EVENTS = "text/event-stream";
const LINES = "application/x-ndjson";

export function json(schema: Schema): Contents {
  return { [JSON_TYPE]: schema };
}

/** An answer in JSON, with status 200. */
export function answersWith(schema: Schema, description: string): Answers {
  return { 200: { description, contents: json(schema) } };
}

/** An answer that is an object or a stream. The schema of a stream is the schema of each event or line. */
export function answersOrStreams(whole: Schema, stream: { events: Schema } | { lines: Schema }): Answers {
  const contents = "events" in stream ? { [EVENTS]: stream.events } : { [LINES]: stream.lines };
  const each = "events" in stream ? "the data of each event" : "each line";
  const description = `The whole answer. For a stream the schema describes ${each}.`;
  return { 200: { description, contents: { ...json(whole), ...contents } } };
}

/** Statuses that no client sees (499), that no path here has (405), of records (409), and of compressed bodies (415). */
const CLIENT_GONE = 499;
const WRONG_METHOD = 405;
/** The record of a key or tenant is another one than expected. */
export const RECORD_CHANGED = 409;
const COMPRESSED = 415;

/** Statuses of all faults that a task can end with. */
export const TASK_ERRORS: readonly number[] = [
  ...new Set([...Object.values(FAULTS).map(({ http }) => http), COMPRESSED]),
]
  .filter((status) => ![CLIENT_GONE, WRONG_METHOD, RECORD_CHANGED].includes(status))
  .toSorted((a, b) => a - b);

/** A request that a model answers. */
export function task(
  operation: Omit<Operation, "method" | "errors" | "isTask" | "body"> & { body: Schema },
): Operation {
  const body = { contents: json(operation.body) };
  return { ...operation, body, method: "POST", errors: TASK_ERRORS, isTask: true };
}

/** Log probabilities of tokens, as all dialects but Anthropic's have them. */
export const TOKEN_LOGPROB: Schema = object(
  {
    token: string(),
    logprob: { type: "number" },
    bytes: { type: ["array", "null"], items: { type: "integer" } },
    top_logprobs: list(object({ token: string(), logprob: { type: "number" } }, ["token", "logprob"])),
  },
  ["token", "logprob"],
);
