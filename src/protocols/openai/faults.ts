import type { Fault, FaultCode } from "../../core/fault.ts";
import { sseData, sseEvent } from "../../wire/sse.ts";
import type { FaultEncoder } from "../codec.ts";

/** `error.type` by status. SDKs show it, and some retry policies read it. Others are `api_error`. */
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

/** `error.code` where OpenAI has its own name. null where Ollama and OpenAI leave it empty. */
const CODES: { readonly [Code in FaultCode]?: string | null } = {
  body_missing: null,
  bad_json: null,
  invalid_request: null,
  model_required: null,
  model_name_invalid: null,
  unauthorized: "invalid_api_key",
  path_not_found: "unknown_url",
  rate_limited: "rate_limit_exceeded",
  budget_exceeded: "insufficient_quota",
  backend_error: null,
};

interface OpenAIError {
  readonly message: string;
  readonly type: string;
  readonly param: null;
  readonly code: string | null;
}

function errorOf(fault: Fault): OpenAIError {
  return { message: fault.message, type: typeOf(fault), param: null, code: codeOf(fault) };
}

/** `error.type` by code, where OpenAI's service has another than by status. */
const CODE_TYPES: { readonly [Code in FaultCode]?: string } = {
  path_not_found: "invalid_request_error",
  forbidden: "invalid_request_error",
  budget_exceeded: "insufficient_quota",
};

/** OpenAI's service names the unit of an exceeded rate as the type: `requests` or `tokens`. */
function typeOf({ code, http, unit }: Fault): string {
  return unit ?? CODE_TYPES[code] ?? TYPES.get(http) ?? "api_error";
}

function errorJson(fault: Fault): string {
  return JSON.stringify({ error: errorOf(fault) });
}

/** Above every sequence number of the stream. Clients may skip lower numbers. */
const LAST_NUMBER = 2_147_483_647;

/**
 * Streams of /v1/responses have named events. The error is flat, as OpenAI documents it, and also nested, as its
 * servers send it.
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

/** `{"error":{"message","type","param","code"}}`: as a body before the reply, as an event within it. */
export const openaiFaults: FaultEncoder = {
  body: (fault) => ({ contentType: "application/json", body: errorJson(fault) }),
  frame: (fault, endpoint) =>
    endpoint === "openai-responses" ? responsesFrame(fault) : sseData(errorJson(fault)),
};
