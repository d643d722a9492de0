import type { UsageCounts } from "../core/access/usage-record.ts";
import type { Cause } from "../core/cause.ts";
import type { TaskPhase } from "../core/task-phase.ts";
import type { Usage } from "../core/usage.ts";
import { DURATIONS, GAPS, ROUND_TRIPS, openMetricFactory, tokenCounter } from "./metrics.ts";
import type { Metrics, MetricsOptions, MetricFactory } from "./metrics.ts";

/** End of a task, as the client saw it. */
export interface TaskOutcome {
  // 12 fields: a record, as the metrics have it
  readonly endpoint: string;
  /** Bounded by the caller: a known model, else `other`. */
  readonly model: string;
  /** HTTP status. */
  readonly status: number;
  /** `ok` or a fault code. */
  readonly code: string;
  readonly totalSeconds: number;
  /** From accepting the request to the first byte of the reply. It is recorded for streams only. */
  readonly firstByteSeconds: number | undefined;
  /** From accepting the request to the claim of the attempt that answered. */
  readonly queueSeconds: number | undefined;
  readonly usage: Usage | undefined;
  readonly stream: boolean;
  /** True when more than one worker received the task. */
  readonly redelivered: boolean;
  /** The phase in which the client was gone; absent when it stayed. */
  readonly leftIn: TaskPhase | undefined;
  /** The party to which a fault is put down; absent for an answer. */
  readonly cause?: Cause | undefined;
}

export interface GatewayMetrics extends Metrics {
  /** A request was accepted as a task. */
  opened(endpoint: string): void;
  /** Redis confirmed a task, this many seconds after its request was accepted. */
  queued(seconds: number): void;
  ended(outcome: TaskOutcome): void;
  /** A request was refused before it became a task. */
  rejected(endpoint: string, code: string): void;
  /** A request brought a wrong key. @param isLimited true when its network had sent too many */
  readonly wrongKey: (isLimited: boolean) => void;
  /** A client that read nothing was disconnected, since all held replies together were too large. */
  readonly replyCut: () => void;
  /** Redis was asked for units of rate limits, or was sent settlements. */
  readonly sliceCalled: () => void;
  /** Frames that the channel had lost were read from a reply stream. */
  gapFilled(): void;
  /** Frames came in over the channel. */
  frames(count: number, bytes: number): void;
  /** A task of a tenant has ended. @param tenant bounded by the caller @param code `ok` or a fault code */
  tenantUsed(tenant: string, counts: UsageCounts, code: string): void;
  /** A request of a tenant was refused before it became a task. @param tenant bounded by the caller */
  tenantRefused(tenant: string, code: string): void;
}

export function openGatewayMetrics(options: MetricsOptions): GatewayMetrics {
  const factory = openMetricFactory(options);
  const { counter, histogram, metrics } = factory;
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
  const cut = counter(
    "replies_cut_total",
    "Clients disconnected to make room for the replies of others",
    [],
  ).at();
  const wrongKeys = counter("wrong_keys_total", "Requests with a wrong key", ["answer"]);
  const sliceCalls = counter("slice_calls_total", "Calls to Redis for slices of rate limits", []).at();
  const frames = counter("reply_frames_total", "Frames received from workers", []).at();
  const bytes = counter("reply_bytes_total", "Bytes of frames received from workers", []).at();
  return {
    ...metrics,
    opened: (endpoint) => opened.at(endpoint).inc(),
    queued: (seconds) => queued.observe(seconds),
    ended: endRecorder(factory),
    rejected: (endpoint, code) => rejected.at(endpoint, code).inc(),
    wrongKey: (isLimited) => wrongKeys.at(isLimited ? "limited" : "judged").inc(),
    replyCut: () => cut.inc(),
    sliceCalled: () => sliceCalls.inc(),
    gapFilled: () => gaps.inc(),
    frames(received, size) {
      frames.inc(received);
      bytes.inc(size);
    },
    ...tenantRecorders(factory),
  };
}

function tenantRecorders({ counter }: MetricFactory): Pick<GatewayMetrics, "tenantUsed" | "tenantRefused"> {
  const tokens = counter("tenant_tokens_total", "Tokens that the keys of a tenant used", ["tenant", "type"]);
  const requests = counter("tenant_requests_total", "Ended tasks of a tenant by result", ["tenant", "code"]);
  const refusals = counter("tenant_refusals_total", "Requests of a tenant refused before they became tasks", [
    "tenant",
    "code",
  ]);
  return {
    tenantUsed: (tenant, { inputTokens, outputTokens, cachedTokens }, code) => {
      requests.at(tenant, code).inc();
      tokens.at(tenant, "input").inc(inputTokens);
      tokens.at(tenant, "output").inc(outputTokens);
      tokens.at(tenant, "cached").inc(cachedTokens);
    },
    tenantRefused: (tenant, code) => refusals.at(tenant, code).inc(),
  };
}

function endRecorder(factory: MetricFactory): (outcome: TaskOutcome) => void {
  const { counter } = factory;
  const ended = counter("tasks_ended_total", "Ended tasks by result", [
    "endpoint",
    "model",
    "code",
    "status",
  ]);
  const redelivered = counter("tasks_redelivered_total", "Ended tasks that more than one worker received", [
    "endpoint",
  ]);
  const cancelled = counter("tasks_cancelled_total", "Tasks whose client was gone, by phase", [
    "endpoint",
    "phase",
  ]);
  const failed = counter("tasks_failed_total", "Tasks without an answer, by cause", ["cause"]);
  const recordTimes = timesRecorder(factory);
  const count = tokenCounter(factory, "tokens_total");
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

function timesRecorder({ histogram }: MetricFactory): (outcome: TaskOutcome) => void {
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

/** Buckets in seconds. A free slot takes a task within a millisecond. */
const QUEUE_WAITS = [0.001, 0.0025, 0.005, 0.01, ...DURATIONS];
