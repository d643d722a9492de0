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
import { whyNotServed } from "../../core/model.ts";
import type { Endpoint } from "../../core/task.ts";
import type { Opening } from "../protocol.ts";
import { modelNotFound } from "./faults.ts";
import { Fields, refusal, setOnly } from "../fields.ts";
import { readImage } from "./images.ts";
import { isZero, readKeepAlive } from "./keep-alive.ts";
import { readMessages, readTools } from "./messages.ts";
import { readOptions } from "./options.ts";

const COMMON = ["model", "stream", "format", "keep_alive", "options", "think", "logprobs", "top_logprobs"];
const CHAT_FIELDS = new Set([...COMMON, "messages", "tools"]);
const GENERATE_ONLY = ["prompt", "suffix", "system", "template", "context", "raw", "images"];
const GENERATE_FIELDS = new Set([...COMMON, ...GENERATE_ONLY]);

/** What chat and generate requests share. */
type Shared = Pick<
  ChatRequest,
  "sampling" | "runner" | "format" | "think" | "logprobs" | "keepAlive" | "extra"
>;

/** The names of Ollama's Go structs, which its errors tell. */
const STRUCTS: ReadonlyMap<Endpoint, string> = new Map<Endpoint, string>([
  ["ollama-chat", "ChatRequest"],
  ["ollama-generate", "GenerateRequest"],
  ["ollama-embed", "EmbedRequest"],
  ["ollama-embeddings", "EmbeddingRequest"],
]);
/** Their replies are never streams. */
const VECTOR_ENDPOINTS: ReadonlySet<Endpoint> = new Set<Endpoint>(["ollama-embed", "ollama-embeddings"]);
const NEEDS_MODEL: ReadonlySet<Endpoint> = new Set<Endpoint>(["ollama-chat", "ollama-embeddings"]);

/** The model and the way of reply of a body, both checked. */
export function readOpening(body: JsonObject, endpoint: Endpoint): Opening {
  const fields = new Fields(body, STRUCTS.get(endpoint) ?? "GenerateRequest");
  const model = fields.text("model");
  const stream = !VECTOR_ENDPOINTS.has(endpoint) && (fields.flag("stream") ?? true);
  if (model === "") {
    // Ollama answers 400 on some endpoints and 404 on the others.
    if (NEEDS_MODEL.has(endpoint)) throw new Fault("model_required", "model is required");
    throw modelNotFound(model, "ollama-generate");
  }
  if (whyNotServed(model) !== undefined) throw new Fault("model_name_invalid", "invalid model name");
  return { model, stream };
}

/** The neutral request of a body of `POST /api/chat`. Throws `invalid_request`. */
export function readChat(body: JsonObject): NeutralRequest {
  const fields = new Fields(body, "ChatRequest");
  const messages = readMessages(fields);
  const tools = readTools(fields);
  const shared = readShared(fields, CHAT_FIELDS);
  if (messages.length === 0) return readLoad(shared);
  return setOnly<ChatRequest>({ kind: "chat", messages, tools, ...shared });
}

/** The neutral request of a body of `POST /api/generate`. Throws `invalid_request`. */
export function readGenerate(body: JsonObject): NeutralRequest {
  const fields = new Fields(body, "GenerateRequest");
  const prompt = fields.text("prompt");
  const system = fields.text("system") || undefined;
  const template = fields.text("template") || undefined;
  const tokens = fields.integers("context");
  const context = tokens.length === 0 ? undefined : tokens;
  const raw = fields.flag("raw") ?? false;
  if (raw && (system !== undefined || template !== undefined || context !== undefined)) {
    throw refusal("raw mode does not support template, system, or context");
  }
  const suffix = fields.text("suffix") || undefined;
  const images = fields.texts("images").map(readImage);
  const shared = readShared(fields, GENERATE_FIELDS);
  if (prompt === "") return readLoad(shared);
  return setOnly<GenerateRequest>({
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

/** True for a request that only loads or unloads the model: it is answered with one object, never a stream. */
export function isLoad(body: JsonObject, endpoint: Endpoint): boolean {
  const asked = endpoint === "ollama-chat" ? body["messages"] : body["prompt"];
  return !Array.isArray(asked) ? !asked : asked.length === 0;
}

/** What a request with nothing to answer asks for. */
export function readLoad({
  keepAlive,
}: {
  readonly keepAlive?: Shared["keepAlive"] | undefined;
}): LoadRequest {
  return setOnly<LoadRequest>({ kind: "load", unload: isZero(keepAlive), keepAlive });
}

function readShared(fields: Fields, known: ReadonlySet<string>): Shared {
  const { sampling, runner } = readOptions(fields.object("options", "map[string]interface {}") ?? {});
  return setOnly<Shared>({
    sampling,
    runner,
    format: readFormat(fields.any("format")),
    think: readThink(fields.any("think")),
    logprobs: readLogprobs(fields),
    keepAlive: readKeepAlive(fields.any("keep_alive")),
    extra: fields.beyond(known),
  });
}

function readFormat(format: Json | undefined): Format | undefined {
  if (format === undefined || format === "") return undefined;
  if (format === "json") return { type: "json" };
  if (isObject(format)) return { type: "schema", schema: format };
  const text = JSON.stringify(JSON.stringify(format));
  throw refusal(`invalid format: ${text}; expected "json" or a valid JSON Schema object`);
}

const THINK_VALUES = `"high", "medium", "low", "max", true, or false`;

const THINK_LEVELS: ReadonlySet<Json> = new Set<Json>([true, false, "low", "medium", "high", "max"]);

function readThink(think: Json | undefined): Think | undefined {
  if (think === undefined || THINK_LEVELS.has(think)) return think as Think | undefined;
  if (typeof think !== "string") throw refusal(`think must be a boolean or string (${THINK_VALUES})`);
  throw refusal(`invalid think value: ${JSON.stringify(think)} (must be ${THINK_VALUES})`);
}

const MOST_ALTERNATIVES = 20;

function readLogprobs(fields: Fields): { readonly top: number } | undefined {
  const top = fields.integer("top_logprobs") ?? 0;
  if (top < 0 || top > MOST_ALTERNATIVES) throw refusal("top_logprobs must be between 0 and 20");
  return fields.flag("logprobs") === true ? { top } : undefined;
}
