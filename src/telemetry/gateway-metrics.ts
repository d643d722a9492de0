import type { Cause } from "../core/cause.ts";
import type { Phase } from "../core/phase.ts";
import type { Usage } from "../core/usage.ts";
import { DURATIONS, GAPS, ROUND_TRIPS, openWorkshop, tokenCounter } from "./metrics.ts";
import type { Metrics, MetricsOptions, Workshop } from "./metrics.ts";

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
  readonly firstByteSeconds: number | undefined;
  /** From accepting the request to the claim of the attempt that answered. */
  readonly queueSeconds: number | undefined;
  readonly usage: Usage | undefined;
  readonly stream: boolean;
  /** True when more than one worker was given the task. */
  readonly redelivered: boolean;
  /** The phase in which the client left; absent when it did not. */
  readonly leftIn: Phase | undefined;
  /** To whom a fault is put down; absent for an answer. */
  readonly cause?: Cause | undefined;
}

export interface GatewayMetrics extends Metrics {
  /** A request was accepted as a task. */
  opened(endpoint: string): void;
  /** Redis confirmed a task so many seconds after its request was accepted. */
  queued(seconds: number): void;
  ended(outcome: TaskOutcome): void;
  /** A request was refused before it became a task. */
  rejected(endpoint: string, code: string): void;
  /** A client was cut because the replies of all together were too many, and it took nothing. */
  readonly replyCut: () => void;
  /** Frames that the channel lost were read again from a reply stream. */
  gapFilled(): void;
  /** Frames came in over the channel. */
  frames(count: number, bytes: number): void;
}

export function openGatewayMetrics(options: MetricsOptions): GatewayMetrics {
  const workshop = openWorkshop(options);
  const { counter, histogram, metrics } = workshop;
  const opened = counter("tasks_opened_total", "Requests accepted as tasks", ["endpoint"]);
  const rejected = counter("requests_rejected_total", "Requests refused before they became tasks", [
    "endpoint",
    "code",
  ]);
  const queued = histogram("task_enqueue_seconds", "Accepting a request to its confirmation by Redis", {
    labels: [],
    buckets: ROUND_TRIPS,
  }).at();
  const gaps = counter("reply_gaps_filled_total", "Gaps in a channel filled from the reply stream", []).at();
  const cut = counter("replies_cut_total", "Clients cut to make room for the replies of others", []).at();
  const frames = counter("reply_frames_total", "Frames received from workers", []).at();
  const bytes = counter("reply_bytes_total", "Bytes of frames received from workers", []).at();
  return {
    ...metrics,
    opened: (endpoint) => opened.at(endpoint).inc(),
    queued: (seconds) => queued.observe(seconds),
    ended: endRecorder(workshop),
    rejected: (endpoint, code) => rejected.at(endpoint, code).inc(),
    replyCut: () => cut.inc(),
    gapFilled: () => gaps.inc(),
    frames(received, size) {
      frames.inc(received);
      bytes.inc(size);
    },
  };
}

function endRecorder(workshop: Workshop): (outcome: TaskOutcome) => void {
  const { counter } = workshop;
  const ended = counter("tasks_ended_total", "Tasks ended, by how", ["endpoint", "model", "code", "status"]);
  const redelivered = counter("tasks_redelivered_total", "Ended tasks that needed a second worker", [
    "endpoint",
  ]);
  const cancelled = counter("tasks_cancelled_total", "Tasks whose client left, by the phase it left in", [
    "endpoint",
    "phase",
  ]);
  const failed = counter("tasks_failed_total", "Tasks that got no answer, by whose doing", ["cause"]);
  const recordTimes = timesRecorder(workshop);
  const count = tokenCounter(workshop, "tokens_total");
  return (outcome) => {
    const { endpoint, model, code, status, leftIn } = outcome;
    ended.at(endpoint, model, code, String(status)).inc();
    if (outcome.cause !== undefined) failed.at(outcome.cause).inc();
    if (outcome.redelivered) redelivered.at(endpoint).inc();
    if (leftIn !== undefined) cancelled.at(endpoint, leftIn).inc();
    recordTimes(outcome);
    count(model, outcome.usage);
  };
}

function timesRecorder({ histogram }: Workshop): (outcome: TaskOutcome) => void {
  const byTask = { labels: ["endpoint", "model"], buckets: DURATIONS };
  const total = histogram("task_duration_seconds", "Accepting a request to the end of its reply", byTask);
  const first = histogram(
    "task_first_byte_seconds",
    "Accepting a request to the first byte of its stream",
    byTask,
  );
  const queue = histogram("task_queue_seconds", "Accepting a request to its claim by a worker", {
    labels: ["model"],
    buckets: QUEUE_WAITS,
  });
  const gap = histogram("task_token_gap_seconds", "Mean time between the tokens of a stream", {
    labels: ["model"],
    buckets: GAPS,
  });
  return (outcome) => {
    const { endpoint, model, stream, firstByteSeconds, queueSeconds } = outcome;
    total.at(endpoint, model).observe(outcome.totalSeconds);
    if (queueSeconds !== undefined) queue.at(model).observe(queueSeconds);
    if (!stream || firstByteSeconds === undefined) return;
    first.at(endpoint, model).observe(firstByteSeconds);
    const tokens = outcome.usage?.completionTokens ?? 0;
    if (tokens > 1) gap.at(model).observe((outcome.totalSeconds - firstByteSeconds) / (tokens - 1));
  };
}

/** Seconds. A free slot takes a task within a millisecond. */
const QUEUE_WAITS = [0.001, 0.0025, 0.005, 0.01, ...DURATIONS];
