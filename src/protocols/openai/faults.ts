import type { Fault, FaultCode } from "../../core/fault.ts";
import { sseData, sseEvent } from "../../wire/sse.ts";
import type { FaultFace } from "../protocol.ts";

/** `error.type` by status: SDKs show it, some retry policies read it. Others are `api_error`. */
const TYPES: ReadonlyMap<number, string> = new Map([
  [400, "invalid_request_error"],
  [401, "invalid_request_error"],
  [404, "not_found_error"],
  [405, "invalid_request_error"],
  [413, "invalid_request_error"],
  [415, "invalid_request_error"],
  [429, "rate_limit_error"],
  [503, "overloaded_error"],
]);

/** `error.code` where OpenAI has a name of its own; null where Ollama and OpenAI leave it empty. */
const CODES: { readonly [Code in FaultCode]?: string | null } = {
  body_missing: null,
  bad_json: null,
  invalid_request: null,
  model_required: null,
  model_name_invalid: null,
  unauthorized: "invalid_api_key",
  path_not_found: "unknown_url",
  rate_limited: "rate_limit_exceeded",
  backend_error: null,
};

interface OpenAIError {
  readonly message: string;
  readonly type: string;
  readonly param: null;
  readonly code: string | null;
}

function errorOf(fault: Fault): OpenAIError {
  const type = fault.code === "path_not_found" ? "invalid_request_error" : typeOf(fault);
  return { message: fault.message, type, param: null, code: codeOf(fault) };
}

function typeOf({ http }: Fault): string {
  return TYPES.get(http) ?? "api_error";
}

function errorJson(fault: Fault): string {
  return JSON.stringify({ error: errorOf(fault) });
}

/** Above every number of the stream, which is not counted here; clients may skip what they take for old. */
const LAST_NUMBER = 2_147_483_647;

/**
 * A stream of /v1/responses names its events. The error is told flat, as OpenAI documents it, and nested, where
 * its servers and the client libraries have it.
 */
function responsesFrame(fault: Fault): string {
  const error = errorOf(fault);
  const { code, message, param } = error;
  const event = { type: "error", code, message, param, sequence_number: LAST_NUMBER, error };
  return sseEvent("error", JSON.stringify(event));
}

function codeOf(fault: Fault): string | null {
  if (fault.http === 503 && fault.code !== "queue_timeout") return "server_busy";
  const code = CODES[fault.code];
  return code === undefined ? fault.code : code;
}

/** `{"error":{"message","type","param","code"}}`, before a reply as its body and in a stream as an event. */
export const openaiFaults: FaultFace = {
  body: (fault) => ({ contentType: "application/json", body: errorJson(fault) }),
  frame: (fault, endpoint) =>
    endpoint === "openai-responses" ? responsesFrame(fault) : sseData(errorJson(fault)),
};
