/** Token counts of one answer. */
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Prompt tokens served from a cache; part of promptTokens. */
  readonly cachedTokens?: number;
  readonly reasoningTokens?: number;
}

/** Durations of one answer in nanoseconds, as Ollama's API counts them. */
export interface Timings {
  readonly total?: number;
  readonly load?: number;
  readonly promptEval?: number;
  readonly eval?: number;
}
