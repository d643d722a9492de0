import type { EmbedRequest, Part } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { isObject } from "../../core/json.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import type { BackendRequest } from "../codec.ts";
import { decodeVector, embeddingParts } from "../vectors.ts";
import { openaiDroppedFields } from "./dropped-fields.ts";
import { readUsage } from "./reply-metrics.ts";
import type { OpenAIProfile } from "./profiles.ts";

export const EMBEDDINGS_PATH = "/v1/embeddings";

/**
 * Encodes a request for vectors. It leaves out the dimensions: not every backend cuts vectors, and others reject
 * models without training for it. {@link readVectors} cuts instead. Throws `not_implemented`.
 */
export function encodeOpenaiEmbed(
  request: EmbedRequest,
  model: string,
  profile: OpenAIProfile,
): BackendRequest {
  if (!profile.embeddings) {
    throw new Fault("not_implemented", `a ${profile.name} backend does not support embeddings`);
  }
  const cut = request.truncate === true ? profile.truncate : {};
  const body = JSON.stringify({ model, input: request.inputs, ...cut });
  return { path: EMBEDDINGS_PATH, body, dropped: openaiDroppedFields(request, "prompt", profile) };
}

/** The embeddings of a reply in the order of the inputs, in any encoding. */
function embeddingsOf(reply: JsonObject): readonly Json[] {
  const { data } = reply;
  if (!Array.isArray(data)) throw new Fault("backend_lost", "the backend's reply has no vectors");
  const entries = data.filter(isObject).toSorted((a, b) => indexOf(a) - indexOf(b));
  return entries.map((entry) => entry["embedding"] ?? null);
}

function indexOf({ index }: JsonObject): number {
  return typeof index === "number" ? index : 0;
}

/** The vectors of a reply, shaped for the request. Throws `backend_lost` for a missing or broken vector. */
export function readVectors(reply: JsonObject, request: EmbedRequest): ReturnType<typeof embeddingParts> {
  const vectors = embeddingsOf(reply).map((one) => (typeof one === "string" ? decodeVector(one) : one));
  return embeddingParts(vectors, request);
}

/** The parts of the reply of POST /v1/embeddings. */
export function readEmbedReply(reply: JsonObject, request: EmbedRequest): Part[] {
  const usage = readUsage(reply) ?? { promptTokens: 0, completionTokens: 0 };
  return [...readVectors(reply, request), { type: "end", reason: "stop", usage }];
}
