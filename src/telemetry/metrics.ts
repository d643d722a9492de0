import { Gauge, Registry, collectDefaultMetrics } from "prom-client";
import type { Usage } from "../core/usage.ts";
import { TallyHistogram } from "./histogram.ts";
import { TallyCounter } from "./tally-counter.ts";

/**
 * Prometheus metrics of one process. Names begin with `sgnet_`, units are base units (seconds, bytes), and every
 * label is bounded: by the code or, for model names, by the caller. docs/metrics.md lists them all.
 */
export interface Metrics {
  /** Adds the gauge `sgnet_<name>`; `read` is asked at each scrape. */
  observe(name: string, help: string, read: () => number): void;
  /** Adds the gauge `sgnet_<name>` with one label; `read` gives its value for each value of the label. */
  observeEach(
    name: string,
    help: string,
    labelled: { readonly label: string; readonly read: () => Iterable<readonly [string, number]> },
  ): void;
  /** A connection to Redis broke, or could not be opened again. */
  readonly redisFailed: () => void;
  /** Redis answered a periodic command after so many seconds. */
  redisAnswered(seconds: number): void;
  /** This process stood still for so many ms. */
  readonly stalled: (ms: number) => void;
  /** All metrics in Prometheus' text format. */
  render(): Promise<string>;
  /** Of what `render` returns. */
  readonly contentType: string;
  /** What this process tells the fleet: its own metrics and the few of Node that matter, as a JSON text. */
  report(): Promise<string>;
}

export interface MetricsOptions {
  /** Of this product; shown in `sgnet_build_info`. */
  readonly version: string;
  /** Its commit; empty when it is not known. */
  readonly build?: string;
}

/** A metric with its labelled children kept, so that the hot path neither builds nor checks label objects. */
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

/** Where the metrics of one process are made. */
export interface Workshop {
  readonly metrics: Metrics;
  readonly counter: (name: string, help: string, labels: readonly string[]) => Labelled<CounterChild>;
  /** @param labelled.buckets upper bounds, ascending */
  readonly histogram: (
    name: string,
    help: string,
    labelled: { readonly labels: readonly string[]; readonly buckets: readonly number[] },
  ) => Labelled<HistogramChild>;
}

/** Seconds. LLM answers take milliseconds from a cache and many minutes from a large model. */
export const DURATIONS: readonly number[] = [
  0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600, 1800,
];

/** Seconds between tokens: from a small model on a large card to a large model on a processor. */
export const GAPS: readonly number[] = [
  0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5,
];

/** Seconds of one way to Redis and back. */
export const ROUND_TRIPS: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5,
];

/** Milliseconds between two looks of the event-loop monitor; 20 costs no measurable CPU. */
const LOOP_PRECISION_MS = 20;

/** Gauges of prom-client whose names break Prometheus' own rules (`_total` is for counters). */
const MISNAMED = [
  "nodejs_active_handles_total",
  "nodejs_active_requests_total",
  "nodejs_active_resources_total",
];

/** What is reported to the fleet besides our own. */
const REPORTED: ReadonlySet<string> = new Set([
  "process_cpu_seconds_total",
  "process_resident_memory_bytes",
  "nodejs_eventloop_lag_p99_seconds",
]);

/** Opens the registry of one process, with what every process has. */
export function openWorkshop({ version, build = "" }: MetricsOptions): Workshop {
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
  const failed = counter("redis_errors_total", "Broken connections to Redis and failed attempts at one", []);
  const stalls = counter(
    "event_loop_stalls_total",
    "Times this process stood still for half a second or more",
    [],
  ).at();
  const stalled = counter(
    "event_loop_stalled_seconds_total",
    "Seconds that this process stood still",
    [],
  ).at();
  const trips = { labels: [], buckets: ROUND_TRIPS };
  const answered = histogram("redis_roundtrip_seconds", "Announcing oneself in Redis", trips).at();
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

function makers(registry: Registry): Pick<Workshop, "counter" | "histogram"> {
  return {
    counter(name, help, labels) {
      const counter = new TallyCounter({ registry, name: `sgnet_${name}`, help, labels });
      const kept = keep((values) => counter.child(values));
      // Without labels the one child is there from the start: a count of 0 is shown as such.
      if (labels.length === 0) kept.at();
      return kept;
    },
    histogram(name, help, { labels, buckets }) {
      const histogram = new TallyHistogram({ registry, name: `sgnet_${name}`, help, labels, buckets });
      return keep((values) => histogram.child(values));
    },
  };
}

/** Children by one label after the other: a string joined for each look would cost more than the counting. */
interface Branch<Child> {
  readonly next: Map<string, Branch<Child>>;
  child: Child | undefined;
}

function keep<Child>(make: (values: string[]) => Child): Labelled<Child> {
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
  workshop: Workshop,
  name: string,
): (model: string, usage: Usage | undefined) => void {
  const tokens = workshop.counter(name, "Tokens of ended tasks, as backends count them", ["model", "kind"]);
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
