import { randomUUID } from "node:crypto";
import type { Dialect } from "../core/task.ts";
import { isSurfacePath } from "../protocols/openai/surface.ts";
import type { Headers, HttpRequest } from "./http.ts";

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

/** The same for a request that becomes no task. */
export function plainIdHeaders(request: HttpRequest): Headers {
  return idHeaders(dialectOfPath(request.path), plainId(request));
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

/** Anthropic's clients know the paths below /v1/messages, OpenAI's the rest of /v1 and some beside it, such as /rerank. */
export function dialectOfPath(path: string): Dialect {
  if (path.startsWith("/v1/messages")) return "anthropic";
  return path.startsWith("/v1/") || isSurfacePath(path) ? "openai" : "ollama";
}
