/** Requests of clients, and their times. */
import { wordOf } from "../engine/ollama-reply.ts";

/** One request. */
export interface PlannedRequest {
  readonly model: string;
  /** To be generated. */
  readonly tokens: number;
  /** Tokens of the prompt. */
  readonly promptTokens: number;
  /** Options of Ollama that belong to the runner. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** A client that asks again as soon as it is answered. */
export interface ClosedClient {
  readonly kind: "closed";
  /** The next request; undefined: no more. @param index number of the request, from 0 */
  next(index: number): PlannedRequest | undefined;
}

/** Requests that come at their times, whatever becomes of those before. */
export interface TimedArrivals {
  readonly kind: "timed";
  readonly arrivals: readonly { readonly atMs: number; readonly ask: PlannedRequest }[];
}

export type Source = ClosedClient | TimedArrivals;

/** An endless series of numbers from 0 to below 1, the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Clients that ask for one model again and again. */
export function closedClients(count: number, ask: PlannedRequest): readonly ClosedClient[] {
  return Array.from({ length: count }, () => ({ kind: "closed", next: () => ask }));
}

/** Clients each of whose requests is for a model drawn by Zipf's law: the n-th is asked for 1/n times as often. */
export function zipfClients(
  count: number,
  asks: readonly PlannedRequest[],
  seed: number,
): readonly ClosedClient[] {
  return Array.from({ length: count }, (_, index) => {
    const random = seededRandom(seed + index);
    return { kind: "closed", next: () => asks[zipfRank(asks.length, random())] };
  });
}

/** A rank from 0, by a number from 0 to below 1. */
export function zipfRank(ranks: number, share: number): number {
  const weights = Array.from({ length: ranks }, (_, rank) => 1 / (rank + 1));
  let left = share * weights.reduce((sum, weight) => sum + weight, 0);
  const rank = weights.findIndex((weight) => (left -= weight) < 0);
  return rank < 0 ? ranks - 1 : rank;
}

/** One request each `everyMs`, the first after half of it. */
export function steadyArrivals(ask: PlannedRequest, everyMs: number, untilMs: number): TimedArrivals {
  const count = Math.max(1, Math.round(untilMs / everyMs));
  const arrivals = Array.from({ length: count }, (_, index) => ({ atMs: (index + 0.5) * everyMs, ask }));
  return { kind: "timed", arrivals };
}

/** The body of a chat by Ollama's API. @param mark makes its prompt one of its own from the first word on */
export function bodyOf({ model, tokens, promptTokens, options }: PlannedRequest, mark: string): string {
  const words = Math.max(0, Math.round((promptTokens * 4 - mark.length) / wordOf(0).length));
  return JSON.stringify({
    model,
    messages: [{ role: "user", content: `${mark} ${wordOf(0).repeat(words)}` }],
    options: { ...options, num_predict: tokens },
  });
}
