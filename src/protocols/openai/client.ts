import type { ClientFace } from "../protocol.ts";
import { encodeRequest } from "./encode.ts";
import { readErrorBody } from "./errors.ts";
import { chatPassthrough } from "./passthrough.ts";
import type { OpenAIProfile } from "./profiles.ts";
import { openReader } from "./reader.ts";

/** The face for OpenAI-compatible backends of one kind. Paths begin with /v1 (or /infill): the base URL has none. */
export function openaiClient(profile: OpenAIProfile): ClientFace {
  const chat = chatPassthrough(profile);
  return {
    dialect: "openai",
    encode: (request, options) => encodeRequest(request, options, profile),
    reader: openReader,
    readError: readErrorBody,
    passthrough: (endpoint) => (endpoint === "openai-chat" ? chat : undefined),
  };
}
