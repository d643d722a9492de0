import { Fault } from "../../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { modelKey } from "../../core/model.ts";
import type { Endpoint } from "../../core/task.ts";
import { parseExact } from "../exact.ts";
import type { BackendRequest, ClientFace, Passthrough, PassthroughOptions } from "../protocol.ts";
import { EmbedReader } from "./embed-client.ts";
import { CHAT_PATH, EMBED_PATH, encodeRequest, GENERATE_PATH } from "./encode.ts";
import { stripDataUrl } from "./images.ts";
import { OllamaReader } from "./reader.ts";
import { relayReply, relayVectors } from "./relay.ts";
import { faultOf } from "./reply.ts";

/** Longest text of a backend that is not JSON to be shown to a client, in characters. */
const MAX_TEXT = 500;

function readError(status: number, body: Buffer, retryAfter: number | undefined): Fault {
  const value = parse(body);
  if (isObject(value)) return faultOf(value, status, retryAfter);
  const told = body.toString().trim().slice(0, MAX_TEXT);
  const error = told || `the backend answered with status ${status}`;
  // A 404 that is not JSON is about the path, not about the model.
  if (status === 404) return new Fault("not_implemented", `the backend does not offer this: ${error}`);
  return faultOf({ error }, status, retryAfter);
}

/** Numbers are kept exactly: a body is only written again. */
function parse(body: Buffer): Json | undefined {
  try {
    return parseExact(body.toString());
  } catch {
    return undefined;
  }
}

/** Ollama takes no data URLs where the gateway does: they are rare, and cheap to see. */
const DATA_URL: Buffer = Buffer.from('"data:');

function passthroughTo(path: string, relay: Passthrough["relay"] = relayReply): Passthrough {
  return { request: (options) => forward(path, options), relay };
}

function forward(path: string, { body, asked, model }: PassthroughOptions): BackendRequest {
  // Ollama itself matches every spelling of a name, and its reply echoes the spelling.
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
  ["ollama-chat", passthroughTo(CHAT_PATH)],
  ["ollama-generate", passthroughTo(GENERATE_PATH)],
  ["ollama-embed", passthroughTo(EMBED_PATH, relayVectors)],
  ["ollama-embeddings", passthroughTo("/api/embeddings", relayVectors)],
]);

/** What a backend that speaks Ollama's API understands. */
export const ollamaClient: ClientFace = {
  dialect: "ollama",
  encode: encodeRequest,
  reader: ({ request }) => (request.kind === "embed" ? new EmbedReader(request) : new OllamaReader(request)),
  readError,
  passthrough: (endpoint) => PASSTHROUGH.get(endpoint),
};
