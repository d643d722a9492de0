import type { Answer } from "../backends/backend.ts";
import { modelOf, queueLabel } from "../core/ability.ts";
import type { Ambient } from "../core/ambient.ts";
import type { Fault } from "../core/fault.ts";
import type { Log } from "../telemetry/log.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import type { WorkerMetrics } from "../telemetry/worker-metrics.ts";
import { AttemptSpans } from "./attempt-spans.ts";
import type { Attempt } from "./attempt.ts";
import type { BackendSlots } from "./backend-slots.ts";

export interface AttemptReporterOptions {
  readonly worker: string;
  readonly metrics: Pick<WorkerMetrics, "ended" | "attemptFailed">;
  readonly log: Log;
  /** Absent when no spans are collected. */
  readonly tracing?: Tracing | undefined;
  readonly ambient: Pick<Ambient, "mono">;
}

/** Writes the metrics, the log and the spans of attempts. */
export class AttemptReporter {
  readonly #options: AttemptReporterOptions;

  constructor(options: AttemptReporterOptions) {
    this.#options = options;
  }

  /** Begins the spans of an attempt; undefined when none are collected. @param name the backend's own id of the model */
  begun({ backend }: BackendSlots, attempt: Attempt, name: string | undefined): AttemptSpans | undefined {
    const { tracing, worker, ambient } = this.#options;
    if (tracing === undefined) return undefined;
    return new AttemptSpans({ tracing, worker, ambient }, attempt, backend, name ?? attempt.model);
  }

  /** Counts the end of an attempt. @param end `ok` with the answer, or a fault code */
  ended(
    backendSlots: BackendSlots,
    attempt: Attempt,
    { code, usage, timings }: Partial<Answer> & { readonly code: string },
  ): void {
    this.#options.metrics.ended({
      // Management queues are named after this worker: they are no models of the fleet.
      model: backendSlots.announced ? modelOf(attempt.model) : "other",
      backend: backendSlots.backend.name,
      code,
      totalSeconds: (this.#options.ambient.mono() - attempt.startedAt) / 1000,
      ...(usage === undefined ? {} : { usage }),
      loadSeconds: timings?.load === undefined ? undefined : timings.load / 1e9,
    });
  }

  /**
   * Writes one line and one count for an attempt that failed. The words of the fault may be the backend's, and are left
   * out.
   */
  failed(
    { backend }: BackendSlots,
    attempt: Attempt,
    { fault, next }: { readonly fault: Fault; readonly next: string },
  ): void {
    const { log, metrics, ambient } = this.#options;
    metrics.attemptFailed(backend.name, fault.blame);
    const isOurs = fault.blame !== "request" && fault.blame !== "client";
    log[isOurs ? "warn" : "info"]("attempt failed", {
      request: attempt.envelope.requestId,
      task: attempt.id,
      model: queueLabel(attempt.model),
      backend: backend.name,
      attempt: attempt.ordinal,
      code: fault.code,
      status: fault.http,
      cause: fault.blame,
      client: attempt.client,
      keyName: attempt.envelope.keyName,
      tenant: attempt.envelope.tenant,
      totalMs: Math.round(ambient.mono() - attempt.startedAt),
      next,
    });
  }
}
