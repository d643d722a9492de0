import type { JsonObject } from "./json.ts";
import type { Timings, Usage } from "./usage.ts";

/**
 * The neutral request and reply between dialects. A server codec decodes a client's body into a request and encodes
 * parts as the client's reply. A client codec encodes a request for a backend and decodes its reply into parts.
 */

export type ContentPart =
  | { readonly type: "text"; readonly text: string }
  /** Base64 without a data-URL prefix. */
  | { readonly type: "image"; readonly mime: string; readonly base64: string; readonly detail?: string }
  /** A remote image. The gateway never fetches it; only backends that fetch images get it. */
  | { readonly type: "image-url"; readonly url: string; readonly detail?: string }
  | { readonly type: "audio"; readonly format: string; readonly base64: string };

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** A JSON object as text. */
  readonly arguments: string;
}

export interface Message {
  readonly role: string;
  readonly content: readonly ContentPart[];
  readonly thinking?: string;
  readonly toolCalls?: readonly ToolCall[];
  /** For a tool result: the call that it answers, by id and by name. */
  readonly toolCallId?: string;
  readonly toolName?: string;
  /** Participant name (OpenAI `name`). */
  readonly name?: string;
}

export interface Tool {
  readonly name: string;
  readonly description?: string;
  /** JSON schema of the arguments. */
  readonly parameters?: JsonObject;
  readonly strict?: boolean;
}

export type ToolChoice = "auto" | "none" | "required" | { readonly name: string };

export type Think = boolean | "minimal" | "low" | "medium" | "high" | "max";

export type Format =
  | { readonly type: "json" }
  | {
      readonly type: "schema";
      readonly schema: JsonObject;
      readonly name?: string;
      readonly description?: string;
      /** True when the schema is binding. Absent: the backend's default. */
      readonly strict?: boolean;
    };

/** Sampling and length options common to the dialects. Absent: the backend's default. */
export interface Sampling {
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly minP?: number;
  readonly typicalP?: number;
  readonly seed?: number;
  readonly stop?: readonly string[];
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
  readonly repeatPenalty?: number;
  readonly repeatLastN?: number;
}

interface Common {
  readonly sampling: Sampling;
  /** Answers wanted for each prompt, 2 to 16. Absent: 1. */
  readonly choices?: number;
  readonly format?: Format;
  readonly think?: Think;
  /** True when `think` is optional: a model that cannot think answers without it. */
  readonly thinkIfAble?: true;
  /** Present when log probabilities are wanted, with `top` alternatives per token (0 to 20). */
  readonly logprobs?: { readonly top: number };
  /** Ollama's keep_alive as sent (seconds or a Go duration). */
  readonly keepAlive?: number | string;
  /** Ollama options for the model runner only (num_ctx, num_gpu, …), as sent. */
  readonly runner?: JsonObject;
  /** Unknown fields, as sent. They are passed on when client and backend share the dialect. */
  readonly extra?: JsonObject;
  /** Names of the client's fields that affect the answer and have no neutral form. */
  readonly unread?: readonly string[];
}

export interface ChatRequest extends Common {
  readonly kind: "chat";
  readonly messages: readonly Message[];
  readonly tools?: readonly Tool[];
  readonly toolChoice?: ToolChoice;
  readonly parallelToolCalls?: boolean;
}

export interface GenerateRequest extends Common {
  readonly kind: "generate";
  readonly prompt: string;
  /** Prompts after the first one, each answered separately. At most 16 answers in all. Absent: none. */
  readonly morePrompts?: readonly string[];
  readonly suffix?: string;
  readonly system?: string;
  readonly template?: string;
  readonly context?: readonly number[];
  /** True when the model gets the prompt without a template. */
  readonly raw: boolean;
  readonly images: readonly ContentPart[];
}

/** An Ollama request without a prompt. It loads the model, or unloads it when keepAlive is 0. */
export interface LoadRequest {
  readonly kind: "load";
  readonly unload: boolean;
  readonly keepAlive?: number | string;
}

/** Inputs to embed: one vector for each, in order. */
export interface EmbedRequest {
  readonly kind: "embed";
  /** Texts, or lists of token ids. At least one. */
  readonly inputs: readonly EmbedInput[];
  /** True to scale the vectors to length 1. Else they stay as the model made them. */
  readonly normalise: boolean;
  /** Dimensions of the vectors. Longer vectors are cut and scaled to length 1. Absent: the model's own. */
  readonly dimensions?: number;
  /** True cuts an input beyond the model's context, false makes it an error. Absent: the backend's default. */
  readonly truncate?: boolean;
  readonly keepAlive?: number | string;
  readonly runner?: JsonObject;
  readonly extra?: JsonObject;
  readonly unread?: readonly string[];
}

export type EmbedInput = string | readonly number[];

export type NeutralRequest = ChatRequest | GenerateRequest | LoadRequest | EmbedRequest;

export type EndReason = "stop" | "length" | "tool-calls" | "content-filter" | "load" | "unload";

export interface TokenLogprob {
  readonly token: string;
  readonly logprob: number;
  readonly bytes?: readonly number[] | null;
  readonly top?: readonly TokenLogprob[];
}

/** One step of a reply. A reply is any number of deltas, then exactly one end. */
export type Part =
  | { readonly type: "text-delta"; readonly text: string; readonly logprobs?: readonly TokenLogprob[] }
  | { readonly type: "thinking-delta"; readonly text: string }
  /**
   * A tool call, whole or a fragment. The first fragment of an index carries id and name. The `arguments` of all
   * fragments join to a JSON object.
   */
  | {
      readonly type: "tool-delta";
      readonly index: number;
      readonly id?: string;
      readonly name?: string;
      readonly arguments: string;
    }
  /** The vector of one input, by its index in the request. Vectors come in this order. */
  | { readonly type: "embedding"; readonly index: number; readonly vector: readonly number[] }
  | {
      readonly type: "end";
      readonly reason: EndReason;
      /** The stop string that ended the answer, when the backend reports it. */
      readonly stopText?: string;
      readonly usage?: Usage;
      readonly timings?: Timings;
      /** Ollama's token context of a generate request. */
      readonly context?: readonly number[];
    };

/** The end of a reply. */
export type End = Extract<Part, { type: "end" }>;

/** A tool call of a reply, whole or a fragment. */
export type ToolDelta = Extract<Part, { type: "tool-delta" }>;
