import type { ChatRequest, EmbedRequest, GenerateRequest, Sampling } from "../core/chat.ts";
import { isObject, type Json, type JsonObject } from "../core/json.ts";

/**
 * Names the client's fields that a translation leaves out. The reply reports them, so that nothing is lost silently.
 * Options of Ollama have their bare names, fields of messages are `messages.name`.
 */

/** The fields that a backend supports among those that every request may have. */
export interface BackendSupport {
  readonly sampling: ReadonlySet<string>;
  /** Names of the supported runner options. Absent: all. */
  readonly runner?: ReadonlySet<string>;
  readonly keepAlive: boolean;
  /** Supported fields without a neutral form, which are sent along. */
  readonly extra: ReadonlySet<string>;
}

/** Fields for accounts, accounting and caches of another vendor's service. They do not affect the answer. */
const SERVICE_FIELDS: ReadonlySet<string> = new Set([
  "user",
  "metadata",
  "store",
  "service_tier",
  "safety_identifier",
  "prompt_cache_key",
  "prompt_cache_retention",
  "cache_control",
  "client_metadata",
  "stream_options",
]);

/** Ollama's options with sentinel values for the default: no limit, any seed. */
const SENTINEL_OPTIONS: ReadonlySet<string> = new Set(["num_predict", "seed"]);

const SAMPLING_NAMES: readonly (readonly [keyof Sampling, string])[] = [
  ["maxTokens", "max_tokens"],
  ["temperature", "temperature"],
  ["topP", "top_p"],
  ["topK", "top_k"],
  ["minP", "min_p"],
  ["typicalP", "typical_p"],
  ["seed", "seed"],
  ["stop", "stop"],
  ["presencePenalty", "presence_penalty"],
  ["frequencyPenalty", "frequency_penalty"],
  ["repeatPenalty", "repeat_penalty"],
  ["repeatLastN", "repeat_last_n"],
];

/** The names of fields that affect the answer. Values null, {} and [] do not. */
export function meaningfulFields(fields: JsonObject | undefined): string[] {
  return Object.entries(fields ?? {}).flatMap(([name, value]) => {
    return SERVICE_FIELDS.has(name) || isEmpty(value) ? [] : [name];
  });
}

function isEmpty(value: Json | undefined): boolean {
  if (value === null || value === undefined) return true;
  return (isObject(value) || Array.isArray(value)) && Object.keys(value).length === 0;
}

/** The common fields of a request that a backend does not support. */
export function droppedCommonFields(
  request: ChatRequest | GenerateRequest | EmbedRequest,
  support: BackendSupport,
): readonly string[] {
  const { runner } = support;
  const options = runner === undefined ? [] : meaningfulFields(request.runner);
  return [
    ...(request.kind === "embed" ? [] : droppedSampling(request.sampling, support)),
    ...options.filter((name) => !SENTINEL_OPTIONS.has(name) && runner?.has(name) !== true),
    ...(request.keepAlive === undefined || support.keepAlive ? [] : ["keep_alive"]),
    ...meaningfulFields(request.extra).filter((name) => !support.extra.has(name)),
    ...(request.unread ?? []),
  ];
}

function droppedSampling(sampling: Sampling, support: BackendSupport): string[] {
  return SAMPLING_NAMES.flatMap(([key, name]) => {
    return sampling[key] === undefined || support.sampling.has(key) ? [] : [name];
  });
}

/** Names a field of messages when one of them has it. */
export function droppedMessageField(request: ChatRequest, field: "name" | "thinking"): readonly string[] {
  return request.messages.some((message) => message[field] !== undefined) ? [`messages.${field}`] : [];
}

/** Names the description of a schema, where only the schema itself reaches the model. */
export function droppedFormatFields({ format }: ChatRequest | GenerateRequest): readonly string[] {
  return format?.type === "schema" && format.description !== undefined ? ["format.description"] : [];
}

/** Names the field that asks for thinking, as the dialect calls it. */
export function droppedThinkField(request: ChatRequest | GenerateRequest): readonly string[] {
  if (request.think === undefined) return [];
  return [request.thinkIfAble === true ? "thinking" : "think"];
}

/** Most names reported, and most characters of one. Clients make up both. */
const MOST_NAMES = 32;
const MOST_CHARACTERS = 64;

/** The names to report: unique, few, short, and valid in headers. */
export function reportableNames(names: readonly string[]): readonly string[] {
  const safe = names.map((name) => name.slice(0, MOST_CHARACTERS).replace(/[^\w.-]/g, "_"));
  return [...new Set(safe)].slice(0, MOST_NAMES);
}
