import type { EmbedInput, EmbedRequest } from "../../core/chat.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import { present, refusal } from "../fields.ts";
import { numberField, objectField, textField } from "./fields.ts";
import { checkInputs } from "./inputs.ts";
import type { Read } from "./request.ts";
import { readKeepAlive, readOptions, rest } from "./sampling.ts";

/** How a client wants to be told vectors. */
export type Encoding = "float" | "base64";

/** An embeddings body in neutral form. */
interface ReadEmbeddings extends Read<EmbedRequest> {
  readonly encoding: Encoding;
}

const KNOWN = new Set(["model", "input", "encoding_format", "dimensions", "keep_alive", "options"]);

/** Reads the body of POST /v1/embeddings. Throws `invalid_request` with Ollama's phrases. */
export function readEmbeddings(body: JsonObject): ReadEmbeddings {
  const encoding = readEncoding(body);
  const inputs = readInputs(body["input"] ?? undefined);
  const { runner } = readOptions(objectField(body, "options"));
  const fields = present({
    dimensions: readDimensions(body),
    keepAlive: readKeepAlive(body),
    runner,
    extra: rest(body, KNOWN),
  });
  return { request: { kind: "embed", inputs, normalise: true, ...fields }, obstacle: undefined, encoding };
}

/** The encoding of a body that {@link readEmbeddings} accepts; case does not count. Throws for an unknown one. */
export function readEncoding(body: JsonObject): Encoding {
  const asked = textField(body, "encoding_format") ?? "float";
  const encoding = asked.toLowerCase();
  if (encoding === "float" || encoding === "base64") return encoding;
  throw refusal(`Invalid value for 'encoding_format' = ${asked}. Supported values: ['float', 'base64'].`);
}

function readInputs(input: Json | undefined): readonly EmbedInput[] {
  if (input === undefined || (Array.isArray(input) && input.length === 0)) throw refusal("invalid input");
  return checkInputs(typeof input === "string" ? [input] : input, () => refusal("invalid input type"));
}

function readDimensions(body: JsonObject): number | undefined {
  const dimensions = numberField(body, "dimensions");
  if (dimensions === undefined || (Number.isInteger(dimensions) && dimensions > 0)) return dimensions;
  throw refusal("dimensions must be a whole number above 0");
}
