import type { Sampling } from "../../core/chat.ts";

/** The fields for thinking, see `thinkFields` in encode.ts. */
type ThinkForm =
  /** `reasoning_effort` only, without on and off. */
  | "effort"
  /** `chat_template_kwargs.enable_thinking`, and `reasoning_effort` for a level. */
  | "template"
  /** As "template", with the level in the template arguments as well. */
  | "template-effort"
  /** `enable_thinking`, and `reasoning_effort` for a level. */
  | "switch";

/** The features of one kind of OpenAI-compatible backend. */
export interface OpenAIProfile {
  readonly name: string;
  /** Field name of each sampling value. Unlisted values are not sent. */
  readonly sampling: { readonly [Name in keyof Sampling]?: string };
  /** Field names of the supported runner options of Ollama. Other options are set when the backend starts. */
  readonly runner: Readonly<Record<string, string>>;
  readonly think: ThinkForm;
  /** The name of the highest reasoning effort. */
  readonly maxEffort: "max" | "xhigh";
  /** True when `response_format` is enforced, false when it is ignored. */
  readonly format: boolean;
  /** True when `tool_choice` is enforced, false when it is ignored. */
  readonly toolChoice: boolean;
  /** True when /v1/completions exists, which raw prompts need. */
  readonly completions: boolean;
  /** True when Anthropic's /v1/messages/count_tokens exists. */
  readonly countTokens: boolean;
  /** True when /v1/embeddings exists. */
  readonly embeddings: boolean;
  /** Fields that make the backend cut embedding inputs that are too long. Without them it rejects such inputs. */
  readonly truncate: Readonly<Record<string, number>>;
  /** True when /v1/completions supports `response_format`. */
  readonly completionsFormat: boolean;
  /** The endpoint for text between a prompt and a suffix. */
  readonly suffix: "completions" | "infill" | "none";
  /** Least `top_logprobs` for which the backend sends log probabilities. */
  readonly minTopLogprobs: number;
  /** Image types that the backend decodes; undefined: any. */
  readonly images: readonly string[] | undefined;
  /** False when the backend only reads `max_tokens`, not `max_completion_tokens`. */
  readonly maxCompletionTokens: boolean;
  /** False when the backend rejects `stream_options`. Streams then have no token counts. */
  readonly streamOptions: boolean;
  /** True when the backend rejects `developer`, and system messages behind the first message. */
  readonly systemFirst: boolean;
  /** The field of earlier thoughts. */
  readonly thoughts: "reasoning" | "reasoning_content";
}

const COMMON_SAMPLING = {
  maxTokens: "max_tokens",
  temperature: "temperature",
  topP: "top_p",
  seed: "seed",
  stop: "stop",
  presencePenalty: "presence_penalty",
  frequencyPenalty: "frequency_penalty",
} as const;

const GENERIC: OpenAIProfile = {
  name: "openai",
  sampling: COMMON_SAMPLING,
  runner: {},
  think: "effort",
  maxEffort: "xhigh",
  format: true,
  toolChoice: true,
  completions: true,
  countTokens: false,
  embeddings: true,
  truncate: {},
  completionsFormat: false,
  suffix: "completions",
  minTopLogprobs: 0,
  images: undefined,
  maxCompletionTokens: true,
  streamOptions: true,
  systemFirst: false,
  thoughts: "reasoning_content",
};

/**
 * The profiles by backend kind, from the backends' sources (vLLM 0.33, llama.cpp b11434, Exo 1.0.71) and
 * documentation.
 */
export const OPENAI_PROFILES: Readonly<
  Record<"openai" | "vllm" | "llamacpp" | "lmstudio" | "exo", OpenAIProfile>
> = {
  openai: GENERIC,
  vllm: {
    ...GENERIC,
    name: "vllm",
    countTokens: true,
    sampling: { ...COMMON_SAMPLING, topK: "top_k", minP: "min_p", repeatPenalty: "repetition_penalty" },
    think: "template",
    maxEffort: "max",
    truncate: { truncate_prompt_tokens: -1 },
    completionsFormat: true,
    thoughts: "reasoning",
  },
  llamacpp: {
    ...GENERIC,
    name: "llamacpp",
    countTokens: true,
    sampling: {
      ...COMMON_SAMPLING,
      topK: "top_k",
      minP: "min_p",
      typicalP: "typical_p",
      repeatPenalty: "repeat_penalty",
      repeatLastN: "repeat_last_n",
    },
    runner: {
      num_keep: "n_keep",
      mirostat: "mirostat",
      mirostat_tau: "mirostat_tau",
      mirostat_eta: "mirostat_eta",
    },
    think: "template-effort",
    maxEffort: "max",
    suffix: "infill",
    minTopLogprobs: 1,
    images: ["image/png", "image/jpeg", "image/gif", "image/bmp"],
  },
  lmstudio: {
    ...GENERIC,
    name: "lmstudio",
    sampling: { ...COMMON_SAMPLING, topK: "top_k", repeatPenalty: "repeat_penalty" },
    suffix: "none",
  },
  exo: {
    ...GENERIC,
    name: "exo",
    sampling: {
      ...COMMON_SAMPLING,
      topK: "top_k",
      minP: "min_p",
      repeatPenalty: "repetition_penalty",
      repeatLastN: "repetition_context_size",
    },
    think: "switch",
    format: false,
    toolChoice: false,
    completions: false,
    embeddings: false,
    suffix: "none",
    maxCompletionTokens: false,
  },
};
