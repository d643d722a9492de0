import type { Fault } from "../core/fault.ts";
import { dialectOf } from "../core/task.ts";
import type { Dialect, Endpoint } from "../core/task.ts";
import { faultFace } from "../protocols/catalogue.ts";
import type { Headers, HttpReply, HttpRequest } from "./http.ts";

/** Faults told before the first byte of a reply. */

/** Answers with a fault in the dialect of the endpoint. Nothing must have been sent yet. */
export function sendFault(
  reply: HttpReply,
  fault: Fault,
  asked: { readonly endpoint: Endpoint; readonly requestId: string },
): void {
  const { contentType, body } = faultFace(dialectOf(asked.endpoint)).body(fault, asked.requestId);
  reply.send(fault.http, faultHeaders(fault, contentType, asked.requestId), body);
}

/** A fault in the dialect that the path belongs to. */
export function sendPathFault(
  request: HttpRequest,
  reply: HttpReply,
  fault: Fault,
  more: Headers = [],
): void {
  const { contentType, body } = faultFace(dialectOfPath(request.path)).body(fault, "");
  reply.send(fault.http, [...faultHeaders(fault, contentType, ""), ...more], body);
}

/** Anthropic's clients know the paths below /v1/messages, OpenAI's the rest of /v1. */
function dialectOfPath(path: string): Dialect {
  if (path.startsWith("/v1/messages")) return "anthropic";
  return path.startsWith("/v1/") ? "openai" : "ollama";
}

/** Headers of an error reply. */
export function faultHeaders(fault: Fault, contentType: string, requestId: string): Headers {
  const headers: (readonly [string, string])[] = [["content-type", contentType]];
  if (requestId !== "") headers.push(["x-request-id", requestId]);
  if (fault.retryAfter !== undefined) headers.push(["retry-after", String(Math.ceil(fault.retryAfter))]);
  return headers;
}
