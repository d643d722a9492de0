import { isObject } from "../core/json.ts";
import type { JsonObject } from "../core/json.ts";
import type { Sample } from "./fast-histogram.ts";

/** A metric of a report, ready for prom-client's aggregation. */
export interface ReportedMetric {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  /** Samples of several processes never share all labels, so each group has one sample. */
  readonly aggregator: "first";
  readonly values: readonly Sample[];
}

const NAME = /^[a-zA-Z]\w{0,199}$/;
const TYPES: ReadonlySet<string> = new Set(["counter", "gauge", "histogram"]);

/** The process of a sample: label name, such as `worker`, and process id. */
export type Origin = readonly [label: string, id: string];

/**
 * Checks the report of a process and adds its label to all samples. Malformed metrics are left out, so that a process
 * of another version does not break the page.
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
