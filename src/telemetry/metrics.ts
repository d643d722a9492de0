import { Gauge, Registry, collectDefaultMetrics } from "prom-client";
import type { Usage } from "../core/usage.ts";
import { FastHistogram } from "./fast-histogram.ts";
import { FastCounter } from "./fast-counter.ts";

/**
 * Prometheus metrics of one process. Names begin with `sgnet_`. Units are base units (seconds, bytes). Every label is
 * bounded: by the code or, for model names, by the caller. docs/metrics.md lists all metrics.
 */
export interface Metrics {
  /** Adds the gauge `sgnet_<name>`; `read` is called at each scrape. */
  observe(name: string, help: string, read: () => number): void;
  /** Adds the gauge `sgnet_<name>` with one label; `read` returns a value for each value of the label. */
  observeEach(
    name: string,
    help: string,
    labelled: { readonly label: string; readonly read: () => Iterable<readonly [string, number]> },
  ): void;
  /** Adds the gauge `sgnet_<name>` with labels; `read` returns all its values, each behind those of its labels. */
  observeAll(
    name: string,
    help: string,
    labelled: {
      readonly labels: readonly string[];
      readonly read: () => Iterable<readonly [readonly string[], number]>;
    },
  ): void;
  /** A connection to Redis broke, or could not be opened again. */
  readonly redisFailed: () => void;
  /** Redis answered a periodic command, after this many seconds. */
  redisAnswered(seconds: number): void;
  /** This process stalled for this many ms. */
  readonly stalled: (ms: number) => void;
  /** All metrics in Prometheus' text format. */
  render(): Promise<string>;
  /** The content type of {@link Metrics.render}. */
  readonly contentType: string;
  /** The report to the fleet, as JSON text: the metrics of this program and {@link REPORTED}. */
  report(): Promise<string>;
}

export interface MetricsOptions {
  /** Version of this program; shown in `sgnet_build_info`. */
  readonly version: string;
  /** Commit of this program; empty when unknown. */
  readonly build?: string;
}

/** A metric that keeps its children, so that the hot path neither builds nor checks label objects. */
export interface Labelled<Child> {
  /** The child of these label values, in the order of the label names. */
  at(...values: string[]): Child;
}

export interface CounterChild {
  inc(by?: number): void;
}

export interface HistogramChild {
  observe(value: number): void;
}

/** Makes the metrics of one process. */
export interface MetricFactory {
  readonly metrics: Metrics;
  readonly counter: (name: string, help: string, labels: readonly string[]) => Labelled<CounterChild>;
  /** @param labelled.buckets upper bounds, ascending */
  readonly histogram: (
    name: string,
    help: string,
    labelled: { readonly labels: readonly string[]; readonly buckets: readonly number[] },
  ) => Labelled<HistogramChild>;
}

/** Buckets in seconds. LLM answers take milliseconds from a cache and many minutes from a large model. */
export const DURATIONS: readonly number[] = [
  0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600, 1800,
];

/** Buckets in seconds between tokens: from a small model on a large GPU to a large model on a CPU. */
export const GAPS: readonly number[] = [
  0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5,
];

/** Buckets in seconds of a round trip to Redis. */
export const ROUND_TRIPS: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5,
];

/** Interval of the event-loop monitor, ms; 20 has no measurable CPU cost. */
const LOOP_PRECISION_MS = 20;

/** Gauges of prom-client whose names break Prometheus' own rules (`_total` is for counters). */
const MISNAMED = [
  "nodejs_active_handles_total",
  "nodejs_active_requests_total",
  "nodejs_active_resources_total",
];

/** Metrics of Node that are reported to the fleet. */
const REPORTED: ReadonlySet<string> = new Set([
  "process_cpu_seconds_total",
  "process_resident_memory_bytes",
  "nodejs_eventloop_lag_p99_seconds",
]);

