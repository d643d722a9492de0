import type { QueuedTask } from "../redis/task-queue.ts";
import type { WorkerMetrics } from "../telemetry/worker-metrics.ts";
import { decodeTask } from "../wire/task-codec.ts";
import type { TaskEnvelope } from "../wire/task-codec.ts";
import type { AttemptRegistry } from "./attempt-registry.ts";
import type { AttemptNumbers } from "./attempt.ts";
import type { BackendSlots } from "./backend-slots.ts";
import type { Rejecter } from "./rejecter.ts";
import type { Requeuer } from "./requeuer.ts";
import type { Runner } from "./runner.ts";
import type { Sweeper } from "./sweeper.ts";

export interface FirstDeliveriesOptions {
  readonly attemptRegistry: Pick<AttemptRegistry, "runs" | "reclaims">;
  readonly sweeper: Pick<Sweeper, "findOrphans">;
  readonly rejecter: Pick<Rejecter, "rejectUnreadable">;
  readonly requeuer: Pick<Requeuer, "turnAway">;
  readonly runner: Pick<Runner, "run">;
  readonly numbers: AttemptNumbers;
  readonly metrics: Pick<WorkerMetrics, "claimed">;
}

/** Decodes and starts the tasks that Redis delivers for the first time, where their backend still admits them. */
export class FirstDeliveries {
  readonly #options: FirstDeliveriesOptions;

  constructor(options: FirstDeliveriesOptions) {
    this.#options = options;
  }

  /** Starts a task. Never throws. @param claimedAt mono ms before Redis gave it to this worker: a later claim has a greater number */
  start(backendSlots: BackendSlots, queued: QueuedTask, claimedAt: number): void {
    const { attemptRegistry, sweeper, requeuer, runner, numbers, metrics } = this.#options;
    const { model, entry } = queued;
    metrics.claimed(1);
    // It counted as an orphan while its delivery was on the way, and is being taken over.
    if (attemptRegistry.reclaims(model, entry)) {
      sweeper.findOrphans();
      return;
    }
    const envelope = readTask(queued, this.#options.rejecter);
    // It counted as an orphan, and runs already.
    if (envelope === undefined || attemptRegistry.runs(envelope.id, entry)) return;
    if (!backendSlots.admits(model)) {
      requeuer.turnAway(backendSlots, { model, entry, deliveries: 1 });
      return;
    }
    const delivery = { deliveries: 1, ordinal: 1, attempt: numbers.next(claimedAt) };
    runner.run(backendSlots.occupy(model), { queued, envelope, delivery });
  }
}

/** Returns the task of a queue entry; undefined for an entry that is none, which is then rejected. Never throws. */
export function readTask(
  queued: QueuedTask,
  rejecter: Pick<Rejecter, "rejectUnreadable">,
): TaskEnvelope | undefined {
  try {
    return decodeTask(queued.payload);
  } catch (error) {
    rejecter.rejectUnreadable(queued, error);
    return undefined;
  }
}
