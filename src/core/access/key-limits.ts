/** Bounds of a key or of a tenant. A bound that is absent does not apply. */
export interface KeyLimits {
  /** Requests per minute. */
  readonly rpm?: number;
  /** Requests at once above the rate; absent: a sixth of `rpm`, at least 1. */
  readonly rpmBurst?: number;
  /** Input tokens per minute. */
  readonly itpm?: number;
  /** Input tokens at once above the rate; absent: a sixth of `itpm`, at least 1. */
  readonly itpmBurst?: number;
  /** Output tokens per minute. */
  readonly otpm?: number;
  /** Output tokens at once above the rate; absent: a sixth of `otpm`, at least 1. */
  readonly otpmBurst?: number;
  /** Open requests in the whole fleet. */
  readonly maxOpen?: number;
  /** Running requests of one model in the whole fleet. */
  readonly maxRunning?: number;
  /** Tokens of a day (UTC), input and output together. */
  readonly budgetDay?: number;
  /** Tokens of a month (UTC), input and output together. */
  readonly budgetMonth?: number;
  /** `hard` refuses requests beyond a budget, `warn` serves them with a warning; absent: `hard`. */
  readonly budget?: "hard" | "warn";
}

/** Rates that are bounded, each per minute. */
export const RATES = ["rpm", "itpm", "otpm"] as const;
export type Rate = (typeof RATES)[number];

/** Whole amounts of a record, with the words that `sgnet keys create --help` and the OpenAPI document use. */
export const AMOUNTS = {
  rpm: "requests per minute",
  rpmBurst: "requests at once above the rate",
  itpm: "input tokens per minute",
  itpmBurst: "input tokens at once above the rate",
  otpm: "output tokens per minute",
  otpmBurst: "output tokens at once above the rate",
  maxOpen: "open requests in the whole fleet",
  maxRunning: "running requests of one model in the whole fleet",
  budgetDay: "tokens per day (UTC)",
  budgetMonth: "tokens per month (UTC)",
} as const;
export type Amount = keyof typeof AMOUNTS;

/** Most of any amount: sums of such numbers stay exact. */
export const MOST_AMOUNT = 1e12;

/** Units at once of a rate, as the record or the default says. */
export function burstOf(limits: KeyLimits, rate: Rate): number {
  const perMinute = limits[rate] ?? 0;
  return limits[`${rate}Burst`] ?? Math.max(1, Math.floor(perMinute / 6));
}