/** Opens the registry of one process, with the metrics that every process has. */
export function openMetricFactory({ version, build = "" }: MetricsOptions): MetricFactory {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LOOP_PRECISION_MS });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  const info = gauge(registry, {
    name: "build_info",
    help: "Always 1; the labels name the versions",
    labels: ["version", "build", "node"],
  });
  info.labels(version, build, process.version).set(1);
  const { counter, histogram } = makers(registry);
  const failed = counter(
    "redis_errors_total",
    "Broken connections to Redis and failed connection attempts",
    [],
  );
  const stalls = counter("event_loop_stalls_total", "Event-loop stalls of half a second or more", []).at();
  const stalled = counter("event_loop_stalled_seconds_total", "Seconds of event-loop stalls", []).at();
  const trips = { labels: [], buckets: ROUND_TRIPS };
  const answered = histogram("redis_roundtrip_seconds", "Round trip of an announcement to Redis", trips).at();
  const metrics: Metrics = {
    observe(name, help, read) {
      const target: Gauge = gauge(registry, { name, help, collect: () => target.set(read()) });
    },
    observeEach(name, help, { label, read }) {
      const collect = (): void => {
        for (const [value, reading] of read()) target.labels(value).set(reading);
      };
      const target = gauge(registry, { name, help, labels: [label], collect });
    },
    observeAll(name, help, { labels, read }) {
      const collect = (): void => {
        target.reset();
        for (const [values, reading] of read()) target.labels(...values).set(reading);
      };
      const target = gauge(registry, { name, help, labels, collect });
    },
    redisFailed: () => failed.at().inc(),
    redisAnswered: (seconds) => answered.observe(seconds),
    stalled(ms) {
      stalls.inc();
      stalled.inc(ms / 1000);
    },
    render: () => registry.metrics(),
    contentType: registry.contentType,
    report: async () => {
      const all = await registry.getMetricsAsJSON();
      return JSON.stringify(all.filter(({ name }) => name.startsWith("sgnet_") || REPORTED.has(name)));
    },
  };
  return { metrics, counter, histogram };
}

interface GaugePlan {
  /** Without the prefix. */
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
  readonly collect?: () => void;
}

function gauge(registry: Registry, { name, help, labels = [], collect }: GaugePlan): Gauge {
  const options = { name: `sgnet_${name}`, help, labelNames: [...labels], registers: [registry] };
  return new Gauge(collect === undefined ? options : { ...options, collect });
}

function makers(registry: Registry): Pick<MetricFactory, "counter" | "histogram"> {
  return {
    counter(name, help, labels) {
      const counter = new FastCounter({ registry, name: `sgnet_${name}`, help, labels });
      const kept = childrenByLabels((values) => counter.child(values));
      // A metric without labels has its one child from the start, so that a count of 0 is exported.
      if (labels.length === 0) kept.at();
      return kept;
    },
    histogram(name, help, { labels, buckets }) {
      const histogram = new FastHistogram({ registry, name: `sgnet_${name}`, help, labels, buckets });
      return childrenByLabels((values) => histogram.child(values));
    },
  };
}

/** Children in a tree of maps, one level per label: joining the labels to one string would cost more than counting. */
interface Branch<Child> {
  readonly next: Map<string, Branch<Child>>;
  child: Child | undefined;
}

function childrenByLabels<Child>(make: (values: string[]) => Child): Labelled<Child> {
  const root: Branch<Child> = { next: new Map(), child: undefined };
  return {
    at(...values) {
      let branch = root;
      for (const value of values) {
        let next = branch.next.get(value);
        if (next === undefined) branch.next.set(value, (next = { next: new Map(), child: undefined }));
        branch = next;
      }
      return (branch.child ??= make(values));
    },
  };
}

/** Counts the tokens of answers in `sgnet_<name>`. */
export function tokenCounter(
  factory: MetricFactory,
  name: string,
): (model: string, usage: Usage | undefined) => void {
  const tokens = factory.counter(name, "Tokens of ended tasks, as backends count them", ["model", "kind"]);
  const add = (model: string, kind: string, by: number | undefined): void => {
    if (by !== undefined && by > 0) tokens.at(model, kind).inc(by);
  };
  return (model, usage) => {
    if (usage === undefined) return;
    add(model, "prompt", usage.promptTokens);
    add(model, "completion", usage.completionTokens);
    add(model, "cached", usage.cachedTokens);
    add(model, "reasoning", usage.reasoningTokens);
  };
}
