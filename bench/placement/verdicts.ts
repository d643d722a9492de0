/** Whether a run of the placement bench holds what issue and design ask for; pure. */
import type { AloneRound, AloneWay } from "./alone.ts";
import { longestWaitMs, rareWaitMs } from "./bounds.ts";
import type { Tally } from "./tally.ts";

/** Results of the ways under one workload, by the names of its legs. */
export interface WorkloadResult {
  readonly name: string;
  readonly title: string;
  /** The load time of each of its models (ms); the number of models, and of models that there is room for. */
  readonly loadMs: number;
  readonly models: number;
  readonly places: number;
  readonly legs: Readonly<Record<string, Tally>>;
}

/** One claim, judged. */
export interface Verdict {
  readonly workload: string;
  readonly claim: string;
  readonly value: number;
  readonly least?: number;
  readonly most?: number;
  readonly holds: boolean;
  /** True: fails the run when it does not hold. False: only reported. */
  readonly judged: boolean;
}

type Rule = (result: WorkloadResult) => readonly Verdict[];

const MOST_LOAD_SHARE = 0.6;
const LEAST_ANSWERS = 1.2;
const DIRECT_LEGS = ["direct", "direct, overtaking"];
const LEAST_OF_ALONE = 0.9;
const ALONE_TOLERANCE = 0.03;
/** CPUs that other work may use in a round that is judged. */
const MOST_DISTURBANCE = 0.5;

const RULES: Readonly<Record<string, Rule>> = {
  p1: (result) => [
    answersOfDirect(result, true),
    atMost(result, {
      claim: "loads ÷ direct's",
      value: ratio(leg(result, "placed")?.loads, leg(result, "direct")?.loads),
      most: MOST_LOAD_SHARE,
    }),
    longestWait(result, true),
  ],
  "p1-overtaking": (result) => [longestWait(result, true), answersOfDirect(result, false)],
  p2: (result) => [rareWait(result), { ...busyShare(result), judged: false }],
  "p2-short": (result) => [rareWait(result), busyShare(result)],
  p3: (result) => [answersOfDirect(result, true), longestWait(result, false)],
  p5: (result) => [
    atMost(result, { claim: "reloads", value: (leg(result, "placed")?.loads ?? NaN) - 1, most: 1 }),
  ],
  p7: (result) => [longestWait(result, false), answeredOfAll(result)],
};

/** Every claim on a workload, and that no request through a gateway failed. */
export function verdictsOf(result: WorkloadResult): readonly Verdict[] {
  return [...(RULES[result.name]?.(result) ?? []), failures(result)];
}

/**
 * Judges one model alone by requests per second and first token, medians of paired rounds. Only rounds count that
 * had the machine to themselves; when there is none, all are reported and none is judged.
 */
export function aloneVerdicts(all: readonly AloneRound[]): readonly Verdict[] {
  const disturbed = new Set(all.filter(({ others }) => others > MOST_DISTURBANCE).map(({ round }) => round));
  const calm = all.filter(({ round }) => !disturbed.has(round));
  const judged = calm.length > 0;
  return aloneRatios(judged ? calm : all).map((verdict) => Object.assign(verdict, { judged }));
}

function aloneRatios(rounds: readonly AloneRound[]): readonly Verdict[] {
  const paired = (of: (round: AloneRound) => number): number =>
    median(
      [...new Set(rounds.map(({ round }) => round))].map((number) => {
        const value = (way: AloneWay): number | undefined =>
          rounds.filter((its) => its.way === way && its.round === number).map(of)[0];
        return ratio(value("placed"), value("first come"));
      }),
    );
  const rate = paired((round) => round.rate);
  const first = paired((round) => round.firstMs);
  return [
    judgement("alone", "requests/s ÷ first come's", rate, { least: 1 - ALONE_TOLERANCE }),
    judgement("alone", "first token ÷ first come's", first, { most: 1 + ALONE_TOLERANCE }),
  ];
}

/** The claims that fail the run. */
export function broken(verdicts: readonly Verdict[]): readonly Verdict[] {
  return verdicts.filter(({ judged, holds }) => judged && !holds);
}

/** Beside the better of the direct ways. */
function answersOfDirect(result: WorkloadResult, judged: boolean): Verdict {
  const direct = DIRECT_LEGS.flatMap((name) => perSecond(leg(result, name)) ?? []);
  const best = direct.length === 0 ? undefined : Math.max(...direct);
  const value = ratio(perSecond(leg(result, "placed")), best);
  return { ...judgement(result.name, "answers ÷ direct's", value, { least: LEAST_ANSWERS }), judged };
}

function longestWait(result: WorkloadResult, judged: boolean): Verdict {
  const most = longestWaitMs(result.loadMs, result.models, result.places) / 1000;
  const value = (leg(result, "placed")?.waits.max ?? NaN) / 1000;
  return { ...judgement(result.name, "longest wait, s", value, { most }), judged };
}

/** The answered share of open-loop arrivals. It is only reported, as it depends on the server. */
function answeredOfAll(result: WorkloadResult): Verdict {
  const its = leg(result, "placed");
  const value = ratio(its?.answers, its?.waits.count);
  return { ...judgement(result.name, "answers ÷ requests", value, { least: 1 }), judged: false };
}

/** The rare model is the one with the fewest requests. */
function rareWait(result: WorkloadResult): Verdict {
  const [rare] = Object.values(leg(result, "placed")?.waitsByModel ?? {}).toSorted(
    (a, b) => a.count - b.count,
  );
  const value = (rare?.max ?? NaN) / 1000;
  return judgement(result.name, "longest wait of the rare model, s", value, {
    most: rareWaitMs(result.loadMs) / 1000,
  });
}

function busyShare(result: WorkloadResult): Verdict {
  const busy = (name: string): number | undefined => {
    const its = leg(result, name);
    return its === undefined ? undefined : Math.max(...Object.values(its.answersByModel)) / its.seconds;
  };
  const value = ratio(busy("placed"), busy("busy alone"));
  return judgement(result.name, "busy model's answers ÷ alone", value, { least: LEAST_OF_ALONE });
}

function failures(result: WorkloadResult): Verdict {
  const errors = Object.entries(result.legs)
    .filter(([name]) => !DIRECT_LEGS.includes(name))
    .flatMap(([, its]) => Object.values(its.errors));
  const value = errors.reduce((sum, count) => sum + count, 0);
  return judgement(result.name, "failed requests through gateways", value, { most: 0 });
}

function atMost(
  result: WorkloadResult,
  { claim, value, most }: { readonly claim: string; readonly value: number; readonly most: number },
): Verdict {
  return judgement(result.name, claim, value, { most });
}

interface Limits {
  readonly least?: number;
  readonly most?: number;
}

/** Judges a value. A value that is no number does not hold. */
function judgement(workload: string, claim: string, value: number, limits: Limits): Verdict {
  const holds = value >= (limits.least ?? -Infinity) && value <= (limits.most ?? Infinity);
  return { workload, claim, value, ...limits, holds, judged: true };
}

function leg(result: WorkloadResult, name: string): Tally | undefined {
  return result.legs[name];
}

function perSecond(its: Tally | undefined): number | undefined {
  return its === undefined ? undefined : its.answers / its.seconds;
}

function ratio(above: number | undefined, below: number | undefined): number {
  return above === undefined || below === undefined ? NaN : above / below;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? NaN) + (sorted[Math.floor(middle)] ?? NaN)) / 2;
}
