import type { Json, JsonObject } from "./json.ts";
import type { Timings, Usage } from "./usage.ts";

/**
 * The neutral request and reply between dialects. A server face reads a client's body into a request and
 * writes parts as the client's reply; a client face writes a request for a backend and reads parts from it.
 */

export type ContentPart =
  | { readonly type: "text"; readonly text: string }
  /** Base64 without a data-URL prefix. */
  | { readonly type: "image"; readonly mime: string; readonly base64: string; readonly detail?: string }
  /** A remote image: never fetched by the gateway, passed to backends that fetch themselves. */
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
  /** On a tool result: the call it answers, by id and by name. */
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
      /** Whether the schema must be kept to the letter; absent = the backend's habit. */
      readonly strict?: boolean;
    };

/** Sampling and length options common to the dialects; absent = the backend's default. */
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
  /** How many answers are wanted, to each prompt where there are several: 2 to 16; absent = 1. */
  readonly choices?: number;
  readonly format?: Format;
  readonly think?: Think;
  /** `think` is a wish: a model that cannot think answers without. */
  readonly thinkIfAble?: true;
  /** Present when log probabilities are asked for; `top` alternatives per token, 0 to 20. */
  readonly logprobs?: { readonly top: number };
  /** Ollama's keep_alive as sent: seconds or a Go duration. */
  readonly keepAlive?: number | string;
  /** Ollama options that only a model runner understands (num_ctx, num_gpu, …), as sent. */
  readonly runner?: JsonObject;
  /** Fields this version does not know, as sent: passed on where client and backend share the dialect. */
  readonly extra?: JsonObject;
  /** Names of the client's fields that say something about the answer and have no form here. */
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
  /** Prompts beside the first, each answered by itself: at most 16 answers in all. Absent = none. */
  readonly morePrompts?: readonly string[];
  readonly suffix?: string;
  readonly system?: string;
  readonly template?: string;
  readonly context?: readonly number[];
  /** The prompt goes to the model as it is, without a template. */
  readonly raw: boolean;
  readonly images: readonly ContentPart[];
}

/** An Ollama request with nothing to answer: loads the model, or unloads it when keepAlive is 0. */
export interface LoadRequest {
  readonly kind: "load";
  readonly unload: boolean;
  readonly keepAlive?: number | string;
}

/** Texts to be turned into vectors: one vector per input, in order. */
export interface EmbedRequest {
  readonly kind: "embed";
  /** Texts, or texts that the client has turned into token ids itself. At least one. */
  readonly inputs: readonly EmbedInput[];
  /** True when the vectors are to have length 1; else they stay as the model makes them. */
  readonly normalise: boolean;
  /** Length of the vectors: longer ones are cut, and then have length 1. Absent = the model's own. */
  readonly dimensions?: number;
  /** False makes an input beyond the model's context an error, true cuts it; absent = the backend's habit. */
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
   * A tool call, whole or in fragments: the first delta of an index carries id and name, `arguments`
   * fragments join to a JSON object.
   */
  | {
      readonly type: "tool-delta";
      readonly index: number;
      readonly id?: string;
      readonly name?: string;
      readonly arguments: string;
    }
  /** The whole vector of one input, by its place in the request; vectors come in this order. */
  | { readonly type: "embedding"; readonly index: number; readonly vector: readonly number[] }
  | {
      readonly type: "end";
      readonly reason: EndReason;
      /** The stop string that ended the answer, when the backend tells. */
      readonly stopText?: string;
      readonly usage?: Usage;
      readonly timings?: Timings;
      /** Ollama's token context of a generate call. */
      readonly context?: readonly number[];
    };

/** The end of a reply. */
export type End = Extract<Part, { type: "end" }>;

export type { Json };
