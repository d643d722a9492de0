import { noteLine } from "../../core/attempt-note.ts";
import { attemptsOf, queueWaitMs } from "../../core/outcome.ts";
import type { Outcome } from "../../core/outcome.ts";
import type { TaskSummary } from "../../core/summary.ts";
import { traceIdOf } from "../../core/trace.ts";
import type { SummaryLog } from "../../redis/inspect/summary-log.ts";
import type { GatewayMetrics } from "../../telemetry/gateway-metrics.ts";
import type { Log } from "../../telemetry/log.ts";
import { RateLimitedLog } from "../../telemetry/rate-limited-log.ts";
import type { Tracing } from "../../telemetry/tracing.ts";
import type { Catalogue } from "../fleet/catalogue.ts";
import type { Exchange } from "../requests/exchange.ts";
import type { Rejection, TaskObserver } from "../requests/task-observer.ts";
import { TaskSpans } from "./task-spans.ts";

export interface TaskObserversOptions {
  readonly log: Log;
  readonly metrics: GatewayMetrics;
  readonly catalogue: Pick<Catalogue, "serves">;
  /** Absent when no collector takes spans. */
  readonly tracing?: Tracing | undefined;
}

/** The observers of every gateway: spans, metrics, log lines. */
export function openTaskObservers({
  log,
  metrics,
  catalogue,
  tracing,
}: TaskObserversOptions): TaskObserver[] {
  const observers = [new TaskMetrics(metrics, catalogue), new RequestLog(log)];
  // Spans come first: they set the trace that the log line names.
  return tracing === undefined ? observers : [new TaskSpans(tracing), ...observers];
}

/** Counts tasks and their times in the metrics of a gateway. */
export class TaskMetrics implements TaskObserver {
  readonly #metrics: Pick<GatewayMetrics, "opened" | "queued" | "ended" | "rejected">;
  readonly #catalogue: Pick<Catalogue, "serves">;

  /** @param catalogue knows the models that some worker serves: bounds the labels */
  constructor(
    metrics: Pick<GatewayMetrics, "opened" | "queued" | "ended" | "rejected">,
    catalogue: Pick<Catalogue, "serves">,
  ) {
    this.#metrics = metrics;
    this.#catalogue = catalogue;
  }

  accepted({ task }: Exchange): void {
    this.#metrics.opened(task.endpoint);
  }

  queued({ queuedMs }: Exchange): void {
    if (queuedMs !== undefined) this.#metrics.queued(queuedMs / 1000);
  }

  ended(exchange: Exchange, outcome: Outcome): void {
    const { task, model, redelivered } = exchange;
    const { fault, status, firstByteMs, totalMs } = outcome;
    this.#metrics.ended({
      endpoint: task.endpoint,
      model: this.#catalogue.serves(model) ? model : "other",
      status,
      code: fault?.code ?? "ok",
      totalSeconds: totalMs / 1000,
      firstByteSeconds: seconds(firstByteMs),
      queueSeconds: seconds(queueWaitMs(task.stream, outcome)),
      usage: outcome.end?.usage,
      stream: task.stream,
      redelivered,
      leftIn: outcome.goneIn,
      cause: fault?.blame,
    });
  }

  rejected({ endpoint, fault }: Rejection): void {
    this.#metrics.rejected(endpoint, fault.code);
  }
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000;
}

/** Writes a log line for each request that ended or was rejected. */
export class RequestLog implements TaskObserver {
  readonly #log: Log;
  /** A rejected client may come again at once. */
  readonly #rateLimited: RateLimitedLog;

  constructor(log: Log) {
    this.#log = log;
    this.#rateLimited = new RateLimitedLog(log);
  }

  ended(exchange: Exchange, outcome: Outcome): void {
    const { task, model, worker, tries } = exchange;
    const { fault, status, end, firstByteMs, totalMs } = outcome;
    this.#log.info("request", {
      request: task.requestId,
      task: task.id,
      traceId: traceIdOf(task.trace),
      endpoint: task.endpoint,
      keyName: task.keyName,
      tenant: task.tenant,
      model,
      worker,
      backend: end?.backend,
      attempt: attemptsOf(exchange, outcome) || undefined,
      status,
      code: fault?.code ?? "ok",
      cause: fault?.blame,
      tries: tries.length === 0 ? undefined : tries.map(noteLine).join("; "),
      leftIn: outcome.goneIn,
      queueMs: rounded(queueWaitMs(task.stream, outcome)),
      firstByteMs: rounded(firstByteMs),
      totalMs: Math.round(totalMs),
      promptTokens: end?.usage?.promptTokens,
      completionTokens: end?.usage?.completionTokens,
    });
  }

  rejected({ request, task, trace, endpoint, keyName, tenant, model, fault }: Rejection): void {
    this.#rateLimited.line(fault.code, () => {
      this.#log.info("request", {
        request,
        task,
        traceId: traceIdOf(trace),
        endpoint,
        keyName,
        tenant,
        model,
        status: fault.http,
        code: fault.code,
        cause: fault.blame,
        totalMs: 0,
      });
    });
  }
}

