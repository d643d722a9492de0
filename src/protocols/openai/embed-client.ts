import type { EmbedRequest, Part } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { isObject } from "../../core/json.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import type { BackendRequest } from "../protocol.ts";
import { decodeVector, embeddingParts } from "../vectors.ts";
import { droppedFields } from "./dropped.ts";
import { readUsage } from "./metrics.ts";
import type { OpenAIProfile } from "./profiles.ts";

export const EMBEDDINGS_PATH = "/v1/embeddings";

/**
 * The request for the vectors of a backend. Dimensions are not asked for: not every backend cuts, and those that
 * do refuse models not trained for it; {@link readVectors} cuts. Throws `not_implemented`.
 */
export function encodeEmbed(request: EmbedRequest, model: string, profile: OpenAIProfile): BackendRequest {
  if (!profile.embeddings) {
    throw new Fault("not_implemented", `a ${profile.name} backend does not support embeddings`);
  }
  const cut = request.truncate === true ? profile.truncate : {};
  const body = JSON.stringify({ model, input: request.inputs, ...cut });
  return { path: EMBEDDINGS_PATH, body, dropped: droppedFields(request, "prompt", profile) };
}

/** The embeddings of a reply in the order of the inputs, in whatever form. */
function embeddingsOf(reply: JsonObject): readonly Json[] {
  const { data } = reply;
  if (!Array.isArray(data)) throw new Fault("backend_lost", "the backend's reply has no vectors");
  const entries = data.filter(isObject).toSorted((a, b) => placeOf(a) - placeOf(b));
  return entries.map((entry) => entry["embedding"] ?? null);
}

function placeOf({ index }: JsonObject): number {
  return typeof index === "number" ? index : 0;
}

/** The vectors of a reply as the request wants them. Throws `backend_lost` when one is missing or broken. */
export function readVectors(reply: JsonObject, request: EmbedRequest): ReturnType<typeof embeddingParts> {
  const vectors = embeddingsOf(reply).map((one) => (typeof one === "string" ? decodeVector(one) : one));
  return embeddingParts(vectors, request);
}

/** The parts of the reply of POST /v1/embeddings. */
export function readEmbedReply(reply: JsonObject, request: EmbedRequest): Part[] {
  const usage = readUsage(reply) ?? { promptTokens: 0, completionTokens: 0 };
  return [...readVectors(reply, request), { type: "end", reason: "stop", usage }];
}
