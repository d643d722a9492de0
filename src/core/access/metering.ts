import type { Endpoint } from "../task.ts";

/** Estimated tokens of a request. */
export interface TokenAmounts {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

const NO_TOKENS: TokenAmounts = { inputTokens: 0, outputTokens: 0 };

/** Endpoints that count tokens or turn them into text, without running a model. */
const COUNTING: ReadonlySet<Endpoint> = new Set<Endpoint>([
  "anthropic-count-tokens",
  "openai-tokenize",
  "openai-detokenize",
]);

/** True when an endpoint only counts tokens: its requests count as requests, and use no tokens. */
export function onlyCounts(endpoint: Endpoint): boolean {
  return COUNTING.has(endpoint);
}

/** Returns the tokens that a request is charged before its answer. @param estimate of any request with this body */
export function chargedTokens(endpoint: Endpoint, estimate: () => TokenAmounts): TokenAmounts {
  return onlyCounts(endpoint) ? NO_TOKENS : estimate();
}
