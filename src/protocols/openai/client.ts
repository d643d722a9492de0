import type { Endpoint } from "../../core/task.ts";
import { countPassthrough } from "../anthropic/count-passthrough.ts";
import type { ClientFace, Passthrough } from "../protocol.ts";
import { embeddingsPassthrough } from "./embed-passthrough.ts";
import { encodeRequest } from "./encode.ts";
import { readErrorBody } from "./errors.ts";
import { chatPassthrough, completionPassthrough } from "./passthrough.ts";
import type { OpenAIProfile } from "./profiles.ts";
import { openReader } from "./reader.ts";

/** The face for OpenAI-compatible backends of one kind. Paths begin with /v1 (or /infill): the base URL has none. */
export function openaiClient(profile: OpenAIProfile): ClientFace {
  const ways: ReadonlyMap<Endpoint, Passthrough> = new Map([
    ["openai-chat", chatPassthrough(profile)],
    ...(profile.completions ? [["openai-completion", completionPassthrough(profile)] as const] : []),
    ...(profile.countTokens ? [["anthropic-count-tokens", countPassthrough] as const] : []),
    ...(profile.embeddings ? [["openai-embeddings", embeddingsPassthrough] as const] : []),
  ]);
  return {
    dialect: "openai",
    encode: (request, options) => encodeRequest(request, options, { ...profile, ...options.learned }),
    reader: openReader,
    readError: readErrorBody,
    passthrough: (endpoint) => ways.get(endpoint),
  };
}
