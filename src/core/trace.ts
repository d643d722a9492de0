import { isErrand } from "./errand.ts";
import type { Errand } from "./errand.ts";
import type { Endpoint } from "./task.ts";

/** Distributed traces: W3C Trace Context, and OpenTelemetry's names for what is asked of a model. */

const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}$/;

/** A traceparent as it came, or empty text when it is none: it goes on to Redis and to backends. */
export function cleanTraceparent(text: string): string {
  return TRACEPARENT.test(text) ? text : "";
}

/** The id of the trace that a clean traceparent belongs to; undefined for empty text. */
export function traceIdOf(traceparent: string): string | undefined {
  return traceparent === "" ? undefined : traceparent.slice(3, 35);
}

const OPERATIONS: Readonly<Record<Exclude<Endpoint, Errand>, string>> = {
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

/** The value of `gen_ai.operation.name` for what is asked at an endpoint; undefined for an errand. */
export function operationOf(endpoint: Endpoint): string | undefined {
  return isErrand(endpoint) ? undefined : OPERATIONS[endpoint];
}
