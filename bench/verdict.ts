/** Criteria for a run on any machine: integrity, and ratios within the run. */
import { offeredTokens } from "./cases.ts";
import type { BenchCase } from "./cases.ts";
import type { Leg, LegName } from "./legs.ts";
import type { LoadReport } from "./load-spec.ts";
import { CPU_PER_REQUEST, OTHERS, REQUESTS, TOKENS } from "./metrics.ts";
import type { BenchOptions } from "./options.ts";
import { errorCount } from "./report.ts";
import type { Sample } from "./report.ts";

/**
 * A figure of the gateway relative to the floor proxy's in the same round, with its limit. The best round is judged: a
 * disturbed machine makes figures worse, never better. A fault of the program shows in every round.
 */
interface Ratio {
  readonly case: string;
  readonly label: string;
  readonly of: (report: LoadReport) => number | undefined;
  /** The gateway's figure must be at least this share of the floor's. */
  readonly least?: number;
  /** The gateway's figure must be at most this many times the floor's. */
  readonly most?: number;
  /** Valid also on a machine that is busy with other work. */
  readonly always?: boolean;
}

const [CPU] = CPU_PER_REQUEST;

/** About 60 % of what was measured (docs/performance.md), so that a third of the speed cannot be lost unseen. */
const RATIOS: readonly Ratio[] = [
  { case: "m1-64", label: "requests/s", of: REQUESTS.of, least: 0.19 },
  { case: "m1-64", label: "CPU per request", of: (report) => CPU?.of(report), most: 6.3, always: true },
  { case: "burst-64", label: "tokens/s", of: TOKENS.of, least: 2 },
  { case: "m3-1", label: "time to the first token", of: ({ first }) => first.p50, most: 6.5 },
];

/** Variants whose failed replies fail the run. Failed replies of the compared variants are only reported. */
const JUDGED: ReadonlySet<LegName> = new Set(["gateway", "direct"]);

/** Share of the offered tokens per second that any way must deliver in a quick run, which offers little. */
const LEAST_OF_OFFERED = 0.9;

/** CPUs that other work may use in a round that is judged: five processes on two cores need both. */
const MOST_DISTURBANCE = 0.5;

/**
 * All reasons why a run is a failure: lost tokens of the gateway, or of the tools themselves; for a quick run also missing ways, and poor figures in
 * every round that had the machine to itself.
 */
export function complaints(
  options: BenchOptions,
  legs: readonly Leg[],
  samples: readonly Sample[],
): readonly string[] {
  const errors = errorCount(samples.filter(({ leg }) => JUDGED.has(leg)));
  const found = errors === 0 ? [] : [`${errors} replies were not whole and in order`];
  if (!options.quick) return found;
  const missing = options.legs.filter((name) => legs.every((leg) => leg.name !== name));
  return [
    ...found,
    ...missing.map((name) => `the ${name} leg is missing`),
    ...options.cases.flatMap((benchCase) => offerComplaints(benchCase, legs, samples)),
    ...judged(samples).flatMap(({ ratio, best }) => ratioComplaint(ratio, best)),
  ];
}

/** The judged ratios of a quick run, one per line, with their distance from the limit. */
export function judgement(samples: readonly Sample[]): readonly string[] {
  return judged(samples).map(({ ratio, best }) => {
    const limit = ratio.least === undefined ? `at most ${ratio.most}` : `at least ${ratio.least}`;
    const said =
      best === undefined ? "not judged, other work ran in every round" : `${best.toFixed(2)} of the floor`;
    return `${ratio.case} ${ratio.label}: ${said} (${limit})`;
  });
}

interface Judged {
  readonly ratio: Ratio;
  /** Best ratio of the rounds that count; undefined when none does. */
  readonly best: number | undefined;
}

function judged(samples: readonly Sample[]): readonly Judged[] {
  return RATIOS.map((ratio) => {
    const mine = samples.filter((sample) => sample.case === ratio.case);
    const values = [...new Set(mine.map(({ round }) => round))].flatMap((round) => {
      const of = (name: LegName): LoadReport | undefined =>
        mine.find((sample) => sample.round === round && sample.leg === name)?.report;
      return ratioOf(ratio, of("floor"), of("gateway")) ?? [];
    });
    const best = ratio.least === undefined ? Math.min(...values) : Math.max(...values);
    return { ratio, best: values.length === 0 ? undefined : best };
  });
}

function ratioOf(
  ratio: Ratio,
  floor: LoadReport | undefined,
  gateway: LoadReport | undefined,
): number | undefined {
  if (floor === undefined || gateway === undefined) return undefined;
  if (ratio.always !== true && (isDisturbed(floor) || isDisturbed(gateway))) return undefined;
  const [above, below] = [ratio.of(gateway), ratio.of(floor)];
  return above === undefined || below === undefined || below <= 0 ? undefined : above / below;
}

function isDisturbed(report: LoadReport): boolean {
  return (OTHERS.of(report) ?? 0) > MOST_DISTURBANCE;
}

function ratioComplaint(ratio: Ratio, best: number | undefined): readonly string[] {
  if (best === undefined) return [];
  const { least = 0, most = Infinity } = ratio;
  if (best >= least && best <= most) return [];
  const limit = ratio.least === undefined ? `more than ${most}` : `less than ${least}`;
  return [`${ratio.case} ${ratio.label}: ${best.toFixed(2)} of the floor proxy at best, ${limit}`];
}

/** Ways that were behind the backend's pace in every round. */
function offerComplaints(
  benchCase: BenchCase,
  legs: readonly Leg[],
  samples: readonly Sample[],
): readonly string[] {
  const offered = offeredTokens(benchCase);
  if (offered === undefined) return [];
  return legs.flatMap(({ name }) => {
    const mine = samples.filter(({ case: its, leg }) => its === benchCase.name && leg === name);
    const rates = mine
      .filter(({ report }) => !isDisturbed(report))
      .map(({ report }) => TOKENS.of(report) ?? 0);
    const best = Math.max(...rates);
    if (rates.length === 0 || best >= offered * LEAST_OF_OFFERED) return [];
    return [`${benchCase.title}: ${name} delivered only ${Math.round(best)} tokens/s`];
  });
}
