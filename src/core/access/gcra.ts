/**
 * The generic cell rate algorithm: one time per limit, at which its bucket would be full again. Its answers are
 * exact, and nothing has to run for a bucket to fill.
 */
export interface Bucket {
  /** Ms between two units. */
  readonly everyMs: number;
  /** Units at once. */
  readonly burst: number;
}

export function bucketOf(perMinute: number, burst: number): Bucket {
  return { everyMs: 60_000 / perMinute, burst };
}

export interface Draw {
  /** Units that may be used, 0 to `want`. */
  readonly granted: number;
  /** The bucket's time from now on, ms. */
  readonly fullAt: number;
  /** Ms until one more unit can be had; 0 when it can be had now. */
  readonly waitMs: number;
}

/**
 * Takes up to `want` units.
 * @param fullAt the bucket's time, ms; 0 for a new one
 * @param now ms by the same clock
 * @param want units; below 0 gives some back
 */
export function takeUnits({ everyMs, burst }: Bucket, fullAt: number, now: number, want: number): Draw {
  const start = Math.max(fullAt, now);
  const room = Math.floor((now + burst * everyMs - start) / everyMs + 1e-9);
  const granted = want < 0 ? want : Math.max(0, Math.min(want, room));
  const next = Math.max(now, start + granted * everyMs);
  return { granted, fullAt: next, waitMs: Math.max(0, next + everyMs - (now + burst * everyMs)) };
}
