import type { EmbedRequest, Part } from "../core/chat.ts";
import { Fault } from "../core/fault.ts";
import type { Json } from "../core/json.ts";
import { MAX_REPLY_BYTES, replyTooLarge } from "./reply-limits.ts";

/** Checks, shapes and encodes vectors of embeddings. */

export type EmbeddingPart = Extract<Part, { type: "embedding" }>;

/** Vectors within this distance of length 1 stay unchanged. Their numbers are rounded to float32. */
const UNIT_TOLERANCE = 1e-5;
const BYTES_PER_FLOAT = 4;

/** Most numbers of all vectors. More exceed the limit in every encoding: a number takes 8 to 24 bytes. */
const MOST_NUMBERS = MAX_REPLY_BYTES / 8;

/**
 * The vectors of a reply, checked and shaped for the request: one per input. Throws `backend_lost`, and
 * `invalid_request` when they exceed the reply limit.
 */
export function embeddingParts(vectors: readonly Json[], request: EmbedRequest): EmbeddingPart[] {
  if (vectors.length !== request.inputs.length) {
    const counts = `${vectors.length} vectors for ${request.inputs.length} inputs`;
    throw new Fault("backend_lost", `the backend answered with ${counts}`);
  }
  const [first] = vectors;
  const length = Array.isArray(first) ? first.length : 0;
  if (vectors.length * length > MOST_NUMBERS) throw replyTooLarge();
  return vectors.map((vector, index) => {
    if (!isVector(vector)) throw new Fault("backend_lost", "the backend's reply has a broken vector");
    return { type: "embedding", index, vector: shapeVector(vector, request) };
  });
}

function isVector(value: Json | undefined): value is number[] {
  return Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "number");
}

/** Cuts and scales a vector as requested. Returns the same one when nothing changes. */
export function shapeVector(
  vector: readonly number[],
  { dimensions, normalise }: Pick<EmbedRequest, "dimensions" | "normalise">,
): readonly number[] {
  if (dimensions !== undefined && dimensions < vector.length) return unit(vector.slice(0, dimensions));
  return normalise ? unit(vector) : vector;
}

/** Scales a vector to length 1. A zero vector stays. */
function unit(vector: readonly number[]): readonly number[] {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  if (length === 0 || Math.abs(length - 1) < UNIT_TOLERANCE) return vector;
  return vector.map((value) => value / length);
}

/** Encodes a vector in OpenAI's compact form: float32, little-endian, in base64. */
export function encodeVector(vector: readonly number[]): string {
  const bytes = Buffer.allocUnsafe(vector.length * BYTES_PER_FLOAT);
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * BYTES_PER_FLOAT);
  return bytes.toString("base64");
}

/** Length of the text that {@link encodeVector} returns. */
export function encodedLength(vector: readonly number[]): number {
  return Math.ceil((vector.length * BYTES_PER_FLOAT) / 3) * 4;
}

/** Decodes the form of {@link encodeVector}. Throws `backend_lost` when the bytes are no whole floats. */
export function decodeVector(base64: string): number[] {
  const bytes = Buffer.from(base64, "base64");
  if (bytes.length === 0 || bytes.length % BYTES_PER_FLOAT !== 0) {
    throw new Fault("backend_lost", "the backend's reply has a broken vector");
  }
  const numbers: number[] = [];
  for (let at = 0; at < bytes.length; at += BYTES_PER_FLOAT) numbers.push(bytes.readFloatLE(at));
  return numbers;
}
