import { isObject } from "../../core/json.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import type { BackendRequest, Passthrough, PassthroughOptions } from "../codec.ts";
import { encodedLength, type EmbeddingPart } from "../vectors.ts";
import { EMBEDDINGS_PATH, readVectors } from "./embed-client.ts";
import { embeddingEntry } from "./embed-reply.ts";
import { type Encoding, readOpenaiEmbeddings, readEncoding } from "./embed-request.ts";
import { parseBody, replaceModel } from "./passthrough.ts";
import { ObjectRelay } from "./object-relay.ts";

/** Passes embeddings through. The reply changes only where it deviates from the request. */
export const embeddingsPassthrough: Passthrough = {
  request: passRequest,
  relay: ({ asked, body }) => new ObjectRelay(asked, (reply) => shapeReply(reply, parseBody(body))),
};

function passRequest({ body, asked, model }: PassthroughOptions): BackendRequest {
  const named = asked === model ? body : replaceModel(body, asked, model);
  return {
    path: EMBEDDINGS_PATH,
    body: named !== undefined && isPlain(named) ? named : rewrite(body, model),
  };
}

const FORMAT_KEY = '"encoding_format"';
const PLAIN_FORMAT = /^"encoding_format"\s*:\s*"(?:float|base64)"/;
/** Most bytes of the format field, with some blanks. */
const FORMAT_LENGTH = 60;

/** True when the format is absent or spelt as backends expect. They reject "BASE64". */
function isPlain(body: Buffer): boolean {
  const at = body.indexOf(FORMAT_KEY);
  return at < 0 || PLAIN_FORMAT.test(body.toString("latin1", at, at + FORMAT_LENGTH));
}

function rewrite(bytes: Buffer, model: string): string {
  const body = parseBody(bytes);
  return JSON.stringify({ ...body, model, encoding_format: readEncoding(body) });
}

/** Returns the reply with its vectors sorted, cut and encoded as requested; undefined when it already is. */
function shapeReply(reply: JsonObject, body: JsonObject): JsonObject | undefined {
  const { request, encoding } = readOpenaiEmbeddings(body);
  // A vector that is not cut keeps its length.
  const parts = readVectors(reply, { ...request, normalise: false });
  const data = Array.isArray(reply["data"]) ? reply["data"] : [];
  if (parts.every((part) => isAsRequested(data[part.index], part, encoding))) return undefined;
  return { ...reply, data: parts.map((part) => embeddingEntry(part, encoding)) };
}

function isAsRequested(
  entry: Json | undefined,
  { index, vector }: EmbeddingPart,
  encoding: Encoding,
): boolean {
  if (!isObject(entry) || entry["index"] !== index) return false;
  const { embedding } = entry;
  if (typeof embedding !== "string") return encoding === "float" && embedding === vector;
  return encoding === "base64" && embedding.length === encodedLength(vector);
}
