import { setTimeout as delay } from "node:timers/promises";
import type { Answer } from "../backends/backend.ts";
import type { Ambient } from "../core/ambient.ts";
import { Fault, toFault } from "../core/fault.ts";
import type { FaultCode } from "../core/fault.ts";
import type { Task } from "../core/task.ts";
import { ageOf } from "../redis/inspect/clock.ts";
import type { QueuedTask } from "../redis/task-queue.ts";
import type { TaskEnvelope } from "../wire/task-codec.ts";
import type { AttemptRegistry } from "./attempt-registry.ts";
import type { AttemptReporter } from "./attempt-reporter.ts";
import { Attempt } from "./attempt.ts";
import type { Delivery, StopReason } from "./attempt.ts";
import type { Emitter } from "./emitter.ts";
import type { FailureHandler } from "./failure-handler.ts";
import type { GatewayLiveness } from "./gateway-liveness.ts";
import type { Link } from "./links.ts";
import type { Rejecter } from "./rejecter.ts";
import type { SlotLease } from "./slot-lease.ts";

export interface RunnerOptions {
  readonly link: Link<"bodies">;
  readonly emitter: Pick<Emitter, "open">;
  readonly attemptRegistry: Pick<AttemptRegistry, "add" | "settle">;
  readonly gateways: Pick<GatewayLiveness, "check">;
  readonly rejecter: Pick<Rejecter, "rejectLate">;
  readonly failures: Pick<FailureHandler, "handle">;
  readonly reporter: Pick<AttemptReporter, "begun" | "ended">;
  readonly ambient: Pick<Ambient, "mono" | "now">;
}

/** A claimed task that is to be run, and the delivery that brought it. */
export interface Claim {
  readonly queued: QueuedTask;
  readonly envelope: TaskEnvelope;
  readonly delivery: Delivery;
}

/** Pause before a body is read from Redis again (ms). */
const BODY_RETRY_MS = 200;

/** Runs claimed tasks: one attempt each, from its start to its end frame. */
export class Runner {
  readonly #options: RunnerOptions;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** Starts an attempt, which releases the lease when it ends. Never throws. */
  run(lease: SlotLease, claim: Claim): void {
    const { envelope, delivery } = claim;
    const left = timeLeft(envelope, delivery.ordinal, this.#options.ambient.now() - envelope.createdAt);
    if (isTooLate(left)) void this.#startLate(lease, claim);
    else this.#start(lease, claim, left);
  }

  /**
   * The gateway's wall clock may differ from this one by any amount. Redis knows how long the task has really been
   * queued. With Redis away the task runs: its frames wait, too.
   */
  async #startLate(lease: SlotLease, claim: Claim): Promise<void> {
    const { link, rejecter } = this.#options;
    const { queued, envelope, delivery } = claim;
    const ageMs = await ageOf(link.connection, queued.entry).catch(() => 0);
    const left = timeLeft(envelope, delivery.ordinal, ageMs);
    if (!isTooLate(left)) {
      this.#start(lease, claim, left);
      return;
    }
    rejecter.rejectLate(claim, left.ms <= 0);
    lease.release();
  }

