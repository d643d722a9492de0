import { isManagementEndpoint } from "./management-endpoint.ts";
import type { ManagementEndpoint } from "./management-endpoint.ts";
import type { Endpoint } from "./task.ts";

/** Distributed traces: W3C Trace Context, and OpenTelemetry's names of operations. */

const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}$/;

/** Returns a valid traceparent unchanged, else "". Redis and backends get it. */
export function validTraceparent(text: string): string {
  return TRACEPARENT.test(text) ? text : "";
}

/** The trace id of a valid traceparent; undefined for "". */
export function traceIdOf(traceparent: string): string | undefined {
  return traceparent === "" ? undefined : traceparent.slice(3, 35);
}

const OPERATIONS: Readonly<Record<Exclude<Endpoint, ManagementEndpoint>, string>> = {
  "ollama-chat": "chat",
  "ollama-generate": "text_completion",
  "ollama-embed": "embeddings",
  "ollama-embeddings": "embeddings",
  "openai-chat": "chat",
  "openai-completion": "text_completion",
  "openai-embeddings": "embeddings",
  "openai-responses": "chat",
  "anthropic-messages": "chat",
  "anthropic-count-tokens": "count_tokens",
  "openai-rerank": "rerank",
  "openai-score": "score",
  "openai-tokenize": "tokenize",
  "openai-detokenize": "detokenize",
  "openai-moderations": "moderation",
  "openai-images": "image_generation",
  "openai-speech": "speech",
  "openai-infill": "text_completion",
  "openai-transcriptions": "transcription",
  "openai-translations": "translation",
  "openai-image-edits": "image_edit",
  "openai-image-variations": "image_variation",
};

/** The value of `gen_ai.operation.name` for an endpoint; undefined for a management request. */
export function operationOf(endpoint: Endpoint): string | undefined {
  return isManagementEndpoint(endpoint) ? undefined : OPERATIONS[endpoint];
}
