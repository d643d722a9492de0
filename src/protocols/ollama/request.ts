import type {
  ChatRequest,
  Format,
  GenerateRequest,
  LoadRequest,
  NeutralRequest,
  Think,
} from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { modelNameProblem } from "../../core/model.ts";
import type { Endpoint } from "../../core/task.ts";
import type { RequestHead } from "../codec.ts";
import { modelNotFound } from "./faults.ts";
import { BodyFields, invalidRequest, withoutUndefined } from "../fields.ts";
import { readBase64Image } from "./images.ts";
import { isImmediateUnload, readKeepAlive } from "./keep-alive.ts";
import { readOllamaMessages, readOllamaTools } from "./messages.ts";
import { readOptions } from "./options.ts";

const COMMON = ["model", "stream", "format", "keep_alive", "options", "think", "logprobs", "top_logprobs"];
const CHAT_FIELDS = new Set([...COMMON, "messages", "tools"]);
const GENERATE_ONLY = ["prompt", "suffix", "system", "template", "context", "raw", "images"];
const GENERATE_FIELDS = new Set([...COMMON, ...GENERATE_ONLY]);

/** The common fields of chat and generate requests. */
type Shared = Pick<
  ChatRequest,
  "sampling" | "runner" | "format" | "think" | "logprobs" | "keepAlive" | "extra"
>;

/** The names of Ollama's Go structs, which its errors mention. */
const STRUCTS: ReadonlyMap<Endpoint, string> = new Map<Endpoint, string>([
  ["ollama-chat", "ChatRequest"],
  ["ollama-generate", "GenerateRequest"],
  ["ollama-embed", "EmbedRequest"],
  ["ollama-embeddings", "EmbeddingRequest"],
]);
/** Endpoints whose replies are never streamed. */
const VECTOR_ENDPOINTS: ReadonlySet<Endpoint> = new Set<Endpoint>(["ollama-embed", "ollama-embeddings"]);
const NEEDS_MODEL: ReadonlySet<Endpoint> = new Set<Endpoint>(["ollama-chat", "ollama-embeddings"]);

/** Reads and checks the model and the stream flag of a body. */
export function readRequestHead(body: JsonObject, endpoint: Endpoint): RequestHead {
  const fields = new BodyFields(body, STRUCTS.get(endpoint) ?? "GenerateRequest");
  const model = fields.text("model");
  const stream = !VECTOR_ENDPOINTS.has(endpoint) && (fields.flag("stream") ?? true);
  if (model === "") {
    // Ollama returns 400 at some endpoints and 404 at the others.
    if (NEEDS_MODEL.has(endpoint)) throw new Fault("model_required", "model is required");
    throw modelNotFound(model, "ollama-generate");
  }
  if (modelNameProblem(model) !== undefined) throw new Fault("model_name_invalid", "invalid model name");
  return { model, stream };
}

/** Reads a body of `POST /api/chat`. Throws `invalid_request`. */
export function readOllamaChat(body: JsonObject): NeutralRequest {
  const fields = new BodyFields(body, "ChatRequest");
  const messages = readOllamaMessages(fields);
  const tools = readOllamaTools(fields);
  const shared = readShared(fields, CHAT_FIELDS);
  if (messages.length === 0) return readLoad(shared);
  return withoutUndefined<ChatRequest>({ kind: "chat", messages, tools, ...shared });
}

/** Reads a body of `POST /api/generate`. Throws `invalid_request`. */
export function readGenerate(body: JsonObject): NeutralRequest {
  const fields = new BodyFields(body, "GenerateRequest");
  const prompt = fields.text("prompt");
  const system = fields.text("system") || undefined;
  const template = fields.text("template") || undefined;
  const tokens = fields.integers("context");
  const context = tokens.length === 0 ? undefined : tokens;
  const raw = fields.flag("raw") ?? false;
  if (raw && (system !== undefined || template !== undefined || context !== undefined)) {
    throw invalidRequest("raw mode does not support template, system, or context");
  }
  const suffix = fields.text("suffix") || undefined;
  const images = fields.texts("images").map(readBase64Image);
  const shared = readShared(fields, GENERATE_FIELDS);
  if (prompt === "") return readLoad(shared);
  return withoutUndefined<GenerateRequest>({
    kind: "generate",
    prompt,
    suffix,
    system,
    template,
    context,
    raw,
    images,
    ...shared,
  });
}

/** True for a request that only loads or unloads the model. Its reply is one object, never a stream. */
export function isLoad(body: JsonObject, endpoint: Endpoint): boolean {
  const asked = endpoint === "ollama-chat" ? body["messages"] : body["prompt"];
  return !Array.isArray(asked) ? !asked : asked.length === 0;
}

/** The load or unload that a request without content asks for. */
export function readLoad({
  keepAlive,
}: {
  readonly keepAlive?: Shared["keepAlive"] | undefined;
}): LoadRequest {
  return withoutUndefined<LoadRequest>({ kind: "load", unload: isImmediateUnload(keepAlive), keepAlive });
}

function readShared(fields: BodyFields, known: ReadonlySet<string>): Shared {
  const { sampling, runner } = readOptions(fields.object("options", "map[string]interface {}") ?? {});
  return withoutUndefined<Shared>({
    sampling,
    runner,
    format: readFormat(fields.any("format")),
    think: readThink(fields.any("think")),
    logprobs: readLogprobs(fields),
    keepAlive: readKeepAlive(fields.any("keep_alive")),
    extra: fields.others(known),
  });
}

function readFormat(format: Json | undefined): Format | undefined {
  if (format === undefined || format === "") return undefined;
  if (format === "json") return { type: "json" };
  if (isObject(format)) return { type: "schema", schema: format };
  const text = JSON.stringify(JSON.stringify(format));
  throw invalidRequest(`invalid format: ${text}; expected "json" or a valid JSON Schema object`);
}

const THINK_VALUES = `"high", "medium", "low", "max", true, or false`;

const THINK_LEVELS: ReadonlySet<Json> = new Set<Json>([true, false, "low", "medium", "high", "max"]);

function readThink(think: Json | undefined): Think | undefined {
  if (think === undefined || THINK_LEVELS.has(think)) return think as Think | undefined;
  if (typeof think !== "string") throw invalidRequest(`think must be a boolean or string (${THINK_VALUES})`);
  throw invalidRequest(`invalid think value: ${JSON.stringify(think)} (must be ${THINK_VALUES})`);
}

const MOST_ALTERNATIVES = 20;

function readLogprobs(fields: BodyFields): { readonly top: number } | undefined {
  const top = fields.integer("top_logprobs") ?? 0;
  if (top < 0 || top > MOST_ALTERNATIVES) throw invalidRequest("top_logprobs must be between 0 and 20");
  return fields.flag("logprobs") === true ? { top } : undefined;
}
