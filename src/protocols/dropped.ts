import type { ChatRequest, EmbedRequest, GenerateRequest, Sampling } from "../core/chat.ts";
import { isObject, type Json, type JsonObject } from "../core/json.ts";

/**
 * What a translation leaves out, by the client's own names: a client is told, since nothing may be lost in silence.
 * Options of Ollama go by their bare names, fields of messages as `messages.name`.
 */

/** What a backend takes of the fields that every request may have. */
export interface Reach {
  readonly sampling: ReadonlySet<string>;
  /** Names of the model runner's options; absent = all. */
  readonly runner?: ReadonlySet<string>;
  readonly keepAlive: boolean;
  /** Fields without a neutral form that are sent along and understood. */
  readonly extra: ReadonlySet<string>;
}

/** About accounts, bookkeeping and caches of another vendor's service: they say nothing about the answer. */
const HINTS: ReadonlySet<string> = new Set([
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

/** Ollama's code words for what leaving the option out means: no limit, any seed. */
const CODE_WORDS: ReadonlySet<string> = new Set(["num_predict", "seed"]);

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

/** The fields of a body that say something about the answer, of those it has: null, {} and [] say nothing. */
export function telling(fields: JsonObject | undefined): string[] {
  return Object.entries(fields ?? {}).flatMap(([name, value]) => {
    return HINTS.has(name) || isNothing(value) ? [] : [name];
  });
}

function isNothing(value: Json | undefined): boolean {
  if (value === null || value === undefined) return true;
  return (isObject(value) || Array.isArray(value)) && Object.keys(value).length === 0;
}

/** The fields which all requests may have and this backend does not take. */
export function droppedCommon(
  request: ChatRequest | GenerateRequest | EmbedRequest,
  reach: Reach,
): readonly string[] {
  const { runner } = reach;
  const options = runner === undefined ? [] : telling(request.runner);
  return [
    ...(request.kind === "embed" ? [] : droppedSampling(request.sampling, reach)),
    ...options.filter((name) => !CODE_WORDS.has(name) && runner?.has(name) !== true),
    ...(request.keepAlive === undefined || reach.keepAlive ? [] : ["keep_alive"]),
    ...telling(request.extra).filter((name) => !reach.extra.has(name)),
    ...(request.unread ?? []),
  ];
}

function droppedSampling(sampling: Sampling, reach: Reach): string[] {
  return SAMPLING_NAMES.flatMap(([key, name]) => {
    return sampling[key] === undefined || reach.sampling.has(key) ? [] : [name];
  });
}

/** A field of messages, when one of them has it. */
export function droppedOfMessages(request: ChatRequest, field: "name" | "thinking"): readonly string[] {
  return request.messages.some((message) => message[field] !== undefined) ? [`messages.${field}`] : [];
}

/** Returns the description of a schema as dropped, where only the schema itself binds the answer. */
export function droppedOfFormat({ format }: ChatRequest | GenerateRequest): readonly string[] {
  return format?.type === "schema" && format.description !== undefined ? ["format.description"] : [];
}

/** The wish to think, by its name in the dialects that have it as a plain wish. */
export function droppedThink(request: ChatRequest | GenerateRequest): readonly string[] {
  if (request.think === undefined) return [];
  return [request.thinkIfAble === true ? "thinking" : "think"];
}

/** The most names that are told, and the most characters of one: clients make up both. */
const MOST_NAMES = 32;
const MOST_CHARACTERS = 64;

/** The names as they are told: each once, few and short, and of characters that any header may have. */
export function toldNames(names: readonly string[]): readonly string[] {
  const told = names.map((name) => name.slice(0, MOST_CHARACTERS).replace(/[^\w.-]/g, "_"));
  return [...new Set(told)].slice(0, MOST_NAMES);
}
