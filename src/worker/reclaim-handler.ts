import { Fault, isFaultCode } from "../core/fault.ts";
import { queueLabel } from "../core/ability.ts";
import type { QueuedTask } from "../redis/task-queue.ts";
import type { Log } from "../telemetry/log.ts";
import type { AttemptNumbers, Delivery } from "./attempt.ts";
import type { FailoverGuard } from "./failover-guard.ts";
import { readTask } from "./first-deliveries.ts";
import type { Link } from "./links.ts";
import type { Rejecter } from "./rejecter.ts";
import type { Runner } from "./runner.ts";
import type { SlotLease } from "./slot-lease.ts";

export interface ReclaimHandlerOptions {
  readonly link: Link<"registry" | "replies">;
  readonly worker: string;
  readonly log: Log;
  readonly runner: Pick<Runner, "run">;
  readonly rejecter: Pick<Rejecter, "discard" | "reject" | "rejectUnreadable">;
  readonly failoverGuard: Pick<FailoverGuard, "endedHere" | "filterRunnable">;
  readonly numbers: AttemptNumbers;
  readonly deliveryLimit: number;
}

/** The past of a task that is taken over. */
export interface Past {
  /** Count of its deliveries, with this one. */
  readonly deliveries: number;
  /** Its worker requeued it. */
  readonly requeued: boolean;
  /** The worker that was lost with it. */
  readonly lost?: string | undefined;
}

/** Goes on with tasks that were taken over: fences the earlier attempts, then runs the task again, or ends it. */
export class ReclaimHandler {
  readonly #options: ReclaimHandlerOptions;

  constructor(options: ReclaimHandlerOptions) {
    this.#options = options;
  }

  /**
   * Resolves with true when the task runs: its attempt then holds the lease. Rejects with `redis_down`.
   */
  async resume(lease: SlotLease, queued: QueuedTask, past: Past): Promise<boolean> {
    const { link, worker, log, failoverGuard, rejecter, runner, numbers } = this.#options;
    const envelope = readTask(queued, rejecter);
    if (envelope === undefined) return false;
    const { id: task } = envelope;
    if (failoverGuard.endedHere(queued, task)) return false;
    // Before CLAIM: while its gateway has not reported, nothing counts as an attempt.
    if ((await failoverGuard.filterRunnable(link, [queued])).length === 0) return false;
    const { deliveries, lost } = past;
    const claim = { task, attempt: numbers.next(), worker, lost };
    const { state, ...claimed } = await link.stores.replies.claim(claim);
    const delivery = { ...claimed, deliveries, lost };
    const { requestId: request, keyName, tenant } = envelope;
    const ids = { request, task, model: queueLabel(queued.model), keyName, tenant };
    log.info("task taken over", { ...ids, state, deliveries, lost });
    if (state === "gone" || state === "answered") {
      rejecter.discard(queued, task);
      return false;
    }
    const rejection = this.#rejectionOf(state, delivery, past.requeued);
    if (rejection === undefined) {
      runner.run(lease, { queued, envelope, delivery });
      return true;
    }
    void rejecter.reject({ queued, envelope, delivery: rejection.delivery }, rejection.fault);
    return false;
  }

  /** Returns the fault of a task that must not run again; undefined for one that may. */
  #rejectionOf(
    state: "fresh" | "begun",
    delivery: Delivery,
    wasRequeued: boolean,
  ): { readonly fault: Fault; readonly delivery: Delivery } | undefined {
    if (state === "begun") {
      return { fault: new Fault("worker_lost", "the worker was lost during the answer"), delivery };
    }
    const { deliveries, ordinal } = delivery;
    if (deliveries <= this.#options.deliveryLimit) return undefined;
    // This delivery runs nothing: only the earlier ones count.
    const before = { ...delivery, deliveries: deliveries - 1, ordinal: ordinal - 1 };
    return { fault: limitFault(before, wasRequeued), delivery: before };
  }
}

/**
 * Returns the fault of a task that reached its delivery limit. It is the fault of its last attempt where that is known:
 * such a failure is no lost worker, and makes no dead letter.
 */
function limitFault({ deliveries, earlier = [] }: Delivery, wasRequeued: boolean): Fault {
  const tries = `${deliveries} ${deliveries === 1 ? "delivery" : "deliveries"}`;
  const last = wasRequeued ? earlier.at(-1) : undefined;
  if (last === undefined || !isFaultCode(last.code)) {
    // A task that several workers did not survive is the cause of their loss.
    const blame = deliveries > 1 ? "request" : "worker";
    return new Fault("delivery_limit", `no worker answered in ${tries}`, { blame });
  }
  const http = last.http >= 400 && last.http <= 599 ? { http: last.http } : {};
  return new Fault(last.code, `the backend failed, and the request was tried in ${tries}`, {
    ...http,
    blame: last.cause,
  });
}
