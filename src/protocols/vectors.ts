import type { EmbedRequest, Part } from "../core/chat.ts";
import { Fault } from "../core/fault.ts";
import type { Json } from "../core/json.ts";
import { MOST_REPLY_BYTES, replyTooLarge } from "./whole.ts";

/** Vectors of embeddings: shaped, checked and written. */

export type EmbeddingPart = Extract<Part, { type: "embedding" }>;

/** A vector within this distance of length 1 is left as it is: its numbers are rounded to float32. */
const UNIT_TOLERANCE = 1e-5;
const BYTES_PER_FLOAT = 4;

/** More numbers than this are too many in every form, and too many for a text in memory; a number takes 8 to 24 bytes. */
const MOST_NUMBERS = MOST_REPLY_BYTES / 8;

/**
 * The vectors of a reply as the request wants them, checked: one for each input, of numbers only. Throws
 * `backend_lost`, and `invalid_request` when they are too many to be told.
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

export function isVector(value: Json | undefined): value is number[] {
  return Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "number");
}

/** The vector cut and normalised as asked; the same one when nothing has to change. */
export function shapeVector(
  vector: readonly number[],
  { dimensions, normalise }: Pick<EmbedRequest, "dimensions" | "normalise">,
): readonly number[] {
  if (dimensions !== undefined && dimensions < vector.length) return unit(vector.slice(0, dimensions));
  return normalise ? unit(vector) : vector;
}

/** The vector with length 1; one of zeros has no direction and stays. */
function unit(vector: readonly number[]): readonly number[] {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  if (length === 0 || Math.abs(length - 1) < UNIT_TOLERANCE) return vector;
  return vector.map((value) => value / length);
}

/** OpenAI's compact form: float32, little-endian, in base64. */
export function encodeVector(vector: readonly number[]): string {
  const bytes = Buffer.allocUnsafe(vector.length * BYTES_PER_FLOAT);
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * BYTES_PER_FLOAT);
  return bytes.toString("base64");
}

/** Characters that {@link encodeVector} takes for a vector. */
export function encodedLength(vector: readonly number[]): number {
  return Math.ceil((vector.length * BYTES_PER_FLOAT) / 3) * 4;
}

/** The numbers of {@link encodeVector}'s form. Throws `backend_lost` when the length is not that of floats. */
export function decodeVector(base64: string): number[] {
  const bytes = Buffer.from(base64, "base64");
  if (bytes.length === 0 || bytes.length % BYTES_PER_FLOAT !== 0) {
    throw new Fault("backend_lost", "the backend's reply has a broken vector");
  }
  const numbers: number[] = [];
  for (let at = 0; at < bytes.length; at += BYTES_PER_FLOAT) numbers.push(bytes.readFloatLE(at));
  return numbers;
}
