/** The plots of a run: throughput, CPU by process, first tokens and gaps. */
import type { BenchCase } from "../cases.ts";
import { CURVE_SHARES } from "../../src/telemetry/duration-histogram.ts";
import type { LegName } from "../legs.ts";
import type { LoadReport } from "../load-spec.ts";
import { PARTS, REQUESTS, TOKENS, shareOf } from "../metrics.ts";
import type { Metric } from "../metrics.ts";
import { spread } from "../report.ts";
import type { Sample } from "../report.ts";
import { barChart, lineChart } from "./svg.ts";
import type { Bar, BarChart } from "./svg.ts";

/** The plotted cases. */
export interface Measured {
  readonly cases: readonly BenchCase[];
  readonly legs: readonly LegName[];
  readonly samples: readonly Sample[];
}

type Group = BarChart["groups"][number];

/** The documents by file name. Unmeasured cases have none. */
export function plots(measured: Measured): ReadonlyMap<string, string> {
  const rates = cases(measured, ({ metrics }) => metrics.includes(REQUESTS) || metrics.includes(TOKENS));
  const firsts = cases(measured, ({ name }) => name.startsWith("m3"));
  const charts: [string, string, readonly Group[]][] = [
    ["throughput.svg", "Throughput", rates.map((it) => rateGroup(measured, it))],
    ["cpu.svg", "CPU by process", rates.map((it) => cpuGroup(measured, it))],
    ["first-token.svg", "Time to the first token", firsts.flatMap((it) => firstGroups(measured, it))],
  ];
  const drawn = charts
    .map(
      ([file, title, groups]) =>
        [file, { title, groups: groups.filter(({ bars }) => bars.length > 0) }] as const,
    )
    .filter(([, { groups }]) => groups.length > 0)
    .map(([file, chart]) => [file, barChart(chart)] as const);
  const paced = cases(measured, ({ name }) => name.startsWith("m2"));
  const gaps = paced.map((it) => [`gaps-${it.clients}.svg`, gapPlot(measured, it)] as const);
  return new Map([...drawn, ...gaps]);
}

function cases({ cases: all, samples }: Measured, wanted: (it: BenchCase) => boolean): readonly BenchCase[] {
  return all.filter((it) => wanted(it) && samples.some((sample) => sample.case === it.name));
}

function medianOf(
  { samples }: Measured,
  benchCase: BenchCase,
  leg: LegName,
  of: (report: LoadReport) => number | undefined,
): number | undefined {
  const mine = samples.filter((sample) => sample.case === benchCase.name && sample.leg === leg);
  return spread(mine.flatMap(({ report }) => of(report) ?? []))?.median;
}

function barsOf(measured: Measured, benchCase: BenchCase, metric: Pick<Metric, "of" | "digits">): Bar[] {
  return measured.legs.flatMap((leg) => {
    const value = medianOf(measured, benchCase, leg, metric.of);
    if (value === undefined) return [];
    const text = value.toLocaleString("en", { maximumFractionDigits: metric.digits });
    return [{ label: leg, parts: [{ name: leg, value }], text }];
  });
}

function rateGroup(measured: Measured, benchCase: BenchCase): Group {
  const metric = benchCase.metrics.includes(REQUESTS) ? REQUESTS : TOKENS;
  return { title: `${benchCase.title}: ${metric.label}`, bars: barsOf(measured, benchCase, metric) };
}

function cpuGroup(measured: Measured, benchCase: BenchCase): Group {
  const whole = benchCase.metrics.includes(REQUESTS);
  const count = (report: LoadReport): number => (whole ? report.requests : report.tokens);
  const found = measured.legs.flatMap((leg): Bar[] => {
    const share = (role: string): number =>
      medianOf(measured, benchCase, leg, (report) => shareOf(report, role, count(report))) ?? 0;
    const parts = [leg, ...PARTS.filter((role) => role !== leg)].map((name) => ({
      name,
      value: share(name),
    }));
    const shown = parts.filter(({ value }) => value > 0);
    const sum = shown.reduce((total, { value }) => total + value, 0);
    return shown.length === 0 ? [] : [{ label: leg, parts: shown, text: sum.toFixed(whole ? 0 : 1) }];
  });
  return { title: `${benchCase.title}: CPU µs per ${whole ? "request" : "token"}`, bars: found };
}

function firstGroups(measured: Measured, benchCase: BenchCase): Group[] {
  return (["p50", "p99"] as const).map((which) => ({
    title: `${benchCase.title}: ${which}, µs`,
    bars: barsOf(measured, benchCase, { digits: 0, of: ({ first }) => first[which] }),
  }));
}

function gapPlot(measured: Measured, benchCase: BenchCase): string {
  const lines = measured.legs.map((name) => ({
    name,
    values: CURVE_SHARES.map(
      (_, place) => (medianOf(measured, benchCase, name, ({ gapCurve }) => gapCurve[place]) ?? 0) / 1000,
    ),
  }));
  return lineChart({
    title: `Gaps between tokens, ${benchCase.title}`,
    places: CURVE_SHARES.map((share) => `${+(share * 100).toFixed(2)} %`),
    xTitle: "share of the gaps that are not longer",
    yTitle: "ms",
    lines,
  });
}
