import { Fault } from "../core/fault.ts";
import { needsAbility } from "../core/ability.ts";
import { dialectOf } from "../core/task.ts";
import type { Endpoint, Task } from "../core/task.ts";
import { faultFace } from "../protocols/catalogue.ts";
import type { Headers, HttpReply, HttpRequest } from "./http.ts";
import { dialectOfRequest, idHeaders, plainIdHeaders } from "./request-id.ts";

/** How clients are told of faults. */

/** Answers with a fault in the dialect of the endpoint. Nothing must have been sent yet. */
export function sendFault(
  reply: HttpReply,
  fault: Fault,
  asked: { readonly endpoint: Endpoint; readonly requestId: string },
): void {
  const dialect = dialectOf(asked.endpoint);
  const { contentType, body } = faultFace(dialect).body(fault, asked.requestId);
  reply.send(fault.http, [...faultHeaders(fault, contentType), ...idHeaders(dialect, asked.requestId)], body);
}

/**
 * Ends a reply that has begun. A broken stream never ends cleanly: every client must see an error (API.md, section 13),
 * if it reads at all. What is no stream of events or lines, such as audio, can only be cut.
 * @param type of what was sent
 */
export function breakOff(
  reply: HttpReply,
  fault: Fault,
  { endpoint, requestId, stream }: Pick<Task, "endpoint" | "requestId" | "stream">,
  type: string,
): void {
  const isBytes = needsAbility(endpoint) && !type.startsWith("text/event-stream");
  if (!stream || isBytes || fault.code === "slow_client") {
    reply.destroy();
    return;
  }
  const face = faultFace(dialectOf(endpoint));
  reply.end(Buffer.from(face.frame(fault, endpoint, requestId)));
}

/** Answers a path that is none, in the words of its dialect. */
export function sendUnknownPath(request: HttpRequest, reply: HttpReply): void {
  const { method, path } = request;
  const hint = "Please check the URL for typos; this gateway's docs/api.md lists what it serves.";
  sendPathFault(
    request,
    reply,
    new Fault("path_not_found", `Unknown request URL: ${method} ${path}. ${hint}`),
  );
}

/** A fault in the dialect of the path and of the client. */
export function sendPathFault(
  request: HttpRequest,
  reply: HttpReply,
  fault: Fault,
  more: Headers = [],
): void {
  const ids = plainIdHeaders(request);
  const { contentType, body } = faultFace(dialectOfRequest(request)).body(fault, ids[0]?.[1] ?? "");
  reply.send(fault.http, [...faultHeaders(fault, contentType), ...ids, ...more], body);
}

/** Headers of an error reply. */
export function faultHeaders(fault: Fault, contentType: string): Headers {
  const headers: (readonly [string, string])[] = [["content-type", contentType]];
  if (fault.retryAfter !== undefined) headers.push(["retry-after", String(Math.ceil(fault.retryAfter))]);
  return headers;
}
