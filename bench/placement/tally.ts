/** Figures of one way under one workload. */
import type { EngineCounters } from "../engine/counters.ts";
import type { RequestRecord } from "./load.ts";

/** Times to the first byte, ms. For requests without one, the time until the end of the run. */
export interface Waits {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** The results of a way in the window. */
export interface Tally {
  readonly seconds: number;
  readonly answers: number;
  readonly answersByModel: Readonly<Record<string, number>>;
  /** Loads that the engine began. */
  readonly loads: number;
  readonly waits: Waits;
  readonly waitsByModel: Readonly<Record<string, Waits>>;
  /** Requests that ended without their answer, by kind. Requests that are still open have their own count. */
  readonly errors: Readonly<Record<string, number>>;
  readonly open: number;
  readonly counters: EngineCounters;
}

/** @param models all models of the workload, including models without an answer */
export function tally(
  models: readonly string[],
  visits: readonly RequestRecord[],
  counters: EngineCounters,
  seconds: number,
): Tally {
  const byModel = <Value>(of: (its: readonly RequestRecord[]) => Value): Record<string, Value> =>
    Object.fromEntries(models.map((model) => [model, of(visits.filter((visit) => visit.model === model))]));
  const failed = visits.filter(({ outcome }) => outcome !== "answered" && outcome !== "open");
  const kinds = [...new Set(failed.map(({ outcome }) => outcome))];
  return {
    seconds,
    answers: answered(visits),
    answersByModel: byModel(answered),
    loads: counters.loads,
    waits: waitsOf(visits),
    waitsByModel: byModel(waitsOf),
    errors: Object.fromEntries(
      kinds.map((kind) => [kind, failed.filter(({ outcome }) => outcome === kind).length]),
    ),
    open: visits.filter(({ outcome }) => outcome === "open").length,
    counters,
  };
}

function answered(visits: readonly RequestRecord[]): number {
  return visits.filter(({ outcome }) => outcome === "answered").length;
}

/** Returns the waits of requests that were answered, or would be: failures have no wait. */
function waitsOf(visits: readonly RequestRecord[]): Waits {
  const waits = visits
    .filter(({ outcome }) => outcome === "answered" || outcome === "open")
    .map(({ sentMs, firstMs, endMs }) => (firstMs ?? endMs) - sentMs)
    .toSorted((a, b) => a - b);
  const quantile = (share: number): number =>
    waits[Math.min(waits.length - 1, Math.ceil(share * waits.length) - 1)] ?? 0;
  return { count: waits.length, p50: quantile(0.5), p99: quantile(0.99), max: waits.at(-1) ?? 0 };
}
