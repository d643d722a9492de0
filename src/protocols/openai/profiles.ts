import type { Sampling } from "../../core/chat.ts";

/** How a backend is told to think: see `thinkFields` in encode.ts. */
export type ThinkForm =
  /** `reasoning_effort` only; plain true and false cannot be said. */
  | "effort"
  /** `chat_template_kwargs.enable_thinking`, and `reasoning_effort` for a level. */
  | "template"
  /** As "template", with the level inside the template arguments too. */
  | "template-effort"
  /** `enable_thinking`, and `reasoning_effort` for a level. */
  | "switch";

/** What one kind of OpenAI-compatible backend understands beyond the common ground. */
export interface OpenAIProfile {
  readonly name: string;
  /** Field name of each sampling value; what is not listed is not sent. */
  readonly sampling: { readonly [Name in keyof Sampling]?: string };
  /** Field name of Ollama's runner options the backend knows; others are set when it starts. */
  readonly runner: Readonly<Record<string, string>>;
  readonly think: ThinkForm;
  /** The name of the highest reasoning effort. */
  readonly maxEffort: "max" | "xhigh";
  /** True when `response_format` binds the answer; false when it is taken and ignored. */
  readonly format: boolean;
  /** True when `tool_choice` binds the answer; false when it is taken and ignored. */
  readonly toolChoice: boolean;
  /** True when /v1/completions exists: a raw prompt needs it. */
  readonly completions: boolean;
  /** True when Anthropic's /v1/messages/count_tokens exists. */
  readonly countTokens: boolean;
  /** True when /v1/embeddings exists. */
  readonly embeddings: boolean;
  /** Fields that make the backend cut inputs for embeddings which are too long; without them it refuses. */
  readonly truncate: Readonly<Record<string, number>>;
  /** True when `response_format` is understood at /v1/completions. */
  readonly completionsFormat: boolean;
  /** Where text between a prompt and a suffix is asked for. */
  readonly suffix: "completions" | "infill" | "none";
  /** Least `top_logprobs` that makes the backend send log probabilities. */
  readonly minTopLogprobs: number;
  /** Image types the backend decodes; undefined = any. */
  readonly images: readonly string[] | undefined;
  /** False when only `max_tokens` limits the answer and `max_completion_tokens` is ignored. */
  readonly maxCompletionTokens: boolean;
  /** False when `stream_options` is refused: then a stream has no token counts. */
  readonly streamOptions: boolean;
  /** True when `developer` is refused, and a system message that is not the first one. */
  readonly systemFirst: boolean;
  /** Under which name earlier thoughts are read. */
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

/** The profiles by backend kind, from the backends' sources (vLLM 0.33, llama.cpp b11434, Exo 1.0.71) and documents. */
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
