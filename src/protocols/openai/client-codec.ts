import type { Endpoint } from "../../core/task.ts";
import { countPassthrough } from "../anthropic/count-tokens.ts";
import type { ClientCodec, Passthrough } from "../codec.ts";
import { embeddingsPassthrough } from "./embed-passthrough.ts";
import { encodeOpenaiRequest } from "./encode.ts";
import { readErrorBody } from "../backend-errors.ts";
import { chatPassthrough, completionPassthrough } from "./passthrough.ts";
import type { OpenAIProfile } from "./profiles.ts";
import { openReader } from "./reader.ts";

/**
 * The client codec for one kind of OpenAI-compatible backend. Paths include /v1 (or /infill), which the base URL
 * lacks.
 */
export function openaiClientCodec(profile: OpenAIProfile): ClientCodec {
  const ways: ReadonlyMap<Endpoint, Passthrough> = new Map([
    ["openai-chat", chatPassthrough(profile)],
    ...(profile.completions ? [["openai-completion", completionPassthrough(profile)] as const] : []),
    ...(profile.countTokens ? [["anthropic-count-tokens", countPassthrough] as const] : []),
    ...(profile.embeddings ? [["openai-embeddings", embeddingsPassthrough] as const] : []),
  ]);
  return {
    dialect: "openai",
    encode: (request, options) => encodeOpenaiRequest(request, options, { ...profile, ...options.learned }),
    reader: openReader,
    readError: readErrorBody,
    passthrough: (endpoint) => ways.get(endpoint),
  };
}
