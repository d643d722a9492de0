/** Time, chance and identity from outside, injected so that pure code stays pure and tests can turn the clock. */
export interface Ambient {
  /** Wall clock, ms since 1970: only for what leaves the process. */
  readonly now: () => number;
  /** Monotonic clock, ms: for durations and timeouts. */
  readonly mono: () => number;
  /** 0 <= x < 1. */
  readonly random: () => number;
}

export const systemAmbient: Ambient = {
  now: () => Date.now(),
  mono: () => performance.now(),
  random: () => Math.random(),
};
