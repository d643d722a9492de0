/**
 * Model names. Ollama's grammar is `[host/][namespace/]model[:tag]`, case-insensitive and with defaults. OpenAI
 * backends list ids verbatim. One key stands for all spellings of one model.
 */

const DEFAULT_PREFIXES = ["registry.ollama.ai/library/", "registry.ollama.ai/", "library/"] as const;

/**
 * The key that identifies a model in queues and lists: lower case, without Ollama's default host, namespace and tag.
 * `Smollm2`, `smollm2:latest` and `library/smollm2` share one key.
 */
export function modelKey(name: string): string {
  let key = name.toLowerCase();
  const prefix = DEFAULT_PREFIXES.find((candidate) => key.startsWith(candidate));
  if (prefix !== undefined) key = key.slice(prefix.length);
  return key.endsWith(":latest") ? key.slice(0, -":latest".length) : key;
}

/** The longest accepted name: Ollama's host (350), namespace (80), model (80) and tag (80) with separators. */
export const MAX_NAME: number = 600;
const NAME = /^[A-Za-z0-9_][\w.:@+-]*(?:\/[A-Za-z0-9_][\w.:@+-]*)*$/;

/** True for a name that Ollama could have. */
export function isModelName(name: string): boolean {
  return name.length <= MAX_NAME && NAME.test(name);
}

/** Control characters, line breaks and lone surrogates, which neither log lines nor tables can show. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/u;

/** A reason why no model of a name can be served. */
export type ModelNameProblem = "blank" | "long" | "unprintable";

/** The problem of a model's name. Undefined for a name that can be served; names may be paths and hold spaces. */
export function modelNameProblem(name: string): ModelNameProblem | undefined {
  if (name.trim() !== name || name === "") return "blank";
  if (name.length > MAX_NAME) return "long";
  return UNPRINTABLE.test(name) ? "unprintable" : undefined;
}

/** A model in a backend's memory. */
export interface ModelLoad {
  /** Bytes in all, and the share of them in the memory of graphics cards. */
  readonly size: number;
  readonly sizeVram: number;
  /** Ms since 1970; undefined when the model stays loaded. */
  readonly expiresAt: number | undefined;
  /** Context that it was loaded with (tokens); 0 when unknown. */
  readonly contextLength: number;
}

/** The facts about a model on one backend, carried in a worker's announcement. */
export interface ModelCard {
  /** See {@link modelKey}. */
  readonly key: string;
  /** The backend's own id, which requests to it must use. */
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
  /** Dimensions of the model's vectors. Absent: unknown. */
  readonly embeddingLength?: number;
  readonly capabilities: readonly string[];
  readonly ownedBy: string;
  /** The model's abilities, see ability.ts. Absent: none. */
  readonly endpoints?: readonly string[];
  /** True when the model is in memory. */
  readonly resident: boolean;
  /** True when another server runs the model, so that it takes no memory here. Absent: false. */
  readonly remote?: boolean;
  /** Present for a resident model whose backend reports it. */
  readonly load?: ModelLoad;
}
