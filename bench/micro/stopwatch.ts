/** Times pure functions: many calls per sample, many samples, and the best ones count. */

/** One thing to time. */
export interface Job {
  readonly group: string;
  readonly name: string;
  /** Units of work of one call of `run`, e.g. the tokens of a stream. Times are per unit. */
  readonly units: number;
  readonly run: () => unknown;
}

/** Times in µs per unit. */
export interface Timing {
  readonly group: string;
  readonly name: string;
  readonly median: number;
  readonly min: number;
}

/** Duration of a measurement. */
export interface Patience {
  /** Unmeasured calls first, until code is compiled. */
  readonly warmMs: number;
  readonly sampleMs: number;
  readonly samples: number;
}

/** Where results go, so that no call can be left out as useless. */
const kept: { result: unknown } = { result: undefined };

/** Times one job. */
export function time(job: Job, patience: Patience): Timing {
  const calls = callsIn(job, patience.warmMs);
  const perSample = Math.max(1, Math.round((calls * patience.sampleMs) / patience.warmMs));
  const samples = Array.from({ length: patience.samples }, () => {
    const begin = performance.now();
    for (let call = 0; call < perSample; call += 1) kept.result = job.run();
    return ((performance.now() - begin) * 1000) / (perSample * job.units);
  }).toSorted((a, b) => a - b);
  const [min = 0] = samples;
  return { group: job.group, name: job.name, median: samples[Math.floor(samples.length / 2)] ?? 0, min };
}

/** Calls the job for so long; returns how often. */
function callsIn(job: Job, ms: number): number {
  const until = performance.now() + ms;
  let calls = 0;
  do {
    kept.result = job.run();
    calls += 1;
  } while (performance.now() < until);
  return calls;
}
