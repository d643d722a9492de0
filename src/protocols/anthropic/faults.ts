import type { Fault } from "../../core/fault.ts";
import { sseEvent } from "../../wire/sse.ts";
import type { FaultFace } from "../protocol.ts";

/** `error.type` by status: SDKs and agents decide by it. Others are `api_error`. */
const TYPES: ReadonlyMap<number, string> = new Map([
  [400, "invalid_request_error"],
  [401, "authentication_error"],
  [403, "permission_error"],
  [404, "not_found_error"],
  [405, "invalid_request_error"],
  [413, "request_too_large"],
  [415, "invalid_request_error"],
  [429, "rate_limit_error"],
  [503, "overloaded_error"],
  [504, "timeout_error"],
  [529, "overloaded_error"],
]);

function errorJson(fault: Fault, requestId: string): string {
  const error = { type: TYPES.get(fault.http) ?? "api_error", message: fault.message };
  return JSON.stringify({ type: "error", error, request_id: requestId === "" ? null : requestId });
}

/** `{"type":"error","error":{"type","message"},"request_id"}`, before a reply and, as an `error` event, in one. */
export const anthropicFaults: FaultFace = {
  body: (fault, requestId) => ({ contentType: "application/json", body: errorJson(fault, requestId) }),
  frame: (fault, _endpoint, requestId) => sseEvent("error", errorJson(fault, requestId)),
};
