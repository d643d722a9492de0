/** From measurements to the one table people read. */
import type { BenchCase } from "./cases.ts";
import type { Leg, LegName } from "./legs.ts";
import type { LoadReport } from "./load-spec.ts";
import { OTHERS } from "./metrics.ts";
import type { Metric } from "./metrics.ts";

/** One measurement, as kept in the JSON. */
export interface Sample {
  readonly round: number;
  readonly case: string;
  readonly leg: LegName;
  readonly report: LoadReport;
}

/** Median, least and greatest of a figure over the rounds. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Median with min and max; undefined of no values. */
export function spread(values: readonly number[]): Spread | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const median = ((sorted[Math.ceil(middle) - 1] ?? 0) + (sorted[Math.floor(middle)] ?? 0)) / 2;
  const [min, max] = [sorted[0], sorted.at(-1)];
  return min === undefined || max === undefined ? undefined : { median, min, max };
}

/** Replies of a set of measurements that were not whole and in order. */
export function errorCount(samples: readonly Sample[]): number {
  return samples.reduce(
    (sum, { report }) => sum + Object.values(report.errors).reduce((a, b) => a + b, 0),
    0,
  );
}

/** The table in Markdown: a column per way, a row per figure. */
export function renderTable(
  cases: readonly BenchCase[],
  legs: readonly Leg[],
  samples: readonly Sample[],
): string {
  const names = legs.map(({ name }) => name);
  const compared = isCompared(names);
  const head = ["case", "figure", ...names.map(columnTitle), ...(compared ? ["gateway ÷ floor"] : [])];
  const rows = cases.flatMap((benchCase) => caseRows(benchCase, names, samples));
  const others = row(OTHERS, OTHERS.label, names, (name) => figures(samples, name, OTHERS));
  const errors = names.map((name) => String(errorCount(samples.filter(({ leg }) => leg === name))));
  const failed = ["failed replies", ...errors, ...(compared ? [""] : [])];
  return alignTable([head, ...rows, ["all", ...others], ["", ...failed]]);
}

/** The median of every figure, by case, way and figure; for programs. */
export function medians(
  cases: readonly BenchCase[],
  legs: readonly Leg[],
  samples: readonly Sample[],
): Readonly<Record<string, unknown>> {
  const ofLeg = (benchCase: BenchCase, { name }: Leg): [string, unknown] => {
    const mine = samples.filter((sample) => sample.case === benchCase.name);
    const all = benchCase.metrics.flatMap((metric) => [
      [metric.label, spread(figures(mine, name, metric))?.median] as const,
      [
        `${metric.label} added`,
        metric.added === true ? spread(addedFigures(mine, name, metric))?.median : undefined,
      ] as const,
    ]);
    return [name, Object.fromEntries(all.filter(([, median]) => median !== undefined))];
  };
  const ofCase = (benchCase: BenchCase): [string, unknown] => [
    benchCase.name,
    Object.fromEntries(legs.map((leg) => ofLeg(benchCase, leg))),
  ];
  return Object.fromEntries(cases.map(ofCase));
}

function columnTitle(name: LegName): string {
  return name === "floor" ? "floor proxy" : name;
}

function caseRows(benchCase: BenchCase, names: readonly LegName[], samples: readonly Sample[]): string[][] {
  const mine = samples.filter((sample) => sample.case === benchCase.name);
  const shown = benchCase.metrics.filter((metric) =>
    names.some((name) => figures(mine, name, metric).length > 0),
  );
  const rows = shown.flatMap((metric) => {
    const plain = row(metric, metric.label, names, (name) => figures(mine, name, metric));
    if (metric.added !== true || !names.includes("direct")) return [plain];
    return [plain, row(metric, `${metric.label} added`, names, (name) => addedFigures(mine, name, metric))];
  });
  for (const [index, cells] of rows.entries()) cells.unshift(index === 0 ? benchCase.title : "");
  return rows;
}

function row(
  metric: Metric,
  label: string,
  names: readonly LegName[],
  valuesOf: (name: LegName) => readonly number[],
): string[] {
  const spreads = new Map(names.map((name) => [name, spread(valuesOf(name))]));
  const cells = names.map((name) => renderSpread(spreads.get(name), metric.digits));
  return [label, ...cells, ...(isCompared(names) ? [ratio(metric, spreads)] : [])];
}

/** The gateway's figure by the floor's; empty where that says nothing. */
function ratio(metric: Metric, spreads: ReadonlyMap<LegName, Spread | undefined>): string {
  const [floor, gateway] = [spreads.get("floor"), spreads.get("gateway")];
  if (metric.alone === true || floor === undefined || gateway === undefined || floor.median <= 0) return "";
  return (gateway.median / floor.median).toFixed(2);
}

function isCompared(names: readonly LegName[]): boolean {
  return names.includes("floor") && names.includes("gateway");
}

/** The figure of a way, one value per round. */
function figures(samples: readonly Sample[], name: LegName, metric: Metric): readonly number[] {
  return samples.filter(({ leg }) => leg === name).flatMap(({ report }) => metric.of(report) ?? []);
}

function addedFigures(samples: readonly Sample[], name: LegName, metric: Metric): readonly number[] {
  if (name === "direct") return [];
  const direct = new Map(
    samples.filter(({ leg }) => leg === "direct").map(({ round, report }) => [round, report]),
  );
  return samples.flatMap(({ leg, round, report }) => {
    const base = direct.get(round);
    const [with_, without] = [metric.of(report), base === undefined ? undefined : metric.of(base)];
    return leg !== name || with_ === undefined || without === undefined ? [] : [with_ - without];
  });
}

function renderSpread(value: Spread | undefined, digits: number): string {
  if (value === undefined) return "–";
  const text = (figure: number): string =>
    figure.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return value.min === value.max
    ? text(value.median)
    : `${text(value.median)} (${text(value.min)}–${text(value.max)})`;
}

/** A table in Markdown, its columns aligned. */
export function alignTable(rows: readonly string[][]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((cells) => cells[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const [head = [], ...body] = rows;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...body.map(line), ""].join("\n");
}
