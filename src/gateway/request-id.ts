import { randomUUID } from "node:crypto";
import { dialectOf } from "../core/task.ts";
import type { Dialect } from "../core/task.ts";
import { TASK_ROUTES } from "../protocols/catalogue.ts";
import type { Headers, HttpRequest, RequestHeaders } from "./http.ts";
import { withoutSlash } from "./open-paths.ts";

/** The ids by which clients and logs name requests. */

const REQUEST_ID = /^[\w.:@/+=-]{1,128}$/;

/** A client's own request id is kept when it is harmless in headers and logs. */
export function cleanRequestId(id: string): string | undefined {
  return REQUEST_ID.test(id) ? id : undefined;
}

/** The id of a request, by the names under which clients of the dialect look for it. */
export function idHeaders(dialect: Dialect, requestId: string): Headers {
  const id = ["x-request-id", requestId] as const;
  return dialect === "anthropic" ? [id, ["request-id", requestId]] : [id];
}

/**
 * That of the path, but for paths of OpenAI's which Anthropic has too: its clients say the version of their API. A path
 * that takes tasks has its own dialect only, in which its tasks fail as well.
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

/** The id headers of a request that becomes no task. */
export function plainIdHeaders(request: HttpRequest): Headers {
  return idHeaders(dialectOfRequest(request), plainId(request));
}

/** For reply and log line have the same. */
const made = new WeakMap<HttpRequest, string>();

/** The id of a request that becomes no task, and so has no other than its client's or a new one. */
export function plainId(request: HttpRequest): string {
  const id = cleanRequestId(request.headers.requestId) ?? made.get(request);
  if (id !== undefined) return id;
  const fresh = randomUUID();
  made.set(request, fresh);
  return fresh;
}

/** The dialects of the paths that take tasks. */
const TASK_DIALECTS: ReadonlyMap<string, Dialect> = new Map(
  TASK_ROUTES.map(({ path, endpoint }) => [path, dialectOf(endpoint)]),
);

/**
 * The dialect in which a path is answered: that of its tasks, where it takes them. All others by their beginning:
 * Anthropic's clients know those below /v1/messages, OpenAI's the rest of /v1.
 */
export function dialectOfPath(path: string): Dialect {
  const known = TASK_DIALECTS.get(withoutSlash(path));
  if (known !== undefined) return known;
  if (path.startsWith("/v1/messages")) return "anthropic";
  return path.startsWith("/v1/") ? "openai" : "ollama";
}
