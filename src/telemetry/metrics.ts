import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import type { Usage } from "../core/usage.ts";

/**
 * Prometheus metrics of one process. Names begin with `sgnet_`, units are base units (seconds, bytes), and every
 * label is bounded: by the code or, for model names, by the caller. docs/metrics.md lists them all.
 */
export interface Metrics {
  /** Adds the gauge `sgnet_<name>`; `read` is asked at each scrape. */
  observe(name: string, help: string, read: () => number): void;
  /** All metrics in Prometheus' text format. */
  render(): Promise<string>;
  /** Of what `render` returns. */
  readonly contentType: string;
}

export interface MetricsOptions {
  /** Of this product; shown in `sgnet_build_info`. */
  readonly version: string;
}

/** How a task ended, as its client saw it. */
export interface TaskOutcome {
  readonly endpoint: string;
  /** Bounded by the caller: a known model, else `other`. */
  readonly model: string;
  /** HTTP status. */
  readonly status: number;
  /** `ok` or a fault code. */
  readonly code: string;
  readonly totalSeconds: number;
  /** From accepting the request to the first byte of the reply; only that of a stream is recorded. */
  readonly firstByteSeconds?: number;
  readonly usage?: Usage;
  readonly stream: boolean;
  /** True when more than one worker was given the task. */
  readonly redelivered: boolean;
}

export interface GatewayMetrics extends Metrics {
  /** A request was accepted as a task. */
  opened(endpoint: string): void;
  ended(outcome: TaskOutcome): void;
  /** A request was refused before it became a task. */
  rejected(endpoint: string, code: string): void;
  /** Frames that the channel lost were read again from a reply stream. */
  gapFilled(): void;
  /** Frames came in over the channel. */
  frames(count: number, bytes: number): void;
}

/** How an attempt ended, as its worker saw it. */
export interface AttemptOutcome {
  /** Bounded by what the worker's backends offer. */
  readonly model: string;
  readonly backend: string;
  /** `ok` or a fault code. */
  readonly code: string;
  readonly totalSeconds: number;
  readonly usage?: Usage;
}

export interface WorkerMetrics extends Metrics {
  claimed(count: number): void;
  ended(outcome: AttemptOutcome): void;
  /** Tasks were taken over from a worker whose lease ran out. */
  reclaimed(count: number): void;
  /** Redis refused a frame because another worker has the task. */
  fenced(): void;
  /** One flush of frames was accepted by Redis. */
  emitted(frames: number, bytes: number): void;
}

/** Seconds. LLM answers take milliseconds from a cache and many minutes from a large model. */
const DURATIONS = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600, 1800];

/** Milliseconds between two looks of the event-loop monitor; 20 costs no measurable CPU. */
const LOOP_PRECISION_MS = 20;

export function openGatewayMetrics(options: MetricsOptions): GatewayMetrics {
  const room = openRoom(options);
  const opened = room.counter("tasks_opened_total", "Requests accepted as tasks", ["endpoint"]);
  const ended = room.counter("tasks_ended_total", "Tasks ended, by how", [
    "endpoint",
    "model",
    "code",
    "status",
  ]);
  const redelivered = room.counter("tasks_redelivered_total", "Ended tasks that needed a second worker", [
    "endpoint",
  ]);
  const total = room.histogram("task_duration_seconds", "Accepting a request to the end of its reply", [
    "endpoint",
    "model",
  ]);
  const first = room.histogram(
    "task_first_byte_seconds",
    "Accepting a request to the first byte of its stream",
    ["endpoint", "model"],
  );
  const rejected = room.counter("requests_rejected_total", "Requests refused before they became tasks", [
    "endpoint",
    "code",
  ]);
  const gaps = room.counter("reply_gaps_filled_total", "Gaps in a channel filled from the reply stream", []);
  const frames = room.counter("reply_frames_total", "Frames received from workers", []);
  const bytes = room.counter("reply_bytes_total", "Bytes of frames received from workers", []);
  const count = tokenCounter(room);
  return {
    ...room.metrics,
    opened: (endpoint) => opened.at(endpoint).inc(),
    ended(outcome) {
      const { endpoint, model } = outcome;
      ended.at(endpoint, model, outcome.code, String(outcome.status)).inc();
      total.at(endpoint, model).observe(outcome.totalSeconds);
      if (outcome.stream && outcome.firstByteSeconds !== undefined)
        first.at(endpoint, model).observe(outcome.firstByteSeconds);
      if (outcome.redelivered) redelivered.at(endpoint).inc();
      count(model, outcome.usage);
    },
    rejected: (endpoint, code) => rejected.at(endpoint, code).inc(),
    gapFilled: () => gaps.at().inc(),
    frames(received, size) {
      frames.at().inc(received);
      bytes.at().inc(size);
    },
  };
}

