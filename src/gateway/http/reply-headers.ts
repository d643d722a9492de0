/** Headers of replies, the ids by which clients and logs name requests, and the dialect of a request. */
import { randomUUID } from "node:crypto";
import { dialectOf } from "../../core/task.ts";
import type { Dialect, Task } from "../../core/task.ts";
import { TASK_ROUTES } from "../../protocols/dialects.ts";
import type { Headers, HttpRequest, RequestHeaders } from "./http.ts";
import { withoutSlash } from "./open-paths.ts";

/** Keep proxies from holding back events. */
export const UNBUFFERED: Headers = [
  ["cache-control", "no-cache"],
  ["x-accel-buffering", "no"],
];

/** Status and headers of a stream, sent with its first bytes. */
export interface ReplyHead {
  readonly status: number;
  readonly type: string;
  readonly dropped?: readonly string[] | undefined;
}

/** Returns the headers of a task's reply. @param dropped the client's fields that were left out */
export function replyHeaders(
  task: Pick<Task, "endpoint" | "requestId">,
  contentType: string,
  dropped: readonly string[] = [],
): Headers {
  const ids = idHeaders(dialectOf(task.endpoint), task.requestId);
  const type = ["content-type", contentType] as const;
  const left = dropped.length === 0 ? [] : [["x-sgnet-dropped", dropped.join(", ")] as const];
  return contentType.startsWith("text/event-stream")
    ? [type, ...UNBUFFERED, ...ids, ...left]
    : [type, ...ids, ...left];
}

/** Returns the id of a request, under the header names that clients of the dialect expect. */
export function idHeaders(dialect: Dialect, requestId: string): Headers {
  const id = ["x-request-id", requestId] as const;
  return dialect === "anthropic" ? [id, ["request-id", requestId]] : [id];
}

/**
 * Returns the header that lets a web page read others, beside those that the guard names.
 * @param origin that of the page; empty without one
 */
export function pageHeaders(headers: Headers, origin: string): Headers {
  if (headers.length === 0 || origin === "") return [];
  return [["access-control-expose-headers", headers.map(([name]) => name).join(", ")]];
}

/** Returns the id headers of a request that becomes no task. */
export function plainIdHeaders(request: HttpRequest): Headers {
  return idHeaders(dialectOfRequest(request), plainId(request));
}

const REQUEST_ID = /^[\w.:@/+=-]{1,128}$/;

/** Returns a client's own request id when it is harmless in headers and logs. */
export function cleanRequestId(id: string): string | undefined {
  return REQUEST_ID.test(id) ? id : undefined;
}

/** New ids of requests, so that reply and log line have the same. */
const NEW_IDS = new WeakMap<HttpRequest, string>();

/** Returns the id of a request that becomes no task: its client's, or a new one. */
export function plainId(request: HttpRequest): string {
  const id = cleanRequestId(request.headers.requestId) ?? NEW_IDS.get(request);
  if (id !== undefined) return id;
  const fresh = randomUUID();
  NEW_IDS.set(request, fresh);
  return fresh;
}

/** The dialects of the paths that take tasks. */
const TASK_DIALECTS: ReadonlyMap<string, Dialect> = new Map(
  TASK_ROUTES.map(({ path, endpoint }) => [path, dialectOf(endpoint)]),
);

/**
 * Returns the dialect in which a request is answered: that of its path. OpenAI and Anthropic share some paths; there
 * Anthropic's clients send the version of their API. A path that takes tasks has its own dialect only, in which its
 * tasks fail as well.
 */
export function dialectOfRequest({
  path,
  headers,
}: {
  readonly path: string;
  readonly headers: Pick<RequestHeaders, "anthropicVersion">;
}): Dialect {
  const dialect = dialectOfPath(path);
  const isShared = dialect === "openai" && !TASK_DIALECTS.has(withoutSlash(path));
  return isShared && headers.anthropicVersion !== "" ? "anthropic" : dialect;
}

/**
 * Returns the dialect of a path: that of its tasks, where it takes them. The beginning decides for all others:
 * /v1/messages is Anthropic's, the rest of /v1 is OpenAI's.
 */
export function dialectOfPath(path: string): Dialect {
  const known = TASK_DIALECTS.get(withoutSlash(path));
  if (known !== undefined) return known;
  if (path.startsWith("/v1/messages")) return "anthropic";
  return path.startsWith("/v1/") ? "openai" : "ollama";
}
