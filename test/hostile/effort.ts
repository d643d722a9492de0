import type { TestContext } from "node:test";
import type * as fc from "fast-check";

/**
 * Size of the search for hostile input. A plain run of the tests takes a small sample. `make fuzz` takes a larger one.
 */
const SECONDS = Number(process.env["FUZZ_SECONDS"] ?? 0);
const SEED = process.env["FUZZ_SEED"] ?? "";

/** Longest life of a journey that looks once, ms. */
export const LIMIT_MS: number = 300_000 + SECONDS * 1000;

/**
 * Parameters of a property; `runs` is the size of the sample. The seed is told, whatever becomes of the test:
 * `make fuzz SEED=…` looks at the same inputs again.
 * @param found a seed that found a bug: a plain run looks at it again, instead of at a sample
 */
export function effort(t: TestContext, runs: number, found?: number): fc.Parameters<unknown> {
  const random = Math.trunc(Math.random() * 2 ** 31);
  const own = SECONDS === 0 ? (found ?? random) : random;
  const seed = SEED === "" ? own : Number(SEED);
  t.diagnostic(`seed ${seed}`);
  if (SECONDS === 0) return { seed, numRuns: runs };
  const limit = { interruptAfterTimeLimit: SECONDS * 1000, markInterruptAsFailure: false };
  return { seed, numRuns: 1e9, ...limit };
}
