/** Clocks and randomness, injected so that pure code stays pure and tests control time. */
export interface Ambient {
  /** Wall clock, ms since 1970, for values that leave the process. */
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