  #start(lease: SlotLease, { queued, envelope, delivery }: Claim, left: TimeLeft): void {
    const { emitter, attemptRegistry, gateways, ambient } = this.#options;
    const { id: task, stream } = envelope;
    const outbox = emitter.open({ task, stream, attempt: delivery.attempt });
    const startedAt = ambient.mono();
    const times = { startedAt, endsAt: startedAt + left.ms };
    const attempt = new Attempt({ envelope, queued, outbox, times, delivery });
    // The slot may be free before: the backend is done, Redis may not be.
    outbox.onOver((verdict) => attemptRegistry.settle(attempt, verdict));
    if (attemptRegistry.add(attempt)) {
      gateways.check(outbox.tag);
      void this.#serve(lease, attempt, envelope);
    } else lease.release();
  }

  async #serve(lease: SlotLease, attempt: Attempt, envelope: TaskEnvelope): Promise<void> {
    const { reporter, failures, ambient } = this.#options;
    const { backendSlots } = lease;
    const { backend } = backendSlots;
    const { outbox } = attempt;
    const name = backendSlots.nameOf(attempt.model);
    const spans = reporter.begun(backendSlots, attempt, name);
    try {
      if (name === undefined) throw new Fault("backend_unreachable", "the backend no longer has the model");
      const whole = hasBody(envelope) ? envelope : await this.#withBody(attempt);
      if (whole === undefined) return spans?.end("cancelled");
      const task = spans === undefined ? whole : { ...whole, trace: spans.trace };
      if (lease.probes) outbox.onBegun(() => outbox.progress.wasSent && lease.firstToken());
      if (lease.cold) outbox.progress.onFirstPiece(() => lease.loaded());
      const answer = await backend.run(task, name, outbox, attempt.signal);
      // An answer of the worker itself, such as a token estimate, says nothing of the backend.
      if (outbox.progress.wasSent) lease.succeeded(loadMsOf(answer));
      const { usage } = answer;
      attempt.end(backend.name, usage === undefined ? {} : { usage }, ambient.mono());
      reporter.ended(backendSlots, attempt, { code: "ok", ...answer });
      spans?.end("ok", usage);
    } catch (error) {
      const fault = attempt.timeoutFault ?? toFault(error);
      failures.handle(lease, attempt, fault);
      const code = codeOf(attempt.stopReason, fault);
      reporter.ended(backendSlots, attempt, { code });
      spans?.end(code);
    } finally {
      lease.release();
    }
  }

  /**
   * Fetches a large body, which lies under its own key. When that is gone, so is the client. A Redis that is away is
   * waited for.
   */
  async #withBody(attempt: Attempt): Promise<Task | undefined> {
    for (;;) {
      try {
        const body = await this.#options.link.stores.bodies.get(attempt.id);
        if (body !== undefined) return { ...attempt.envelope, body };
        attempt.stop("gone");
        return undefined;
      } catch (error) {
        if (attempt.stopReason !== undefined || toFault(error).code !== "redis_down") throw error;
        // A stop of the attempt ends the pause.
        await delay(BODY_RETRY_MS, undefined, { signal: attempt.signal }).catch(() => undefined);
      }
    }
  }
}

/** Time of a task until its deadline, and until its queue timeout (ms). */
interface TimeLeft {
  readonly ms: number;
  readonly queueMs: number;
}

/**
 * @param ordinal count of the attempts, with this one: the queue timeout is for the first only
 * @param ageMs time since its gateway created it (ms)
 */
function timeLeft({ createdAt, deadline, limits }: TaskEnvelope, ordinal: number, ageMs: number): TimeLeft {
  const queueUntil = ordinal === 1 ? limits?.queueUntil || Infinity : Infinity;
  const now = createdAt + Math.max(0, ageMs);
  return { ms: deadline - now, queueMs: queueUntil - now };
}

/** True when the gateway has given the task up, or is about to. */
function isTooLate({ ms, queueMs }: TimeLeft): boolean {
  return ms <= 0 || queueMs <= 0;
}

/** The load time that a backend reports (ms). */
function loadMsOf({ timings }: Answer): number | undefined {
  return timings?.load === undefined ? undefined : timings.load / 1e6;
}

function hasBody(envelope: TaskEnvelope): envelope is TaskEnvelope & Task {
  return envelope.body !== undefined;
}

/** Returns the code under which a failed attempt is counted: a stop from outside is no fault of the backend. */
function codeOf(reason: StopReason | undefined, fault: Fault): FaultCode {
  if (reason === "gone") return "cancelled";
  if (reason === "draining") return "draining";
  return reason === undefined ? fault.code : "worker_lost";
}
