import type { EmbedRequest, LoadRequest, NeutralRequest } from "../../core/chat.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import { BodyFields, invalidRequest, withoutUndefined } from "../fields.ts";
import { readKeepAlive } from "./keep-alive.ts";
import { readOptions } from "./options.ts";
import { readLoad } from "./request.ts";

const EMBED_FIELDS = new Set(["model", "input", "truncate", "dimensions", "keep_alive", "options"]);
const EMBEDDINGS_FIELDS = new Set(["model", "prompt", "keep_alive", "options"]);

/** Reads a body of `POST /api/embed`. A body without input is a load. Throws `invalid_request`. */
export function readOllamaEmbed(body: JsonObject): NeutralRequest {
  const fields = new BodyFields(body, "EmbedRequest");
  return toRequest(readInputs(fields.any("input")), {
    normalise: true,
    dimensions: readDimensions(fields),
    truncate: fields.flag("truncate") ?? true,
    ...readShared(fields, EMBED_FIELDS),
  });
}

/** Reads a body of the older `POST /api/embeddings`: one text, whose vector is not scaled. Throws `invalid_request`. */
export function readOllamaEmbeddings(body: JsonObject): NeutralRequest {
  const fields = new BodyFields(body, "EmbeddingRequest");
  const prompt = fields.text("prompt");
  return toRequest(prompt === "" ? [] : [prompt], {
    normalise: false,
    truncate: true,
    ...readShared(fields, EMBEDDINGS_FIELDS),
  });
}

function toRequest(
  inputs: readonly string[],
  rest: { readonly [K in keyof Omit<EmbedRequest, "kind" | "inputs">]: EmbedRequest[K] | undefined },
): EmbedRequest | LoadRequest {
  if (inputs.length === 0) return readLoad(rest);
  return withoutUndefined<EmbedRequest>({ kind: "embed", inputs, ...rest });
}

function readInputs(input: Json | undefined): readonly string[] {
  if (input === undefined || input === "") return [];
  const inputs = Array.isArray(input) ? input : [input];
  if (inputs.every((item) => typeof item === "string")) return inputs;
  throw invalidRequest("invalid input type");
}

/** Ollama ignores dimensions below 1. */
function readDimensions(fields: BodyFields): number | undefined {
  const dimensions = fields.integer("dimensions") ?? 0;
  return dimensions > 0 ? dimensions : undefined;
}

function readShared(
  fields: BodyFields,
  known: ReadonlySet<string>,
): { [K in "keepAlive" | "runner" | "extra"]: EmbedRequest[K] | undefined } {
  // An embedding has no sampling, so only runner options count.
  const { runner } = readOptions(fields.object("options", "map[string]interface {}") ?? {});
  const keepAlive = readKeepAlive(fields.any("keep_alive"));
  return { keepAlive, runner, extra: fields.others(known) };
}
