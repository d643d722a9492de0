import type { Fault, FaultCode } from "../../core/fault.ts";
import { sseEvent } from "../../wire/sse.ts";
import type { FaultEncoder } from "../codec.ts";

/** `error.type` by status, which SDKs and agents branch on. Others are `api_error`. */
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

/** Faults of keys. One type stands for several of them, so their code is told as well, where Anthropic's SDKs read it. */
const DETAILED: ReadonlySet<FaultCode> = new Set<FaultCode>([
  "rate_limited",
  "concurrency_limited",
  "budget_exceeded",
  "forbidden",
]);

function errorJson(fault: Fault, requestId: string): string {
  const { code, http, message } = fault;
  const details = DETAILED.has(code) ? { details: { error_code: code } } : {};
  const error = { ...details, type: TYPES.get(http) ?? "api_error", message };
  return JSON.stringify({ type: "error", error, request_id: requestId === "" ? null : requestId });
}

/**
 * `{"type":"error","error":{"type","message"},"request_id"}`: as a body before the reply, as an `error` event within
 * it.
 */
export const anthropicFaults: FaultEncoder = {
  body: (fault, requestId) => ({ contentType: "application/json", body: errorJson(fault, requestId) }),
  frame: (fault, _endpoint, requestId) => sseEvent("error", errorJson(fault, requestId)),
};
