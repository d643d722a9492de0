import { Fault } from "../../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { modelKey } from "../../core/model.ts";
import type { Endpoint } from "../../core/task.ts";
import { parseLossless } from "../lossless-json.ts";
import type { BackendRequest, ClientCodec, Passthrough, PassthroughOptions } from "../codec.ts";
import { EmbedReader } from "./embed-client.ts";
import { OLLAMA_CHAT_PATH, EMBED_PATH, encodeOllamaRequest, GENERATE_PATH } from "./encode.ts";
import { stripDataUrl } from "./images.ts";
import { OllamaReader } from "./reader.ts";
import { relayReply, relayVectors } from "./relay.ts";
import { faultOf } from "./backend-reply.ts";

/** Longest excerpt of an error that is not JSON, in characters. */
const MAX_TEXT = 500;

function readError(status: number, body: Buffer, retryAfter: number | undefined): Fault {
  const value = parse(body);
  if (isObject(value)) return faultOf(value, status, retryAfter);
  const text = body.toString().trim().slice(0, MAX_TEXT);
  const error = text || `the backend answered with status ${status}`;
  // A 404 that is not JSON concerns the path, not the model.
  if (status === 404) return new Fault("not_implemented", `the backend does not offer this: ${error}`);
  return faultOf({ error }, status, retryAfter);
}

/** Keeps long numbers, because the body is only written again. */
function parse(body: Buffer): Json | undefined {
  try {
    return parseLossless(body.toString());
  } catch {
    return undefined;
  }
}

/** Ollama rejects data URLs, which this gateway accepts. */
const DATA_URL: Buffer = Buffer.from('"data:');

function passthroughTo(path: string, relay: Passthrough["relay"] = relayReply): Passthrough {
  return { request: (options) => forward(path, options), relay };
}

function forward(path: string, { body, asked, model }: PassthroughOptions): BackendRequest {
  // Ollama accepts every spelling of a name and echoes it.
  const usable = modelKey(asked) === modelKey(model);
  if (usable && !body.includes(DATA_URL)) return { path, body };
  const value = parse(body);
  if (!isObject(value)) throw new Fault("bad_json", "the request body is not a JSON object");
  return { path, body: JSON.stringify(withBareImages(usable ? value : { ...value, model })) };
}

function withBareImages(body: JsonObject): JsonObject {
  const { messages } = body;
  const bare = bareImages(body);
  if (!Array.isArray(messages)) return bare;
  return { ...bare, messages: messages.map((item) => (isObject(item) ? bareImages(item) : item)) };
}

function bareImages(holder: JsonObject): JsonObject {
  const { images } = holder;
  if (!Array.isArray(images)) return holder;
  return {
    ...holder,
    images: images.map((image) => (typeof image === "string" ? stripDataUrl(image) : image)),
  };
}

const PASSTHROUGH: ReadonlyMap<Endpoint, Passthrough> = new Map<Endpoint, Passthrough>([
  ["ollama-chat", passthroughTo(OLLAMA_CHAT_PATH)],
  ["ollama-generate", passthroughTo(GENERATE_PATH)],
  ["ollama-embed", passthroughTo(EMBED_PATH, relayVectors)],
  ["ollama-embeddings", passthroughTo("/api/embeddings", relayVectors)],
]);

/** The client codec for backends with Ollama's API. */
export const ollamaClientCodec: ClientCodec = {
  dialect: "ollama",
  encode: encodeOllamaRequest,
  reader: ({ request }) => (request.kind === "embed" ? new EmbedReader(request) : new OllamaReader(request)),
  readError,
  passthrough: (endpoint) => PASSTHROUGH.get(endpoint),
};
