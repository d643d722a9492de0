import assert from "node:assert/strict";

/**
 * Finds work that grows faster than its input. The measure is the shortest of some runs. A bad result is measured again
 * before it is reported, so that a busy machine does not count. (The CPU time of a thread would be better, but some
 * systems only give it in steps of 5 ms.) The result is the growth of the time per byte with the input.
 */

/** Sizes of the inputs, in shares of the largest. */
const STEPS = [1 / 16, 1 / 4, 1] as const;
const RUNS = 2;
const ATTEMPTS = 30;
const VERY_LONG_MICROS = 1_000_000;
/** Per byte, the largest input may take so many times what a smaller one takes. */
const MOST_GROWTH = 3;
/** Shorter times are not measured well (µs): the smallest input counts as if it took this. */
const FLOOR_MICROS = 200;
/** The extra time that is not judged (µs): large memory comes in pages, which takes some systems long. */
const SLACK_MICROS = 10_000;

export interface Growth {
  /** Named in the failure. */
  readonly name: string;
  /** Bytes of the largest input, about. */
  readonly bytes: number;
  /** Where the engine itself changes its way in between; 16 would be a square. */
  readonly mostGrowth?: number;
  /** The work for an input of about this many bytes. Its preparation is not measured. */
  readonly prepare: (bytes: number) => () => void;
}

interface Point {
  readonly bytes: number;
  readonly micros: number;
}

/** Throws when the work takes more per byte the larger its input is. Returns the µs per KiB of the largest. */
export function assertLinear({ name, bytes, prepare, mostGrowth = MOST_GROWTH }: Growth): number {
  const sizes = STEPS.map((share) => Math.round(bytes * share));
  let points = sizes.map((size): Point => ({ bytes: size, micros: Infinity }));
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    points = points.map((point) => ({
      ...point,
      micros: Math.min(point.micros, leastMicros(prepare, point)),
    }));
    if (isLinear(points, mostGrowth) || points.some(({ micros }) => micros > VERY_LONG_MICROS)) break;
  }
  const told = points
    .map((point) => `${point.bytes} bytes: ${(point.micros / 1000).toFixed(1)} ms`)
    .join(", ");
  assert.ok(isLinear(points, mostGrowth), `${name} grows faster than its input: ${told}`);
  const last = points.at(-1) ?? { bytes: 1, micros: 0 };
  return (1024 * last.micros) / last.bytes;
}

function isLinear(points: readonly Point[], mostGrowth: number): boolean {
  const last = points.at(-1) ?? { bytes: 1, micros: 0 };
  return points.every((point) => {
    const most = mostGrowth * Math.max(point.micros, FLOOR_MICROS) * (last.bytes / point.bytes);
    return last.micros <= most + SLACK_MICROS;
  });
}

/** Measures the least of some runs. Work that takes very long is not run again: it will not become short. */
function leastMicros(prepare: Growth["prepare"], { bytes }: Point): number {
  let least = Infinity;
  for (let run = 0; run < RUNS; run += 1) {
    const work = prepare(bytes);
    const before = performance.now();
    work();
    least = Math.min(least, 1000 * (performance.now() - before));
    if (least > VERY_LONG_MICROS) break;
  }
  return least;
}
