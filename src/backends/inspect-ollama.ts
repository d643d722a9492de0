import type { JsonObject } from "../core/json.ts";
import type { ModelCard, ModelLoad } from "../core/model.ts";
import type { BackendState } from "./backend.ts";
import type { HttpOrigin } from "./http.ts";
import { capabilitiesOf } from "./ollama-abilities.ts";
import {
  countOf,
  idOf,
  listedModels,
  listMember,
  modelCard,
  objectMember,
  sha256,
  textOf,
  textsOf,
} from "./model-card.ts";

/**
 * Reads the models of an Ollama server from /api/tags and the loaded ones from /api/ps. Ollama does not report the
 * number of parallel tasks (OLLAMA_NUM_PARALLEL).
 */
export async function inspectOllama(http: HttpOrigin, signal: AbortSignal): Promise<BackendState> {
  const [tags, running] = await Promise.all([
    http.getJson("/api/tags", signal),
    http.getJson("/api/ps", signal),
  ]);
  const loads = new Map(
    listMember(running, "models").map((entry) => [textOf(entry["name"]), loadOf(entry)] as const),
  );
  const entries = listMember(tags, "models");
  const shown = await capabilitiesOf(http, entries, signal);
  const models = listedModels(entries, (entry) => cardOf(entry, loads, shown));
  return { ...models, slots: undefined };
}

function cardOf(
  entry: JsonObject,
  loads: ReadonlyMap<string, ModelLoad>,
  shown: ReadonlyMap<string, readonly string[]>,
): ModelCard | undefined {
  const name = idOf(entry);
  const details = objectMember(entry, "details");
  const capabilities = textsOf(entry["capabilities"]);
  const load = loads.get(name);
  // Ollama's cloud models use no local memory and need no load.
  const remote = textOf(entry["remote_host"]) !== "";
  const embeddingLength = countOf(details["embedding_length"]);
  return modelCard(name, {
    modifiedAt: timeOf(textOf(entry["modified_at"])),
    size: countOf(entry["size"]),
    digest: digestOf(textOf(entry["digest"]), name),
    format: textOf(details["format"]),
    family: textOf(details["family"]),
    parameterSize: textOf(details["parameter_size"]),
    quantization: textOf(details["quantization_level"]),
    contextLength: countOf(details["context_length"]),
    ...(embeddingLength > 0 ? { embeddingLength } : {}),
    capabilities: capabilities.length > 0 ? capabilities : (shown.get(name) ?? ["completion"]),
    ownedBy: ownerOf(name),
    resident: load !== undefined || remote,
    ...(remote ? { remote } : {}),
    ...(load === undefined ? {} : { load }),
  });
}

function loadOf(entry: JsonObject): ModelLoad {
  return {
    size: countOf(entry["size"]),
    sizeVram: countOf(entry["size_vram"]),
    expiresAt: timeOf(textOf(entry["expires_at"])) || undefined,
    contextLength: countOf(entry["context_length"]),
  };
}

/** Ms since 1970; 0 for text that is no time. */
function timeOf(text: string): number {
  const time = Date.parse(text);
  return Number.isNaN(time) ? 0 : time;
}

function digestOf(text: string, name: string): string {
  const hex = text.replace(/^sha256:/, "");
  return /^[0-9a-f]{64}$/.test(hex) ? hex : sha256(name);
}

/** The namespace of a model name, as Ollama's own /v1/models reports it. */
function ownerOf(name: string): string {
  return name.split("/").at(-2) ?? "library";
}
