import type { Ambient } from "../core/ambient.ts";
import { Fault } from "../core/fault.ts";
import type { Stores } from "../redis/stores.ts";
import type { WorkerMetrics } from "../telemetry/worker-metrics.ts";
import type { Attempt } from "./attempt.ts";
import { noteOf } from "./blame.ts";
import type { FleetLookup } from "./fleet-lookup.ts";
import type { Cooldowns } from "./cooldowns.ts";
import type { BackendSlots } from "./backend-slots.ts";

/** A backend that cannot be reached, answers 5xx, breaks off, or takes too long. */
type Failure = "unreachable" | "failing" | "broken-off" | "timed-out";

/**
 * Reason to requeue a task. `busy` (429, 503) is no failure of the backend. `shut`: its circuit was shut, or its slot
 * lent, when the task came. `draining`: the worker stops.
 */
export type RequeueReason = Failure | "busy" | "shut" | "draining";

const FAILURES: ReadonlySet<RequeueReason> = new Set<Failure>([
  "unreachable",
  "failing",
  "broken-off",
  "timed-out",
]);

const STOPPING = new Fault("draining", "the worker stops", { blame: "worker" });

/** Cooldown of a backend that failed with a task, when other backends have the model (ms). */
const ELSEWHERE_MS = 20_000;

/** Cooldown when no other backend has it, and after busy answers; doubled with each attempt (ms). */
const COOLDOWN_MIN_MS = 250;
const COOLDOWN_MAX_MS = 10_000;

/** Most deliveries of a task that got an answer like 5xx, or none in time. The task may itself be the cause. */
const FAILING_DELIVERIES = 2;

/** Longest Retry-After that is believed (ms). */
const RETRY_AFTER_MAX_MS = 60_000;

/** Most deliveries of a task, and most attempts at it while backends are busy. */
export interface RequeueLimits {
  readonly deliveryLimit: number;
  readonly busyLimit: number;
}

export interface RequeuerOptions {
  readonly stores: Pick<Stores, "control" | "leases" | "replies">;
  readonly worker: string;
  readonly limits: RequeueLimits;
  readonly metrics: Pick<WorkerMetrics, "requeued">;
  readonly fleetLookup: Pick<FleetLookup, "serves">;
  readonly cooldowns: Cooldowns;
  readonly ambient: Pick<Ambient, "mono" | "random">;
}

/**
 * Returns the reason to run a task again whose attempt failed before its answer began. Undefined for a final failure:
 * one that the request or its client caused would come again elsewhere.
 */
export function requeueReasonOf(fault: Fault): RequeueReason | undefined {
  const { code, http, blame } = fault;
  if (blame === "request" || blame === "client") return undefined;
  if (code === "backend_busy") return "busy";
  if (code === "backend_unreachable" || code === "connect_timeout") return "unreachable";
  if (code === "first_token_timeout" || code === "idle_timeout") return "timed-out";
  if (code === "backend_lost") return "broken-off";
  return code === "backend_error" && http >= 500 && http !== 501 ? "failing" : undefined;
}

/** Requeues tasks: for other workers first, for this one after a cooldown. */
export class Requeuer {
  readonly #options: RequeuerOptions;

  constructor(options: RequeuerOptions) {
    this.#options = options;
  }

  /** Returns false when a task has been tried often enough: its client then gets the fault of the last attempt. */
  allows(attempt: Attempt, reason: RequeueReason): boolean {
    const { deliveryLimit, busyLimit } = this.#options.limits;
    const { deliveries, ordinal } = attempt;
    if (reason === "draining" || reason === "shut") return true;
    if (reason === "busy") return ordinal < busyLimit;
    if (reason === "unreachable") return deliveries < deliveryLimit;
    return deliveries < Math.min(FAILING_DELIVERIES, deliveryLimit);
  }

  /** Requeues an attempt because its worker stops. That does not count as a delivery. */
  leave(backendSlots: BackendSlots, attempt: Attempt): void {
    attempt.outbox.close("fenced");
    this.#send(backendSlots, attempt, "draining", STOPPING);
  }

