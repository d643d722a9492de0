import { noteLine } from "../core/attempt-note.ts";
import { traceIdOf } from "../core/trace.ts";
import type { Log } from "../telemetry/log.ts";
import type { GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import { SparingLog } from "../telemetry/sparing-log.ts";
import type { Exchange, Outcome } from "./exchange.ts";
import type { Refusal } from "./intake.ts";
import type { TaskSpans } from "./task-spans.ts";

export interface ReporterOptions {
  readonly log: Log;
  readonly metrics: GatewayMetrics;
  /** True for the models that some worker serves: bounds the labels. */
  readonly serves: (model: string) => boolean;
  readonly spans?: TaskSpans | undefined;
}

/** Tells metrics and log how exchanges ended, and which requests became none. */
export class Reporter {
  readonly #options: ReporterOptions;
  /** A client that is refused comes again at once, perhaps. */
  readonly #sparing: SparingLog;

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#sparing = new SparingLog(options.log);
  }

  ended(exchange: Exchange, outcome: Outcome): void {
    const { log, metrics, serves, spans } = this.#options;
    const { task } = exchange;
    const code = outcome.fault?.code ?? "ok";
    const queueMs = queueWaitMs(task.stream, outcome);
    spans?.ended(exchange, outcome, queueMs);
    metrics.ended({
      endpoint: task.endpoint,
      model: serves(exchange.model) ? exchange.model : "other",
      status: outcome.status,
      code,
      totalSeconds: outcome.totalMs / 1000,
      firstByteSeconds: seconds(outcome.firstByteMs),
      queueSeconds: seconds(queueMs),
      usage: outcome.end?.usage,
      stream: task.stream,
      redelivered: exchange.redelivered,
      leftIn: outcome.leftIn,
      cause: outcome.fault?.blame,
    });
    const { tries } = exchange;
    log.info("request", {
      request: task.requestId,
      task: task.id,
      traceId: traceIdOf(task.trace),
      endpoint: task.endpoint,
      model: exchange.model,
      worker: exchange.worker,
      backend: outcome.end?.backend,
      attempt: attemptsOf(exchange, outcome) || undefined,
      status: outcome.status,
      code,
      cause: outcome.fault?.blame,
      tries: tries.length === 0 ? undefined : tries.map(noteLine).join("; "),
      leftIn: outcome.leftIn,
      queueMs: rounded(queueMs),
      firstByteMs: rounded(outcome.firstByteMs),
      totalMs: Math.round(outcome.totalMs),
      promptTokens: outcome.end?.usage?.promptTokens,
      completionTokens: outcome.end?.usage?.completionTokens,
    });
  }

  refused({ request, task, trace, endpoint, model, fault }: Refusal): void {
    const { log, metrics } = this.#options;
    metrics.rejected(endpoint, fault.code);
    this.#sparing.line(fault.code, () => {
      log.info("request", {
        request,
        task,
        traceId: traceIdOf(trace),
        endpoint,
        model,
        status: fault.http,
        code: fault.code,
        cause: fault.blame,
        totalMs: 0,
      });
    });
  }
}

/** How many attempts are known of; 0 when no worker has begun, as far as its gateway knows. */
export function attemptsOf({ attempts, tries, worker }: Exchange, { end }: Pick<Outcome, "end">): number {
  if (end?.ordinal !== undefined) return end.ordinal;
  return Math.max(attempts, tries.length + (end !== undefined || worker !== undefined ? 1 : 0));
}

/**
 * From accepting the request to the claim of the attempt that answered, ms. Gateway and worker each tell durations by
 * their own clock and never a time, so clocks may differ; what the frame took to get here is in it (about 1 ms). A
 * stream is judged by its first byte: its last may have waited for a slow client.
 */
export function queueWaitMs(stream: boolean, { end, firstByteMs, totalMs }: Outcome): number | undefined {
  if (stream && firstByteMs !== undefined) return difference(firstByteMs, end?.firstByteMs);
  return difference(totalMs, end?.totalMs);
}

function difference(here: number, there: number | undefined): number | undefined {
  return there === undefined ? undefined : Math.max(0, here - there);
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000;
}

function rounded(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms);
}
