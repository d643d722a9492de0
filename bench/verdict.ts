/** What a run may be judged by on any machine: integrity, and ratios within the run. */
import { offeredTokens } from "./cases.ts";
import type { BenchCase } from "./cases.ts";
import type { Leg, LegName } from "./legs.ts";
import type { BenchOptions } from "./options.ts";
import { errorCount, spread } from "./report.ts";
import type { Sample } from "./report.ts";

/**
 * Share of the floor proxy's requests per second that the gateway must reach in a quick run. Its windows of half a
 * second see code that is not yet compiled: 0.16 to 0.30 were measured; a full run has 0.3 to 0.4. Less than this is
 * a collapse (a lost doorbell, a timer in the way), not noise.
 */
const LEAST_OF_FLOOR = 0.1;
/** Share of the offered tokens per second that any way must deliver in a quick run, which offers little. */
const LEAST_OF_OFFERED = 0.9;

/** CPUs that other work may use while ratios are judged: five processes on two cores need both. */
const MOST_DISTURBANCE = 0.5;

/**
 * All reasons why a run is a failure: lost tokens in any run; for a quick run also missing ways, and poor ratios of
 * cases that had the machine to themselves.
 */
export function complaints(
  options: BenchOptions,
  legs: readonly Leg[],
  samples: readonly Sample[],
): readonly string[] {
  const errors = errorCount(samples);
  const found = errors === 0 ? [] : [`${errors} replies were not whole and in order`];
  if (!options.quick) return found;
  const missing = options.legs.filter((name) => legs.every((leg) => leg.name !== name));
  return [
    ...found,
    ...missing.map((name) => `the ${name} leg is missing`),
    ...options.cases.flatMap((benchCase) => caseComplaints(benchCase, legs, samples)),
  ];
}

function caseComplaints(
  benchCase: BenchCase,
  legs: readonly Leg[],
  samples: readonly Sample[],
): readonly string[] {
  if (disturbance(samples, benchCase) > MOST_DISTURBANCE) return [];
  const rate = (name: LegName): number => tokenRate(samples, benchCase, name);
  const offered = offeredTokens(benchCase);
  const names = legs.map(({ name }) => name);
  if (offered !== undefined) {
    const poor = names.filter((name) => rate(name) < offered * LEAST_OF_OFFERED);
    return poor.map(
      (name) => `${benchCase.title}: ${name} delivered only ${Math.round(rate(name))} tokens/s`,
    );
  }
  const compared = benchCase.clients > 1 && names.includes("floor") && names.includes("gateway");
  const ratio = compared ? rate("gateway") / rate("floor") : 1;
  return ratio < LEAST_OF_FLOOR ? [`${benchCase.title}: only ${ratio.toFixed(2)} of the floor proxy`] : [];
}

/** CPUs that were busy with other work during a case: the highest of its measurements. */
function disturbance(samples: readonly Sample[], benchCase: BenchCase): number {
  const mine = samples.filter((sample) => sample.case === benchCase.name);
  return Math.max(0, ...mine.map(({ report }) => report.othersCpuS / report.seconds));
}

function tokenRate(samples: readonly Sample[], benchCase: BenchCase, name: LegName): number {
  const mine = samples.filter((sample) => sample.case === benchCase.name && sample.leg === name);
  return spread(mine.map(({ report }) => report.tokens / report.seconds))?.median ?? 0;
}