  /**
   * Requeues an attempt that met a fault. Resolves with false when no other backend could run it and this one must not:
   * it failed with it, or its cooldown would outlast the deadline.
   */
  async requeue(
    backendSlots: BackendSlots,
    attempt: Attempt,
    reason: RequeueReason,
    fault: Fault,
  ): Promise<boolean> {
    const { fleetLookup, cooldowns, ambient } = this.#options;
    const { model, endsAt } = attempt;
    const elsewhere = await fleetLookup.serves(model, backendSlots);
    const cooldownMs = this.#cooldownMs(attempt, { reason, fault, elsewhere });
    const here = (reason === "busy" || reason === "unreachable") && ambient.mono() + cooldownMs < endsAt;
    if (!elsewhere && !here) return false;
    // It may have been cancelled or fenced meanwhile.
    if (attempt.stopReason !== undefined && attempt.stopReason !== "draining") return true;
    cooldowns.add(attempt, backendSlots, cooldownMs);
    attempt.outbox.close("fenced");
    this.#send(backendSlots, attempt, reason, fault);
    return true;
  }

  /**
   * Requeues a first delivery that its backend does not admit: since the claim its circuit was shut, or its slot was
   * lent. That counts as no delivery. The next CLAIM counts it as an attempt, but a worker that takes a task over has a
   * slot before. So this happens once in the life of a task.
   */
  turnAway(backendSlots: BackendSlots, task: Claimed): void {
    this.#options.cooldowns.add(task, backendSlots, COOLDOWN_MIN_MS);
    this.#send(backendSlots, task, "shut");
  }

  #cooldownMs(
    { ordinal }: Attempt,
    why: { readonly reason: RequeueReason; readonly fault: Fault; readonly elsewhere: boolean },
  ): number {
    const { reason, fault, elsewhere } = why;
    if (elsewhere && reason !== "busy") return ELSEWHERE_MS;
    const jitter = 0.75 + this.#options.ambient.random() / 2;
    const grown = Math.min(COOLDOWN_MAX_MS, COOLDOWN_MIN_MS * 2 ** (ordinal - 1)) * jitter;
    return Math.max(grown, Math.min(RETRY_AFTER_MAX_MS, 1000 * (fault.statedRetryAfter ?? 0)));
  }

  /** @param fault the fault that it met; absent for a task that was not run */
  #send(backendSlots: BackendSlots, task: Attempt | Claimed, reason: RequeueReason, fault?: Fault): void {
    // With Redis away the lease runs out by itself.
    this.#release(task, reason)
      .then((isReleased) => {
        if (!isReleased) return;
        // Keeps this order, on one connection: the worker that is woken finds the note.
        if (fault !== undefined && "id" in task) this.#note(backendSlots, task, fault);
        this.#options.metrics.requeued(backendSlots.backend.name, reason);
        return this.#options.stores.control.sweep(task.model);
      })
      .catch(() => undefined);
  }

  #note({ backend }: BackendSlots, attempt: Attempt, fault: Fault): void {
    const { stores, worker, ambient } = this.#options;
    const where = { worker, backend: backend.name };
    const note = noteOf(fault, attempt, where, ambient.mono() - attempt.startedAt);
    const { id: task, outbox } = attempt;
    stores.replies.addNote({ task, attempt: outbox.attempt, note }).catch(() => undefined);
  }

  /** Resolves with false when this worker was frozen beyond its lease: the task is another worker's, which needs no hint. */
  async #release(task: Claimed, reason: RequeueReason): Promise<boolean> {
    const { stores, worker: consumer } = this.#options;
    const { model, entry } = task;
    const deliveries = FAILURES.has(reason) ? task.deliveries : task.deliveries - 1;
    return stores.leases.requeue({ model, entry, consumer, deliveries });
  }
}

/** A task that this worker holds. */
interface Claimed {
  readonly model: string;
  readonly entry: string;
  readonly deliveries: number;
}
