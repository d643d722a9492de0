import { isObject } from "../core/json.ts";
import type { JsonObject } from "../core/json.ts";
import type { Sample } from "./histogram.ts";

/** A metric of a report, ready for prom-client's aggregation. */
export interface ReportedMetric {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  /** Samples of several processes never share their labels, so the first is the only one. */
  readonly aggregator: "first";
  readonly values: readonly Sample[];
}

const NAME = /^[a-zA-Z]\w{0,199}$/;
const TYPES: ReadonlySet<string> = new Set(["counter", "gauge", "histogram"]);

/** Names the process that a sample comes from, e.g. `worker` and its id. */
export type Origin = readonly [label: string, id: string];

/**
 * Checks what a process reported and adds its label to all samples. What is no metric is left out: a process of another
 * version must not spoil the page for all.
 */
export function labelledReport(origin: Origin, report: unknown): ReportedMetric[] {
  if (!Array.isArray(report)) return [];
  return report.filter(isObject).flatMap((metric) => toMetric(origin, metric) ?? []);
}

function toMetric(origin: Origin, { name, help, type, values }: JsonObject): ReportedMetric | undefined {
  if (!isName(name) || typeof help !== "string" || typeof type !== "string") return undefined;
  if (!TYPES.has(type) || !Array.isArray(values)) return undefined;
  const samples = values.filter(isObject).flatMap((value) => toSample(origin, name, value) ?? []);
  return { name, help, type, aggregator: "first", values: samples };
}

function toSample([label, id]: Origin, name: string, sample: JsonObject): Sample | undefined {
  const { value, labels, metricName = name } = sample;
  if (typeof value !== "number" || !isObject(labels)) return undefined;
  if (!isName(metricName) || !metricName.startsWith(name)) return undefined;
  const kept = Object.entries(labels).filter(
    (pair): pair is [string, string | number] => isName(pair[0]) && isLabelValue(pair[1]),
  );
  return { value, metricName, labels: { ...Object.fromEntries(kept), [label]: id } };
}

function isName(value: unknown): value is string {
  return typeof value === "string" && NAME.test(value);
}

function isLabelValue(value: unknown): value is string | number {
  return typeof value === "string" || typeof value === "number";
}
