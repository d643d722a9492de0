import type { Ambient } from "../core/ambient.ts";
import type { AttemptNote } from "../core/attempt-note.ts";
import type { Fault } from "../core/fault.ts";
import type { FrameEnd } from "../core/frame.ts";
import type { Endpoint, Task } from "../core/task.ts";
import type { PhaseLimits } from "../core/timeouts.ts";
import type { QueuedTask } from "../redis/task-queue.ts";
import type { TaskEnvelope } from "../wire/task-codec.ts";
import type { LeaseJudge } from "./lease-judge.ts";
import type { Outbox } from "./outbox.ts";

/**
 * Reason for a stop from outside; a clean stop is no error. `gone`: the client is gone. `fenced`, `lease-lost`: another
 * worker has the task. `draining`: this worker stops.
 */
export type StopReason = "gone" | "fenced" | "lease-lost" | "draining";

/** The delivery that brought a claimed task to this worker. */
export interface Delivery {
  /** Count of the deliveries of the task, with this one. */
  readonly deliveries: number;
  /** Count of the attempts at the task, with this one. It also counts busy backends and draining workers. */
  readonly ordinal: number;
  /** Number of the attempt, see {@link newAttemptNumber}: set by the CLAIM that fenced earlier attempts, if there was one. */
  readonly attempt: number;
  /** Failures of earlier attempts that were requeued, the oldest first; absent for none. */
  readonly earlier?: readonly AttemptNote[] | undefined;
  /** The worker that was lost with the attempt before. */
  readonly lost?: string | undefined;
}

/** The start of an attempt, and its deadline (mono ms). */
export interface AttemptTimes {
  readonly startedAt: number;
  readonly endsAt: number;
}

/** One run of a task by this worker. */
export class Attempt {
  /** Task id. */
  readonly id: string;
  /** Mono ms of the deadline, as well as this worker's wall clock shows it. */
  readonly endsAt: number;
  /** Name of the queue: a model key, perhaps with an ability. */
  readonly model: string;
  readonly entry: string;
  readonly outbox: Outbox;
  /** Mono ms of the start. */
  readonly startedAt: number;
  readonly delivery: Delivery;
  /** Without the body: an attempt waits for Redis when its backend is done, and an outage may last. */
  readonly envelope: Omit<TaskEnvelope, "body">;
  readonly #limits: (PhaseLimits & Pick<Task, "own">) | undefined;
  readonly #abort = new AbortController();
  #stopReason: StopReason | undefined;
  #timeoutFault: Fault | undefined;

  constructor(options: {
    readonly envelope: TaskEnvelope;
    readonly queued: Pick<QueuedTask, "model" | "entry">;
    readonly outbox: Outbox;
    readonly times: AttemptTimes;
    readonly delivery: Delivery;
  }) {
    const { queued, outbox, times, delivery } = options;
    const { body: _body, ...envelope } = options.envelope;
    const { limits, own } = envelope;
    this.#limits = limits === undefined || own === undefined ? limits : { ...limits, own };
    this.id = envelope.id;
    this.envelope = envelope;
    this.model = queued.model;
    this.entry = queued.entry;
    this.outbox = outbox;
    this.startedAt = times.startedAt;
    this.endsAt = times.endsAt;
    this.delivery = delivery;
  }

  get deliveries(): number {
    return this.delivery.deliveries;
  }

  get ordinal(): number {
    return this.delivery.ordinal;
  }

  get endpoint(): Endpoint {
    return this.envelope.endpoint;
  }

  /** A digest of the client; undefined when it is not known. */
  get client(): string | undefined {
    return this.envelope.client;
  }

  get earlier(): readonly AttemptNote[] {
    return this.delivery.earlier ?? [];
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get stopReason(): StopReason | undefined {
    return this.#stopReason;
  }

  /** The fault of the phase that lasted too long; undefined for none. */
  get timeoutFault(): Fault | undefined {
    return this.#timeoutFault;
  }

  /** Stops the backend when a phase has lasted too long. @param now mono ms */
  check(now: number): void {
    // A backend that is paused does not fall silent by itself.
    if (this.outbox.backpressure.check(now)) this.outbox.progress.extend();
    if (this.#limits === undefined || this.#timeoutFault !== undefined || this.#stopReason !== undefined)
      return;
    this.#timeoutFault = this.outbox.progress.check(this.#limits);
    if (this.#timeoutFault !== undefined) this.#abort.abort(this.#timeoutFault);
  }

  /** Stops the backend at once. The first reason stands. */
  stop(reason: StopReason): void {
    if (this.#stopReason !== undefined) return;
    this.#stopReason = reason;
    this.#abort.abort();
    this.outbox.backpressure.end();
    if (reason !== "draining") this.outbox.close(reason === "gone" ? "gone" : "fenced");
  }

  /** Ends the reply with the times and the backend of this attempt. @param now mono ms */
  end(backend: string, end: FrameEnd, now: number): void {
    const { startedAt, outbox, delivery } = this;
    const facts = { ...end, totalMs: Math.round(now - startedAt), backend, ...orderOf(delivery) };
    const { firstByteAt } = outbox;
    outbox.end(
      firstByteAt === undefined ? facts : { ...facts, firstByteMs: Math.round(firstByteAt - startedAt) },
    );
  }
}

const FIRST_ORDER = {};

/** Returns the order of an attempt as the end frame has it: nothing for the first. */
function orderOf({ ordinal, lost }: Pick<Delivery, "ordinal" | "lost">): Pick<FrameEnd, "ordinal" | "lost"> {
  if (ordinal === 1) return FIRST_ORDER;
  return lost === undefined ? { ordinal } : { ordinal, lost };
}

/** Numbers the attempts of this worker by the clock of Redis, which all workers share. */
export class AttemptNumbers {
  readonly #leaseJudge: Pick<LeaseJudge, "clock">;
  readonly #ambient: Pick<Ambient, "mono" | "random">;

  constructor(leaseJudge: Pick<LeaseJudge, "clock">, ambient: Pick<Ambient, "mono" | "random">) {
    this.#leaseJudge = leaseJudge;
    this.#ambient = ambient;
  }

  /** Returns the number of an attempt. @param claimedAt mono ms before Redis gave the task to this worker; now when absent */
  next(claimedAt: number = this.#ambient.mono()): number {
    return newAttemptNumber(this.#leaseJudge.clock(claimedAt), this.#ambient.random());
  }
}

const EPOCH = Date.UTC(2026, 0, 1);

/**
 * Returns a number for a new attempt: unique per run, growing with time, below 2^53 until the year 2095. A count of 1,
 * 2, 3 would not do: after a failover that lost data two workers can both be the first to get a task.
 * @param now ms since 1970 by the clock that all workers share: a later attempt must have the greater number, and the
 * first leaves no mark in Redis before its first frame
 */
export function newAttemptNumber(now: number, random: number): number {
  // A clock that was never set says 1970.
  return Math.max(1, now - EPOCH) * 4096 + Math.floor(random * 4096);
}
