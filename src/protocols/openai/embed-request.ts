import type { EmbedInput, EmbedRequest } from "../../core/chat.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import { definedFields, invalidRequest, numberField, objectField, textField } from "../fields.ts";
import type { Translation } from "./chat-request.ts";
import { readKeepAliveExtension, readOptionsExtension, unknownFields } from "./sampling.ts";

/** The encoding of vectors. */
export type Encoding = "float" | "base64";

/** An embeddings body in neutral form. */
interface ReadEmbeddings extends Translation<EmbedRequest> {
  readonly encoding: Encoding;
}

const KNOWN = new Set(["model", "input", "encoding_format", "dimensions", "keep_alive", "options"]);

/** Reads the body of POST /v1/embeddings. Throws `invalid_request` in Ollama's words. */
export function readOpenaiEmbeddings(body: JsonObject): ReadEmbeddings {
  const encoding = readEncoding(body);
  const inputs = readInputs(body["input"] ?? undefined);
  const { runner } = readOptionsExtension(objectField(body, "options"));
  const fields = definedFields({
    dimensions: readDimensions(body),
    keepAlive: readKeepAliveExtension(body),
    runner,
    extra: unknownFields(body, KNOWN),
  });
  return { request: { kind: "embed", inputs, normalise: true, ...fields }, obstacle: undefined, encoding };
}

/** The encoding of a body that {@link readOpenaiEmbeddings} accepts, case-insensitive. Throws for an unknown one. */
export function readEncoding(body: JsonObject): Encoding {
  const asked = textField(body, "encoding_format") ?? "float";
  const encoding = asked.toLowerCase();
  if (encoding === "float" || encoding === "base64") return encoding;
  throw invalidRequest(
    `Invalid value for 'encoding_format' = ${asked}. Supported values: ['float', 'base64'].`,
  );
}

function readInputs(input: Json | undefined): readonly EmbedInput[] {
  if (input === undefined || (Array.isArray(input) && input.length === 0))
    throw invalidRequest("invalid input");
  return checkInputs(typeof input === "string" ? [input] : input, () => invalidRequest("invalid input type"));
}

function readDimensions(body: JsonObject): number | undefined {
  const dimensions = numberField(body, "dimensions");
  if (dimensions === undefined || (Number.isInteger(dimensions) && dimensions > 0)) return dimensions;
  throw invalidRequest("dimensions must be a whole number above 0");
}

/**
 * Checks the value of a prompt or an input: a list of texts, of token lists, or of token ids. Throws `fault` for
 * anything else, also for an empty list.
 */
export function checkInputs(list: Json, fault: () => Error): readonly EmbedInput[] {
  if (!Array.isArray(list) || list.length === 0) throw fault();
  if (list.every((item) => typeof item === "string")) return list;
  if (isTokens(list)) return [list];
  if (list.every(isTokens)) return list;
  throw fault();
}

function isTokens(value: Json): value is number[] {
  return Array.isArray(value) && value.length > 0 && value.every(isToken);
}

function isToken(value: Json): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
