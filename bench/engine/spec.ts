/** Describes a simulated engine: its models, its memory, its speed. All times are simulated ms. */

/** A model that the engine has on disk. */
export interface SimModel {
  /** As it is listed, with its tag. */
  readonly name: string;
  /** Bytes of memory while it is loaded, beside its context. */
  readonly bytes: number;
  /** Time of a load. */
  readonly loadMs: number;
  /** Answers at once; more wait for a slot. */
  readonly slots: number;
  /** Prompt tokens per second; one prompt of a model is processed at a time. */
  readonly prefillRate: number;
  /** From one token to the next of an answer that runs alone. */
  readonly tokenMs: number;
  /** Share by which each other answer of the model in parallel lengthens that time. */
  readonly batchCost: number;
  /** Tokens of an answer whose request names no number. */
  readonly tokens: number;
}

/** An engine. */
export interface EngineSpec {
  // 10 fields: the JSON argument of the engine
  readonly models: readonly SimModel[];
  /** Bytes for models and contexts. */
  readonly memory: number;
  /** Most models in memory (OLLAMA_MAX_LOADED_MODELS); 0: as many as fit. */
  readonly maxLoaded: number;
  /** Bytes that one token of context takes in each slot. */
  readonly bytesPerToken: number;
  /** Context of a request that names none. */
  readonly numCtx: number;
  /** Longest a model stays without requests; below 0 for ever. */
  readonly keepAliveMs: number;
  /** Requests that may wait for a load (OLLAMA_MAX_QUEUE). */
  readonly maxQueue: number;
  /**
   * A request for a loaded model goes ahead of those that wait for a load. Ollama does so since 0.11.5 (commit d5a0d8d),
   * and then a model that is never idle is never unloaded; before, each request waited its turn.
   */
  readonly overtaking: boolean;
  /** Tokens per block of the prefix cache, and blocks that it keeps per model. */
  readonly blockTokens: number;
  readonly cacheBlocks: number;
}

/** One model that answers in a quarter of a second, four at once. */
export const USUAL_MODEL: SimModel = {
  name: "sim-a:latest",
  bytes: 4_000_000_000,
  loadMs: 1000,
  slots: 4,
  prefillRate: 2000,
  tokenMs: 25,
  batchCost: 0,
  tokens: 10,
};

/** Room for one such model; the rest as Ollama has it. */
export const USUAL_ENGINE: EngineSpec = {
  models: [USUAL_MODEL],
  memory: 6_000_000_000,
  maxLoaded: 0,
  bytesPerToken: 0,
  numCtx: 4096,
  keepAliveMs: 300_000,
  maxQueue: 512,
  overtaking: false,
  blockTokens: 32,
  cacheBlocks: 4096,
};

/** Models that differ from the usual one in their names alone, `sim-a:latest` and on. */
export function usualModels(count: number, change: Partial<SimModel> = {}): readonly SimModel[] {
  return Array.from({ length: count }, (_, index) => ({
    ...USUAL_MODEL,
    ...change,
    name: `sim-${String.fromCodePoint(97 + index)}:latest`,
  }));
}
