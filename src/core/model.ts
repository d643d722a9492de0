/**
 * Model names. Ollama's grammar is `[host/][namespace/]model[:tag]`, matched without case and with
 * defaults; OpenAI backends list ids verbatim. One key stands for all spellings of one model.
 */

const DEFAULT_PREFIXES = ["registry.ollama.ai/library/", "registry.ollama.ai/", "library/"] as const;

/**
 * The key under which a model is queued, listed and looked up: lower case, without Ollama's default host,
 * namespace and tag. `Smollm2`, `smollm2:latest` and `library/smollm2` share one key.
 */
export function modelKey(name: string): string {
  let key = name.toLowerCase();
  const prefix = DEFAULT_PREFIXES.find((candidate) => key.startsWith(candidate));
  if (prefix !== undefined) key = key.slice(prefix.length);
  return key.endsWith(":latest") ? key.slice(0, -":latest".length) : key;
}

/** Longest name taken: Ollama's host (350) + namespace (80) + model (80) + tag (80) with separators. */
export const MAX_NAME: number = 600;
const NAME = /^[A-Za-z0-9_][\w.:@+-]*(?:\/[A-Za-z0-9_][\w.:@+-]*)*$/;

/** True for every name that Ollama could have. */
export function isModelName(name: string): boolean {
  return name.length <= MAX_NAME && NAME.test(name);
}

/** Control characters, line breaks and halves of characters: no log line and no table could show them. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/u;

/** Why a model of this id cannot be served, in words; undefined when it can. Ids may be paths, and have blanks. */
export function whyNotServed(name: string): string | undefined {
  if (name.trim() !== name || name === "") return "it is empty, or begins or ends with a blank";
  if (name.length > MAX_NAME) return `it is longer than ${MAX_NAME} characters`;
  return UNPRINTABLE.test(name) ? "it has characters that cannot be shown" : undefined;
}

/** A model in a backend's memory. */
export interface ModelLoad {
  /** Bytes in all, and of these in the memory of graphics cards. */
  readonly size: number;
  readonly sizeVram: number;
  /** Ms since 1970; undefined when it stays. */
  readonly expiresAt: number | undefined;
  /** Tokens it was loaded with; 0 when unknown. */
  readonly contextLength: number;
}

/** What is known about a model on one backend; carried in a worker's announcement. */
export interface ModelCard {
  /** See {@link modelKey}. */
  readonly key: string;
  /** The backend's own id: what it must be asked for. */
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly modifiedAt: number;
  readonly size: number;
  /** 64 hex digits. */
  readonly digest: string;
  readonly format: string;
  readonly family: string;
  readonly parameterSize: string;
  readonly quantization: string;
  /** Tokens; 0 when unknown. */
  readonly contextLength: number;
  /** Numbers in a vector of this model; absent when unknown. */
  readonly embeddingLength?: number;
  readonly capabilities: readonly string[];
  readonly ownedBy: string;
  /** Its abilities: the endpoints that it has beyond those of every model, see ability.ts. Absent = none. */
  readonly endpoints?: readonly string[];
  /** True when the model is loaded and answers without a load. */
  readonly resident: boolean;
  /** True when another server answers for this one: it takes no memory here. Absent = false. */
  readonly remote?: boolean;
  /** Only of a resident model, where the backend tells. */
  readonly load?: ModelLoad;
}
