import { isObject } from "../../core/json.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import type { BackendRequest, Passthrough, PassthroughOptions } from "../protocol.ts";
import { encodedLength, type EmbeddingPart } from "../vectors.ts";
import { EMBEDDINGS_PATH, readVectors } from "./embed-client.ts";
import { embeddingEntry } from "./embed-reply.ts";
import { type Encoding, readEmbeddings, readEncoding } from "./embed-request.ts";
import { parseBody, replaceModel } from "./passthrough.ts";
import { WholeRelay } from "./relay.ts";

/** Passes a client's embeddings through; a backend's reply is only touched where it is not what was asked for. */
export const embeddingsPassthrough: Passthrough = {
  request: passRequest,
  relay: ({ asked, body }) => new WholeRelay(asked, (reply) => putRight(reply, parseBody(body))),
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
/** Bytes that a format takes at most, with some space. */
const FORMAT_LENGTH = 60;

/** True when the format, if there is one, is written as backends know it: they do not take "BASE64". */
function isPlain(body: Buffer): boolean {
  const at = body.indexOf(FORMAT_KEY);
  return at < 0 || PLAIN_FORMAT.test(body.toString("latin1", at, at + FORMAT_LENGTH));
}

function rewrite(bytes: Buffer, model: string): string {
  const body = parseBody(bytes);
  return JSON.stringify({ ...body, model, encoding_format: readEncoding(body) });
}

/** The reply with its vectors in order, cut and encoded as asked; undefined when that is how it came. */
function putRight(reply: JsonObject, body: JsonObject): JsonObject | undefined {
  const { request, encoding } = readEmbeddings(body);
  // A vector that is not cut stays as long as its backend made it.
  const parts = readVectors(reply, { ...request, normalise: false });
  const data = Array.isArray(reply["data"]) ? reply["data"] : [];
  if (parts.every((part) => isAsked(data[part.index], part, encoding))) return undefined;
  return { ...reply, data: parts.map((part) => embeddingEntry(part, encoding)) };
}

function isAsked(entry: Json | undefined, { index, vector }: EmbeddingPart, encoding: Encoding): boolean {
  if (!isObject(entry) || entry["index"] !== index) return false;
  const { embedding } = entry;
  if (typeof embedding !== "string") return encoding === "float" && embedding === vector;
  return encoding === "base64" && embedding.length === encodedLength(vector);
}
