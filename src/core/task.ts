import type { Errand } from "./errand.ts";
import type { AbilityEndpoint } from "./ability.ts";
import type { PhaseLimits, TimeoutPhase } from "./timeouts.ts";

/** What a client asked for, by the endpoint it asked at. Also the name used in metrics and logs. */
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
  | Errand;

/** The API family whose shapes, errors and stream form a client or a backend speaks. */
export type Dialect = "ollama" | "openai" | "anthropic";

/** One request on its way through Redis. It is immutable; attempts differ, the task does not. */
export interface Task {
  /** `<tag>.<n>`: the tag names the gateway incarnation whose reply keys and channel serve this task. */
  readonly id: string;
  readonly endpoint: Endpoint;
  /** The model exactly as the client wrote it: replies echo it. Of an errand for a blob: its digest. */
  readonly model: string;
  /** True when the client wants the reply as a stream. */
  readonly stream: boolean;
  /** Wall clock, ms since 1970, when the gateway accepted the task. */
  readonly createdAt: number;
  /** Wall clock, ms since 1970, after which nobody waits for the answer any more. */
  readonly deadline: number;
  /** The id shown to the client and in logs. */
  readonly requestId: string;
  /** W3C traceparent, empty when there is none. */
  readonly trace: string;
  /** The client's body, byte for byte; of an errand what its server is to be sent. */
  readonly body: Buffer;
  /** Absent: nothing but the deadline counts, as for errands. */
  readonly limits?: PhaseLimits;
  /** Phases in which the client allows less time than the fleet does; absent for none. */
  readonly own?: readonly TimeoutPhase[] | undefined;
  /** A short digest of who asks, by key or address: equal for the same client at all gateways. Absent: not known. */
  readonly client?: string | undefined;
  /** Asked with an admin's key, and to be told from others: it may unload its model. Absent = false. */
  readonly admin?: boolean;
  /** The path that was asked, of an endpoint that has several. Absent: the first one of its endpoint. */
  readonly path?: string | undefined;
  /** The type of the body, where it is not JSON; with its boundary. Absent: JSON. */
  readonly contentType?: string | undefined;
  /** Where in a form the model's name begins, bytes. Absent: it names none, or the body is JSON. */
  readonly modelAt?: number | undefined;
}

/** The dialect an endpoint belongs to: its name begins with it. */
export function dialectOf(endpoint: Endpoint): Dialect {
  if (endpoint.startsWith("ollama-")) return "ollama";
  return endpoint.startsWith("openai-") ? "openai" : "anthropic";
}

/** Tag of the gateway that opened a task; every reply key of that gateway shares it as its hash tag. */
export function tagOf(taskId: string): string {
  const dot = taskId.lastIndexOf(".");
  return dot < 0 ? taskId : taskId.slice(0, dot);
}
