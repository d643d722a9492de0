/** Counts the work of an engine since its start. */
export interface EngineCounters {
  /** Started loads, unloads, and unloads by reason: for room, for other options, and by `keep_alive`. */
  loads: number;
  unloads: number;
  evictions: number;
  reloads: number;
  expirations: number;
  /** Loads whose client left before they ended. */
  abortedLoads: number;
  /** Requests that were turned away because too many waited. */
  refused: number;
  requests: number;
  answers: number;
  /** Requests whose client left before the end. */
  aborted: number;
  /** Tokens that were generated for those. */
  wastedTokens: number;
  promptTokens: number;
  cachedTokens: number;
  /** Requests of which the prefix cache had a part. */
  hits: number;
  tokens: number;
  prefillMs: number;
  decodeMs: number;
  /** Most bytes in use at once. */
  mostBytes: number;
}

export function newCounters(): EngineCounters {
  return {
    loads: 0,
    unloads: 0,
    evictions: 0,
    reloads: 0,
    expirations: 0,
    abortedLoads: 0,
    refused: 0,
    requests: 0,
    answers: 0,
    aborted: 0,
    wastedTokens: 0,
    promptTokens: 0,
    cachedTokens: 0,
    hits: 0,
    tokens: 0,
    prefillMs: 0,
    decodeMs: 0,
    mostBytes: 0,
  };
}