export function openWorkerMetrics(options: MetricsOptions): WorkerMetrics {
  const room = openRoom(options);
  const claimed = room.counter("worker_claims_total", "Tasks claimed", []);
  const reclaimed = room.counter("worker_reclaims_total", "Tasks taken over from a dead worker", []);
  const fenced = room.counter(
    "worker_fenced_total",
    "Frames refused because another worker has the task",
    [],
  );
  const ended = room.counter("worker_attempts_ended_total", "Attempts ended, by how", [
    "model",
    "backend",
    "code",
  ]);
  const total = room.histogram("worker_attempt_duration_seconds", "Claim to the end of an attempt", [
    "model",
    "backend",
  ]);
  const flushes = room.counter("worker_flushes_total", "Batches of frames accepted by Redis", []);
  const frames = room.counter("worker_frames_total", "Frames accepted by Redis", []);
  const bytes = room.counter("worker_frame_bytes_total", "Bytes of frames accepted by Redis", []);
  const count = tokenCounter(room);
  return {
    ...room.metrics,
    claimed: (tasks) => claimed.at().inc(tasks),
    reclaimed: (tasks) => reclaimed.at().inc(tasks),
    fenced: () => fenced.at().inc(),
    ended(outcome) {
      const { model, backend, code } = outcome;
      ended.at(model, backend, code).inc();
      total.at(model, backend).observe(outcome.totalSeconds);
      count(model, outcome.usage);
    },
    emitted(accepted, size) {
      flushes.at().inc();
      frames.at().inc(accepted);
      bytes.at().inc(size);
    },
  };
}

/** A metric with its labelled children kept, so that the hot path neither builds nor checks label objects. */
interface Labelled<Child> {
  /** The child of these label values, in the order of the label names. */
  at(...values: string[]): Child;
}

interface CounterChild {
  inc(by?: number): void;
}

interface HistogramChild {
  observe(value: number): void;
}

interface Room {
  readonly metrics: Metrics;
  counter(name: string, help: string, labels: readonly string[]): Labelled<CounterChild>;
  histogram(name: string, help: string, labels: readonly string[]): Labelled<HistogramChild>;
}

function openRoom({ version }: MetricsOptions): Room {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LOOP_PRECISION_MS });
  const build = new Gauge({
    name: "sgnet_build_info",
    help: "Always 1; the labels name the versions",
    labelNames: ["version", "node"],
    registers,
  });
  build.labels(version, process.version).set(1);
  return {
    metrics: {
      observe(name, help, read) {
        const gauge: Gauge = new Gauge({
          name: `sgnet_${name}`,
          help,
          registers: [],
          collect: (): void => gauge.set(read()),
        });
        registry.registerMetric(gauge);
      },
      render: () => registry.metrics(),
      contentType: registry.contentType,
    },
    counter(name, help, labels) {
      const counter = new Counter({ name: `sgnet_${name}`, help, labelNames: [...labels], registers });
      return labels.length === 0 ? { at: () => counter } : keep((values) => counter.labels(...values));
    },
    histogram(name, help, labels) {
      const labelNames = [...labels];
      const histogram = new Histogram({
        name: `sgnet_${name}`,
        help,
        labelNames,
        registers,
        buckets: DURATIONS,
      });
      return keep((values) => histogram.labels(...values));
    },
  };
}

function keep<Child>(make: (values: string[]) => Child): Labelled<Child> {
  const children = new Map<string, Child>();
  return {
    at(...values) {
      const key = values.join("\n");
      let child = children.get(key);
      if (child === undefined) {
        child = make(values);
        children.set(key, child);
      }
      return child;
    },
  };
}

function tokenCounter(room: Room): (model: string, usage: Usage | undefined) => void {
  const tokens = room.counter("tokens_total", "Tokens of ended tasks, as backends count them", [
    "model",
    "kind",
  ]);
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