function rounded(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms);
}

/** Time that summaries gather before they are written, ms. */
const FLUSH_MS = 250;

/**
 * This many summaries are written sooner. A write of 2000 would block gateway and Redis for 4 ms each. Objects that are
 * kept for long cost more to collect.
 */
const MOST_AT_ONCE = 64;

/** Most summaries taken within {@link FLUSH_MS}. More are dropped: a flood must not reach Redis. */
const MOST = 2000;

/**
 * Keeps summaries of ended tasks in Redis, many at once and off the hot path. A task costs the gateway 0.3 us when it
 * ends. Its share of the write is 2 us, 0.75 us of it for JSON (measured on a busy machine). A summary that Redis does
 * not take is lost; nothing depends on it.
 */
export class TaskLog implements TaskObserver {
  readonly #summaries: Pick<SummaryLog, "append">;
  #gathered: TaskSummary[] = [];
  /** Taken since the timer was set. */
  #taken = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Resolves when Redis has answered the latest write, and so all: it answers in order. */
  #written: Promise<void> = Promise.resolve();

  constructor(summaries: Pick<SummaryLog, "append">) {
    this.#summaries = summaries;
  }

  ended(exchange: Exchange, outcome: Outcome): void {
    this.add(summaryOf(exchange, outcome));
  }

  rejected({ task, request, endpoint, model, at, keyName, tenant, fault }: Rejection): void {
    const outcome = { code: fault.code, status: fault.http, cause: fault.blame, totalMs: 0 };
    this.add({ task, request, endpoint, model, at, keyName, tenant, ...outcome });
  }

  add(summary: TaskSummary): void {
    if (this.#taken >= MOST) return;
    this.#taken += 1;
    this.#gathered.push(summary);
    this.#timer ??= setTimeout(() => {
      void this.flush();
    }, FLUSH_MS);
    if (this.#gathered.length >= MOST_AT_ONCE) this.#write();
  }

  /** Writes the summaries that have gathered. Resolves when Redis has all, or has not taken them. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#taken = 0;
    this.#write();
    await this.#written;
  }

  #write(): void {
    const summaries = this.#gathered;
    this.#gathered = [];
    if (summaries.length === 0) return;
    this.#written = this.#summaries.append(summaries).catch(() => undefined);
  }
}

/** A plain literal: spreading only the members that are there would double the cost. JSON drops undefined ones. */
function summaryOf(exchange: Exchange, outcome: Outcome): TaskSummary {
  const { task } = exchange;
  const { end, fault } = outcome;
  return {
    task: task.id,
    request: task.requestId,
    endpoint: task.endpoint,
    model: exchange.model,
    at: task.createdAt,
    keyName: task.keyName,
    tenant: task.tenant,
    code: fault?.code ?? "ok",
    status: outcome.status,
    totalMs: tenths(outcome.totalMs),
    stream: task.stream,
    worker: exchange.worker,
    backend: end?.backend,
    attempts: attemptsOf(exchange, outcome),
    cause: fault?.blame,
    tries: exchange.tries.length === 0 ? undefined : exchange.tries,
    queuedMs: tenths(exchange.queuedMs),
    claimedMs: tenths(queueWaitMs(task.stream, outcome)),
    backendMs: tenths(end?.firstByteMs),
    firstByteMs: tenths(outcome.firstByteMs),
    leftIn: outcome.goneIn,
    promptTokens: end?.usage?.promptTokens,
    completionTokens: end?.usage?.completionTokens,
    bytes: exchange.bytes,
  };
}

function tenths<Ms extends number | undefined>(ms: Ms): Ms {
  return (ms === undefined ? undefined : Math.round(ms * 10) / 10) as Ms;
}
