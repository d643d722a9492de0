import type { TokenLogprob } from "../../core/chat.ts";
import { isObject } from "../../core/json.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import type { Timings, Usage } from "../../core/usage.ts";

/** Reads counts, durations and log probabilities of a backend's reply. Malformed values count as absent. */

const NS_PER_MS = 1_000_000;

/** Token counts of a reply object or chunk, from `usage` or from llama.cpp's `timings`. */
export function readUsage(reply: JsonObject): Usage | undefined {
  const usage = reply["usage"];
  if (!isObject(usage)) return timingsUsage(reply["timings"]);
  // Servers with a second API use its names in both.
  const promptTokens = count(usage["prompt_tokens"]) ?? count(usage["input_tokens"]);
  const completionTokens = count(usage["completion_tokens"]) ?? count(usage["output_tokens"]);
  if (promptTokens === undefined && completionTokens === undefined) return undefined;
  const cachedTokens = detail(usage, "prompt_tokens_details", "cached_tokens");
  const reasoningTokens = detail(usage, "completion_tokens_details", "reasoning_tokens");
  return {
    promptTokens: promptTokens ?? 0,
    completionTokens: completionTokens ?? 0,
    ...(cachedTokens === undefined ? {} : { cachedTokens }),
    ...(reasoningTokens === undefined ? {} : { reasoningTokens }),
  };
}

/** Token counts in the formats of these endpoints: OpenAI's two, Jina's total, Cohere's, llama.cpp's own. */
export function surfaceUsage(reply: JsonObject): Usage | undefined {
  const usual = readUsage(reply);
  if (usual !== undefined) return usual;
  const usage = isObject(reply["usage"]) ? reply["usage"] : undefined;
  const meta = isObject(reply["meta"]) ? reply["meta"]["tokens"] : undefined;
  return (
    countsOf(usage?.["input_tokens"], usage?.["output_tokens"]) ??
    countsOf(usage?.["total_tokens"], undefined) ??
    (isObject(meta) ? countsOf(meta["input_tokens"], meta["output_tokens"]) : undefined) ??
    countsOf(reply["tokens_evaluated"], reply["tokens_predicted"])
  );
}

function countsOf(prompt: Json | undefined, completion: Json | undefined): Usage | undefined {
  const promptTokens = finiteCount(prompt);
  const completionTokens = finiteCount(completion);
  if (promptTokens === undefined && completionTokens === undefined) return undefined;
  return { promptTokens: promptTokens ?? 0, completionTokens: completionTokens ?? 0 };
}

function finiteCount(value: Json | undefined): number | undefined {
  return Number.isFinite(value) ? count(value) : undefined;
}

function detail(usage: JsonObject, group: string, name: string): number | undefined {
  const details = usage[group];
  return isObject(details) ? count(details[name]) : undefined;
}

function timingsUsage(timings: Json | undefined): Usage | undefined {
  if (!isObject(timings)) return undefined;
  const cachedTokens = count(timings["cache_n"]) ?? 0;
  const fresh = count(timings["prompt_n"]);
  const completionTokens = count(timings["predicted_n"]);
  if (fresh === undefined || completionTokens === undefined) return undefined;
  return { promptTokens: cachedTokens + fresh, completionTokens, cachedTokens };
}

/** Durations: llama.cpp's `timings`, vLLM's `metrics` (with --enable-per-request-metrics). */
export function readTimings(reply: JsonObject): Timings | undefined {
  const { timings, metrics } = reply as { timings?: Json; metrics?: Json };
  if (isObject(timings)) return spans(timings["prompt_ms"], timings["predicted_ms"]);
  if (isObject(metrics)) return spans(metrics["time_to_first_token_ms"], metrics["generation_time_ms"]);
  return undefined;
}

function spans(prompt: Json | undefined, answer: Json | undefined): Timings | undefined {
  const promptMs = count(prompt);
  const answerMs = count(answer);
  if (promptMs === undefined || answerMs === undefined) return undefined;
  return { promptEval: Math.round(promptMs * NS_PER_MS), eval: Math.round(answerMs * NS_PER_MS) };
}

function count(value: Json | undefined): number | undefined {
  return typeof value === "number" && value >= 0 ? value : undefined;
}

/**
 * Log probabilities of a choice: the chat form `{content:[…]}`, which llama.cpp uses everywhere, or the parallel
 * lists of /v1/completions.
 * @param top requested alternatives; some backends cannot send none
 */
export function readLogprobs(value: Json | undefined, top: number): readonly TokenLogprob[] | undefined {
  if (!isObject(value)) return undefined;
  const content = value["content"];
  const tokens = Array.isArray(content) ? content.map((item) => readToken(item, top)) : readLists(value, top);
  const known = tokens.filter((token) => token !== undefined);
  return known.length === 0 ? undefined : known;
}

function readToken(item: Json, top: number): TokenLogprob | undefined {
  if (!isObject(item)) return undefined;
  const { token, logprob, bytes, top_logprobs: list } = item as Record<string, Json | undefined>;
  if (typeof token !== "string" || typeof logprob !== "number") return undefined;
  const read: TokenLogprob = Array.isArray(bytes)
    ? { token, logprob, bytes: bytes.filter((byte) => typeof byte === "number") }
    : { token, logprob };
  if (top === 0 || !Array.isArray(list)) return read;
  const alternatives = list.slice(0, top).map((other) => readToken(other, 0));
  return { ...read, top: alternatives.filter((other) => other !== undefined) };
}

function readLists(value: JsonObject, top: number): (TokenLogprob | undefined)[] {
  const { tokens, token_logprobs: logprobs, top_logprobs: tops } = value as Record<string, Json | undefined>;
  if (!Array.isArray(tokens) || !Array.isArray(logprobs)) return [];
  return tokens.map((token, index) => {
    const logprob = logprobs[index];
    if (typeof token !== "string" || typeof logprob !== "number") return undefined;
    const others = Array.isArray(tops) ? tops[index] : undefined;
    if (top === 0 || !isObject(others)) return { token, logprob };
    const pairs = Object.entries(others).slice(0, top);
    return {
      token,
      logprob,
      top: pairs.flatMap(([other, chance]) =>
        typeof chance === "number" ? [{ token: other, logprob: chance }] : [],
      ),
    };
  });
}
