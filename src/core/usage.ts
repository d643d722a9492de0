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

/**
 * The counts of several answers to one prompt: the prompt counts once, as the run that found least of it in a cache
 * had it. Undefined when neither is known.
 */
export function joinUsage(one: Usage | undefined, other: Usage | undefined): Usage | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  const cached = joined(one.cachedTokens, other.cachedTokens, Math.min);
  const reasoning = joined(one.reasoningTokens, other.reasoningTokens, (a, b) => a + b);
  return {
    promptTokens: Math.max(one.promptTokens, other.promptTokens),
    completionTokens: one.completionTokens + other.completionTokens,
    ...(cached === undefined ? {} : { cachedTokens: cached }),
    ...(reasoning === undefined ? {} : { reasoningTokens: reasoning }),
  };
}

function joined(
  one: number | undefined,
  other: number | undefined,
  join: (one: number, other: number) => number,
): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : join(one, other);
}
