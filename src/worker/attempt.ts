import type { AttemptNote } from "../core/attempt-note.ts";
import type { Fault } from "../core/fault.ts";
import type { Endpoint, Task } from "../core/task.ts";
import type { PhaseLimits } from "../core/timeouts.ts";
import type { TaskEnvelope } from "../wire/task-codec.ts";
import type { Outbox } from "./outbox.ts";

/**
 * Why an attempt is stopped from outside; a clean stop is no error. `gone`: nobody waits. `fenced`, `lease-lost`:
 * another worker has the task. `draining`: this worker is leaving.
 */
export type StopReason = "gone" | "fenced" | "lease-lost" | "draining";

/** How a claimed task came into this worker's hands. */
export interface Delivery {
  /** How often the task has been delivered, this time included. */
  readonly deliveries: number;
  /** The how-manieth attempt this is. */
  readonly ordinal: number;
  /** Its number, see {@link newAttemptNumber}: by the claim that fenced earlier attempts, if there was any. */
  readonly attempt: number;
  /** How attempts before failed that were handed back, the oldest first; absent for none. */
  readonly earlier?: readonly AttemptNote[] | undefined;
  /** The worker that was lost with the attempt before. */
  readonly lost?: string | undefined;
}

/** One run of a task by this worker. */
export class Attempt {
  /** Task id. */
  readonly id: string;
  /** Mono ms of its deadline, as well as this worker's wall clock tells. */
  readonly endsAt: number;
  /** Model key: names the queue. */
  readonly model: string;
  readonly entry: string;
  readonly outbox: Outbox;
  /** Mono ms of the claim. */
  readonly startedAt: number;
  /** How often the task has been delivered, this time included. */
  readonly deliveries: number;
  /** The how-manieth attempt at the task this is; unlike deliveries it counts busy backends and draining workers. */
  readonly ordinal: number;
  readonly requestId: string;
  readonly endpoint: Endpoint;
  /** A digest of who asks; undefined when that is not known. */
  readonly client: string | undefined;
  readonly earlier: readonly AttemptNote[];
  readonly lost: string | undefined;
  readonly #limits: (PhaseLimits & Pick<Task, "own">) | undefined;
  readonly #abort = new AbortController();
  #stopReason: StopReason | undefined;
  #lapse: Fault | undefined;

  constructor(options: {
    envelope: TaskEnvelope;
    model: string;
    entry: string;
    outbox: Outbox;
    startedAt: number;
    endsAt: number;
    deliveries: number;
    ordinal: number;
    earlier?: readonly AttemptNote[] | undefined;
    lost?: string | undefined;
  }) {
    this.id = options.envelope.id;
    this.endsAt = options.endsAt;
    const { limits, own } = options.envelope;
    this.#limits = limits === undefined || own === undefined ? limits : { ...limits, own };
    this.requestId = options.envelope.requestId;
    this.endpoint = options.envelope.endpoint;
    this.client = options.envelope.client;
    this.earlier = options.earlier ?? [];
    this.lost = options.lost;
    this.model = options.model;
    this.entry = options.entry;
    this.outbox = options.outbox;
    this.startedAt = options.startedAt;
    this.deliveries = options.deliveries;
    this.ordinal = options.ordinal;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get stopReason(): StopReason | undefined {
    return this.#stopReason;
  }

  /** What the attempt was given up for: a phase of it lasted too long. */
  get lapse(): Fault | undefined {
    return this.#lapse;
  }

  /** Stops the backend when a phase has lasted too long. `now` is mono ms. */
  look(now: number): void {
    // A backend that is held back does not fall silent by itself.
    if (this.outbox.brake.look(now)) this.outbox.pulse.alive();
    if (this.#limits === undefined || this.#lapse !== undefined || this.#stopReason !== undefined) return;
    this.#lapse = this.outbox.pulse.look(this.#limits);
    if (this.#lapse !== undefined) this.#abort.abort(this.#lapse);
  }

  /** Stops the backend at once. The first reason stands. */
  stop(reason: StopReason): void {
    if (this.#stopReason !== undefined) return;
    this.#stopReason = reason;
    this.#abort.abort();
    this.outbox.brake.end();
    if (reason !== "draining") this.outbox.close(reason === "gone" ? "gone" : "fenced");
  }
}

const EPOCH = Date.UTC(2026, 0, 1);

/**
 * A number for a new attempt: unique per run and growing with time, below 2^53 until the year 2095. Counting 1, 2, 3
 * would not do: after a failover that lost data two workers can both be the first to get a task.
 * @param now ms since 1970 by the clock that all workers share: a later attempt must have the greater number, and the
 * first leaves no mark in Redis before its first frame
 */
export function newAttemptNumber(now: number, random: number): number {
  // A clock that was never set says 1970.
  return Math.max(1, now - EPOCH) * 4096 + Math.floor(random * 4096);
}
