import type { SequenceEvaluateOptions, Token } from "node-llama-cpp";
import type { Sampling } from "../../core/chat.ts";

/** Values for absent fields of a request: the defaults that Ollama documents. */
const DEFAULTS = {
  temperature: 0.8,
  topP: 0.9,
  topK: 40,
  minP: 0,
  repeatPenalty: 1.1,
  repeatLastN: 64,
} as const;

const SEEDS = 2 ** 32;
/** Most tokens that the repeat penalty covers. Ollama's -1 covers all tokens; more than these make no difference. */
const MAX_LOOK_BACK = 4096;

export interface SamplerOptions {
  readonly sampling: Sampling;
  /**
   * The tokens generated so far; the list grows while the sampler is in use. Only these are penalised, not the prompt.
   */
  readonly generated: readonly Token[];
  /** A random number, 0 <= x < 1, for the seed of a request without one. */
  readonly random: () => number;
}

/**
 * The options of the native sampler. Temperature 0 is greedy. `typicalP` has no counterpart and is ignored, as in newer
 * versions of Ollama.
 */
export function samplerOf({ sampling, generated, random }: SamplerOptions): SequenceEvaluateOptions {
  const lookBack = lookBackOf(sampling.repeatLastN ?? DEFAULTS.repeatLastN);
  return {
    temperature: Math.max(0, sampling.temperature ?? DEFAULTS.temperature),
    topP: between0And1(sampling.topP ?? DEFAULTS.topP),
    minP: between0And1(sampling.minP ?? DEFAULTS.minP),
    topK: Math.max(0, Math.trunc(sampling.topK ?? DEFAULTS.topK)),
    seed: seedOf(sampling.seed, random),
    repeatPenalty: {
      punishTokens: () => (lookBack === 0 ? [] : generated.slice(-lookBack)),
      maxPunishTokens: lookBack,
      penalty: sampling.repeatPenalty ?? DEFAULTS.repeatPenalty,
      frequencyPenalty: sampling.frequencyPenalty ?? 0,
      presencePenalty: sampling.presencePenalty ?? 0,
    },
  };
}

/** The seed. Ollama's -1 means a new random seed, like a missing one. */
function seedOf(seed: number | undefined, random: () => number): number {
  return seed === undefined || seed < 0 ? Math.floor(random() * SEEDS) : Math.trunc(seed) % SEEDS;
}

function lookBackOf(tokens: number): number {
  return tokens < 0 ? MAX_LOOK_BACK : Math.min(Math.trunc(tokens), MAX_LOOK_BACK);
}

function between0And1(value: number): number {
  return Math.min(1, Math.max(0, value));
}
