/** The tables of the placement bench. */
import { alignTable } from "../report.ts";
import type { AloneRound } from "./alone.ts";
import type { Waits } from "./tally.ts";
import type { Verdict, WorkloadResult } from "./verdicts.ts";

const HEAD = [
  "workload",
  "way",
  "answers",
  "by model",
  "loads",
  "wait p50 / p99 / max, s",
  "by model, max",
  "failed",
];

/** A row per way of each workload. */
export function renderResults(results: readonly WorkloadResult[]): string {
  return alignTable([HEAD, ...results.flatMap(rowsOf)]);
}

function rowsOf({ title, legs }: WorkloadResult): string[][] {
  return Object.entries(legs).map(([name, its], index) => [
    index === 0 ? title : "",
    name,
    String(its.answers),
    Object.values(its.answersByModel).join(" + "),
    String(its.loads),
    [its.waits.p50, its.waits.p99, its.waits.max].map(inSeconds).join(" / "),
    Object.values(its.waitsByModel)
      .map((waits: Waits) => inSeconds(waits.max))
      .join(", "),
    String(Object.values(its.errors).reduce((sum, count) => sum + count, 0)),
  ]);
}

function inSeconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}

/** A row per round on one model alone. */
export function renderAlone(rounds: readonly AloneRound[]): string {
  const rows = rounds.map(({ round, way, rate, firstMs, others }) => [
    String(round),
    way,
    rate.toFixed(1),
    firstMs.toFixed(2),
    others.toFixed(2),
  ]);
  return alignTable([
    [
      "round",
      "way",
      "requests/s, 12 clients",
      "first token p50, ms, one client",
      "CPUs busy with other work",
    ],
    ...rows,
  ]);
}

/** A row per claim. */
export function renderVerdicts(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map((verdict) => [
    verdict.workload,
    verdict.claim,
    figure(verdict.value),
    verdict.least === undefined
      ? `at most ${figure(verdict.most ?? NaN)}`
      : `at least ${figure(verdict.least)}`,
    `${verdict.holds ? "holds" : "does not hold"}${verdict.judged ? "" : " (told, not judged)"}`,
  ]);
  return alignTable([["workload", "claim", "measured", "limit", "verdict"], ...rows]);
}

function figure(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(2);
}
