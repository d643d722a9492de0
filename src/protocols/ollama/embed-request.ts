import type { EmbedRequest, LoadRequest, NeutralRequest } from "../../core/chat.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import { Fields, refusal, setOnly } from "../fields.ts";
import { readKeepAlive } from "./keep-alive.ts";
import { readOptions } from "./options.ts";
import { readLoad } from "./request.ts";

const EMBED_FIELDS = new Set(["model", "input", "truncate", "dimensions", "keep_alive", "options"]);
const EMBEDDINGS_FIELDS = new Set(["model", "prompt", "keep_alive", "options"]);

/** The neutral request of a body of `POST /api/embed`: a load when there is no input. Throws `invalid_request`. */
export function readEmbed(body: JsonObject): NeutralRequest {
  const fields = new Fields(body, "EmbedRequest");
  return toRequest(readInputs(fields.any("input")), {
    normalise: true,
    dimensions: readDimensions(fields),
    truncate: fields.flag("truncate") ?? true,
    ...readShared(fields, EMBED_FIELDS),
  });
}

/** The neutral request of a body of the older `POST /api/embeddings`: one text, its vector as the model makes it. */
export function readEmbeddings(body: JsonObject): NeutralRequest {
  const fields = new Fields(body, "EmbeddingRequest");
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
  return setOnly<EmbedRequest>({ kind: "embed", inputs, ...rest });
}

function readInputs(input: Json | undefined): readonly string[] {
  if (input === undefined || input === "") return [];
  const inputs = Array.isArray(input) ? input : [input];
  if (inputs.every((item) => typeof item === "string")) return inputs;
  throw refusal("invalid input type");
}

/** Ollama cuts only to lengths above 0. */
function readDimensions(fields: Fields): number | undefined {
  const dimensions = fields.integer("dimensions") ?? 0;
  return dimensions > 0 ? dimensions : undefined;
}

function readShared(
  fields: Fields,
  known: ReadonlySet<string>,
): { [K in "keepAlive" | "runner" | "extra"]: EmbedRequest[K] | undefined } {
  // An embedding has nothing to sample: only what the model's runner is told counts.
  const { runner } = readOptions(fields.object("options", "map[string]interface {}") ?? {});
  const keepAlive = readKeepAlive(fields.any("keep_alive"));
  return { keepAlive, runner, extra: fields.beyond(known) };
}
