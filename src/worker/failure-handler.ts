import type { Ambient } from "../core/ambient.ts";
import { Fault, faultToRecord } from "../core/fault.ts";
import type { AttemptReporter } from "./attempt-reporter.ts";
import type { Attempt } from "./attempt.ts";
import type { BackendSlots } from "./backend-slots.ts";
import { blamed, judgeBackend, judgeLoad } from "./blame.ts";
import type { HealthMonitor } from "./health-monitor.ts";
import { requeueReasonOf } from "./requeuer.ts";
import type { Requeuer, RequeueReason } from "./requeuer.ts";
import type { SlotLease } from "./slot-lease.ts";

export interface FailureHandlerOptions {
  readonly worker: string;
  readonly requeuer: Requeuer;
  readonly reporter: Pick<AttemptReporter, "failed">;
  readonly healthMonitor: Pick<HealthMonitor, "unreachable">;
  readonly ambient: Pick<Ambient, "mono">;
}

/** Decides the fate of an attempt that failed: it is requeued, or its client gets the fault. */
export class FailureHandler {
  readonly #options: FailureHandlerOptions;

  constructor(options: FailureHandlerOptions) {
    this.#options = options;
  }

  /** @param met the fault as the backend, or this process, raised it */
  handle(lease: SlotLease, attempt: Attempt, met: Fault): void {
    const { worker, healthMonitor } = this.#options;
    const { backendSlots } = lease;
    const { stopReason, outbox } = attempt;
    judgeLoad(lease, attempt, met);
    if (stopReason === "draining") this.#leave(backendSlots, attempt);
    if (stopReason !== undefined) return;
    const fault = blamed(met, attempt, { worker, backend: backendSlots.backend.name }, lease.probes);
    const reason = requeueReasonOf(fault);
    judgeBackend(lease, attempt, fault);
    if (reason === "unreachable") healthMonitor.unreachable(backendSlots);
    // A management request is for one server only.
    const mayRunAgain = backendSlots.announced && !outbox.begun;
    if (mayRunAgain && reason !== undefined) void this.#requeue(backendSlots, attempt, reason, fault);
    else this.#giveUp(backendSlots, attempt, fault);
  }

  #leave(backendSlots: BackendSlots, attempt: Attempt): void {
    if (attempt.outbox.begun) {
      this.#giveUp(backendSlots, attempt, new Fault("worker_lost", "the worker stopped during the answer"));
    } else this.#options.requeuer.leave(backendSlots, attempt);
  }

  async #requeue(
    backendSlots: BackendSlots,
    attempt: Attempt,
    reason: RequeueReason,
    fault: Fault,
  ): Promise<void> {
    const { requeuer, reporter } = this.#options;
    const isRequeued =
      requeuer.allows(attempt, reason) && (await requeuer.requeue(backendSlots, attempt, reason, fault));
    if (isRequeued) reporter.failed(backendSlots, attempt, { fault, next: `requeued: ${reason}` });
    else this.#giveUp(backendSlots, attempt, fault);
  }

  #giveUp(backendSlots: BackendSlots, attempt: Attempt, fault: Fault): void {
    const { reporter, ambient } = this.#options;
    reporter.failed(backendSlots, attempt, { fault, next: "sent to the client" });
    attempt.end(backendSlots.backend.name, { fault: faultToRecord(fault) }, ambient.mono());
  }
}
