import type { ManagementEndpoint } from "./management-endpoint.ts";
import type { KeyNames } from "./access/key-names.ts";
import type { AbilityEndpoint } from "./ability.ts";
import type { PhaseLimits, TimeoutPhase } from "./timeouts.ts";

/** An endpoint that takes tasks. The name is used in metrics and logs. */
export type Endpoint =
  | "ollama-generate"
  | "ollama-chat"
  | "ollama-embed"
  | "ollama-embeddings"
  | "openai-chat"
  | "openai-completion"
  | "openai-embeddings"
  | "openai-responses"
  | "anthropic-messages"
  | "anthropic-count-tokens"
  | AbilityEndpoint
  | ManagementEndpoint;

/** The API family of a client or a backend: its shapes, errors and stream format. */
export type Dialect = "ollama" | "openai" | "anthropic";

/** One request on its way through Redis. It is immutable and the same for all attempts. */
export interface Task extends KeyNames {
  /** `<tag>.<n>`: the tag names the gateway incarnation that owns the reply keys and the channel. */
  readonly id: string;
  readonly endpoint: Endpoint;
  /** The model as the client wrote it, which replies echo. For a management request about a blob: its digest. */
  readonly model: string;
  /** True when the client wants the reply as a stream. */
  readonly stream: boolean;
  /** Wall clock, ms since 1970, when the gateway accepted the task. */
  readonly createdAt: number;
  /** Wall clock, ms since 1970. After it the client no longer waits. */
  readonly deadline: number;
  /** The id shown to the client and in logs. */
  readonly requestId: string;
  /** W3C traceparent, empty when there is none. */
  readonly trace: string;
  /** The client's body, byte for byte. For a management request: the body for its server. */
  readonly body: Buffer;
  /** Absent: only the deadline counts, as for management requests. */
  readonly limits?: PhaseLimits;
  /** Phases with a timeout of the client that is shorter than the fleet's. Absent: none. */
  readonly own?: readonly TimeoutPhase[] | undefined;
  /** A short digest of the client's key or address, equal at all gateways. Absent: unknown. */
  readonly client?: string | undefined;
  /** True for a request with an admin key beside other keys: it may unload its model. Absent: false. */
  readonly admin?: boolean;
  /** The requested path of an endpoint with several. Absent: the first one. */
  readonly path?: string | undefined;
  /** The content type of a body that is not JSON, with its boundary. Absent: JSON. */
  readonly contentType?: string | undefined;
  /** The id of the client's key. It stays at the gateway. */
  readonly keyId?: string | undefined;
  /** Offset of the model's name in a form (bytes). Absent: the form names none, or the body is JSON. */
  readonly modelAt?: number | undefined;
}

/** The dialect of an endpoint, which is the prefix of its name. */
export function dialectOf(endpoint: Endpoint): Dialect {
  if (endpoint.startsWith("ollama-")) return "ollama";
  return endpoint.startsWith("openai-") ? "openai" : "anthropic";
}

/** The tag of the gateway that accepted a task. It is the hash tag of all reply keys of that gateway. */
export function tagOf(taskId: string): string {
  const dot = taskId.lastIndexOf(".");
  return dot < 0 ? taskId : taskId.slice(0, dot);
}
