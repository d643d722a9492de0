import { toFault } from "../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../core/json.ts";
import type { ModelCard } from "../core/model.ts";
import type { BackendState } from "./backend.ts";
import type { HttpOrigin } from "./http.ts";
import {
  countOf,
  idOf,
  listedModels,
  listMember,
  modelCard,
  objectMember,
  parameterSize,
  textOf,
  textsOf,
} from "./model-card.ts";

/** Inspects any server with OpenAI's /v1/models. Context lengths are read from their common names. */
export async function inspectOpenai(http: HttpOrigin, signal: AbortSignal): Promise<BackendState> {
  return { ...listedModels(await listed(http, signal), openaiCard), slots: undefined };
}

function openaiCard(entry: JsonObject): ModelCard | undefined {
  return modelCard(idOf(entry), {
    modifiedAt: countOf(entry["created"]) * 1000,
    contextLength: countOf(entry["max_model_len"]) || countOf(entry["context_length"]),
    capabilities: ["completion", "tools"],
    ownedBy: textOf(entry["owned_by"]),
    resident: true,
  });
}

/** Inspects vLLM. Its `created` is the time of the request, so it counts as no date. */
export async function inspectVllm(http: HttpOrigin, signal: AbortSignal): Promise<BackendState> {
  const models = listedModels(await listed(http, signal), (entry) => {
    const card = openaiCard(entry);
    return card === undefined ? undefined : { ...card, modifiedAt: 0 };
  });
  return { ...models, slots: undefined };
}

/** Inspects llama.cpp: sizes from /v1/models, slots and abilities from /props. Throws `backend_busy` while it loads. */
export async function inspectLlamacpp(http: HttpOrigin, signal: AbortSignal): Promise<BackendState> {
  const [entries, props] = await Promise.all([listed(http, signal), optional(http, "/props", signal)]);
  const slots = isObject(props) ? countOf(props["total_slots"]) : 0;
  const models = listedModels(entries, (entry) => llamacppCard(entry, props));
  return { ...models, slots: slots > 0 ? slots : undefined };
}

function llamacppCard(entry: JsonObject, props: Json): ModelCard | undefined {
  const meta = objectMember(entry, "meta");
  const status = textOf(objectMember(entry, "status")["value"]);
  const inputs = textsOf(objectMember(entry, "architecture")["input_modalities"]);
  const abilities = objectMember(props, "chat_template_caps");
  const capabilities = ["completion"];
  if (abilities["supports_tools"] === true) capabilities.push("tools");
  if (inputs.includes("image")) capabilities.push("vision");
  return modelCard(idOf(entry), {
    size: countOf(meta["size"]),
    format: "gguf",
    parameterSize: parameterSize(countOf(meta["n_params"])),
    quantization: textOf(meta["ftype"]),
    contextLength: countOf(meta["n_ctx"]),
    capabilities,
    ownedBy: textOf(entry["owned_by"]),
    // Only a router has a status per model.
    resident: status === "" || status === "loaded",
  });
}

/** Inspects LM Studio by its own list, which has more fields than OpenAI's. Servers before 0.3.6 lack it. */
export async function inspectLmstudio(http: HttpOrigin, signal: AbortSignal): Promise<BackendState> {
  const own = await optional(http, "/api/v0/models", signal);
  if (!isObject(own) || !Array.isArray(own["data"])) return inspectOpenai(http, signal);
  return { ...listedModels(listMember(own, "data"), lmstudioCard), slots: undefined };
}

function lmstudioCard(entry: JsonObject): ModelCard | undefined {
  return modelCard(idOf(entry), {
    format: textOf(entry["compatibility_type"]),
    family: textOf(entry["arch"]),
    quantization: textOf(entry["quantization"]),
    contextLength: countOf(entry["loaded_context_length"]) || countOf(entry["max_context_length"]),
    capabilities: lmstudioCapabilities(entry),
    ownedBy: textOf(entry["publisher"]),
    resident: entry["state"] === "loaded",
  });
}

function lmstudioCapabilities(entry: JsonObject): readonly string[] {
  if (entry["type"] === "embeddings") return ["embedding"];
  const capabilities = ["completion"];
  if (textsOf(entry["capabilities"]).includes("tool_use")) capabilities.push("tools");
  if (entry["type"] === "vlm") capabilities.push("vision");
  return capabilities;
}

/** Inspects Exo, which lists every model that it could fetch. Only models with an instance in its state can answer. */
export async function inspectExo(http: HttpOrigin, signal: AbortSignal): Promise<BackendState> {
  const [entries, state] = await Promise.all([listed(http, signal), http.getJson("/state", signal)]);
  const running = new Set(Object.values(objectMember(state, "instances")).map(instanceModel));
  const models = listedModels(entries, (entry) => {
    const card = running.has(idOf(entry)) ? openaiCard(entry) : undefined;
    return card === undefined ? undefined : { ...card, modifiedAt: 0 };
  });
  return { ...models, slots: undefined };
}

/** The model of an instance, which is `{shardAssignments}`, or that wrapped in one member named after its class. */
function instanceModel(instance: Json | undefined): string {
  if (!isObject(instance)) return "";
  const bare = [instance, ...Object.values(instance)].filter(isObject);
  for (const candidate of bare) {
    const camel = textOf(objectMember(candidate, "shardAssignments")["modelId"]);
    const id = camel || textOf(objectMember(candidate, "shard_assignments")["model_id"]);
    if (id !== "") return id;
  }
  return "";
}

async function listed(http: HttpOrigin, signal: AbortSignal): Promise<readonly JsonObject[]> {
  return listMember(await http.getJson("/v1/models", signal), "data");
}

/** A document that some versions lack; then an empty object. */
async function optional(http: HttpOrigin, path: string, signal: AbortSignal): Promise<Json> {
  try {
    return await http.getJson(path, signal);
  } catch (error) {
    if (toFault(error).code === "backend_error") return {};
    throw error;
  }
}
