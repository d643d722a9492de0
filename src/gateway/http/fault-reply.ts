import { Fault } from "../../core/fault.ts";
import type { FaultCode } from "../../core/fault.ts";
import { needsAbility } from "../../core/ability.ts";
import { dialectOf } from "../../core/task.ts";
import type { Endpoint, Task } from "../../core/task.ts";
import { faultEncoder } from "../../protocols/dialects.ts";
import type { Headers, HttpReply, HttpRequest } from "./http.ts";
import { dialectOfRequest, idHeaders, plainIdHeaders } from "./reply-headers.ts";

/** Reports faults to clients. */

/** Answers with a fault in the dialect of the endpoint. Nothing may have been sent yet. */
export function sendFault(
  reply: HttpReply,
  fault: Fault,
  task: { readonly endpoint: Endpoint; readonly requestId: string },
): void {
  const dialect = dialectOf(task.endpoint);
  const { contentType, body } = faultEncoder(dialect).body(fault, task.requestId);
  reply.send(fault.http, [...faultHeaders(fault, contentType), ...idHeaders(dialect, task.requestId)], body);
}

/**
 * Ends a reply that has begun. A broken stream never ends cleanly: every client that reads must see an error (API.md,
 * section 13). A stream without events or lines, such as audio, can only be cut.
 * @param type content type that was sent
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
  const codec = faultEncoder(dialectOf(endpoint));
  reply.end(Buffer.from(codec.frame(fault, endpoint, requestId)));
}

/** Answers a request for an unknown path, in its dialect. */
export function sendUnknownPath(request: HttpRequest, reply: HttpReply): void {
  const { method, path } = request;
  const hint = "Please check the URL for typos; this gateway's docs/api.md lists what it serves.";
  sendPathFault(
    request,
    reply,
    new Fault("path_not_found", `Unknown request URL: ${method} ${path}. ${hint}`),
  );
}

/** Answers with a fault in the dialect of the path and of the client. */
export function sendPathFault(
  request: HttpRequest,
  reply: HttpReply,
  fault: Fault,
  more: Headers = [],
): void {
  const ids = plainIdHeaders(request);
  const { contentType, body } = faultEncoder(dialectOfRequest(request)).body(fault, ids[0]?.[1] ?? "");
  reply.send(fault.http, [...faultHeaders(fault, contentType), ...ids, ...more], body);
}

/** Refusals by a limit of the key: their wait is known exactly, or they say that waiting is of no use. */
const LIMITED: ReadonlySet<FaultCode> = new Set<FaultCode>([
  "rate_limited",
  "concurrency_limited",
  "budget_exceeded",
]);

/**
 * Longest wait that a client library should sit out (s). OpenAI's ignores a longer one and is back in a second.
 * Anthropic's sleeps for as long as it is told.
 */
const LONGEST_WAIT_S = 60;

/** Returns the headers of an error reply. */
export function faultHeaders(fault: Fault, contentType: string): Headers {
  const headers: (readonly [string, string])[] = [["content-type", contentType]];
  const { retryAfter } = fault;
  if (retryAfter !== undefined) headers.push(["retry-after", String(Math.ceil(retryAfter))]);
  return [...headers, ...retryHeaders(fault)];
}

/** Returns the headers by which client libraries retry at the right time, or not at all. Most faults have none. */
export function retryHeaders({ code, retryAfter, shouldRetry }: Fault): Headers {
  const isLimited = LIMITED.has(code);
  const headers: (readonly [string, string])[] = [];
  if (isLimited && retryAfter !== undefined)
    headers.push(["retry-after-ms", String(Math.ceil(retryAfter * 1000))]);
  const isLong = isLimited && (retryAfter ?? 0) > LONGEST_WAIT_S;
  const should = shouldRetry ?? (isLong ? false : undefined);
  if (should !== undefined) headers.push(["x-should-retry", String(should)]);
  return headers;
}
