import { queueLabel } from "../core/ability.ts";
import { Fault, faultToRecord, toFault } from "../core/fault.ts";
import type { QueuedTask } from "../redis/task-queue.ts";
import type { Stores } from "../redis/stores.ts";
import type { Log } from "../telemetry/log.ts";
import type { WorkerMetrics } from "../telemetry/worker-metrics.ts";
import { taskIdOf } from "../wire/task-codec.ts";
import type { TaskEnvelope } from "../wire/task-codec.ts";
import type { Acknowledger } from "./acknowledger.ts";
import type { AttemptNumbers, Delivery } from "./attempt.ts";
import type { Emitter } from "./emitter.ts";
import type { Claim } from "./runner.ts";

export interface RejecterOptions {
  readonly stores: Pick<Stores, "letters" | "replies">;
  readonly worker: string;
  readonly log: Log;
  readonly emitter: Pick<Emitter, "open">;
  readonly acknowledger: Pick<Acknowledger, "add">;
  readonly numbers: AttemptNumbers;
  readonly metrics: Pick<WorkerMetrics, "deadLettered">;
}

/** The reply in which a task is rejected. */
type Rejected = Pick<TaskEnvelope, "id" | "stream"> & Pick<Delivery, "attempt" | "ordinal" | "lost">;

/** Ends claimed tasks that are not run: their clients get a fault, and some become dead letters. */
export class Rejecter {
  readonly #options: RejecterOptions;

  constructor(options: RejecterOptions) {
    this.#options = options;
  }

  /** Ends a task without running it. Never rejects. */
  async reject({ queued, envelope, delivery }: Claim, fault: Fault): Promise<void> {
    // Before the end frame: the gateway drops a large body at the end.
    if (fault.code === "delivery_limit") {
      await this.#giveUp(queued, fault, { deliveries: delivery.deliveries, envelope });
    }
    this.#end(queued, fault, { id: envelope.id, stream: envelope.stream, ...delivery });
  }

  /** Ends a task that needs no reply: it is answered, or its client is gone. @param task "" for an entry without an id */
  discard({ model, entry }: QueuedTask, task: string): void {
    this.#options.acknowledger.add(model, entry, task);
  }

  /** Ends a task that waited too long in its queue. @param isPastDeadline its gateway has ended it, and needs no fault */
  rejectLate(claim: Claim, isPastDeadline: boolean): void {
    const { queued, envelope } = claim;
    if (isPastDeadline) {
      this.discard(queued, envelope.id);
      return;
    }
    const blame = envelope.own?.includes("queue") === true ? "client" : undefined;
    const fault = new Fault("queue_timeout", "no worker was free for the request in time", { blame });
    void this.reject(claim, fault);
  }

  /**
   * Makes a dead letter of a queue entry that is no task. A newer gateway may have written it: where it has an id, its
   * client gets the fault. Never throws.
   */
  rejectUnreadable(queued: QueuedTask, error: unknown): void {
    const fault = toFault(error);
    const model = queueLabel(queued.model);
    this.#options.log.error("a queue entry is no task", { model, reason: fault.message });
    void this.#giveUpUnreadable(queued, fault);
  }

  async #giveUpUnreadable(queued: QueuedTask, fault: Fault): Promise<void> {
    const { numbers } = this.#options;
    await this.#giveUp(queued, fault, { deliveries: 1 });
    const id = taskIdOf(queued.payload);
    if (id === undefined) this.discard(queued, "");
    else this.#end(queued, fault, { id, stream: false, attempt: numbers.next(), ordinal: 1 });
  }

  #end(queued: QueuedTask, fault: Fault, rejected: Rejected): void {
    const { emitter } = this.#options;
    const { id: task, stream, attempt, ordinal, lost } = rejected;
    const outbox = emitter.open({ task, stream, attempt });
    outbox.onOver((verdict) => {
      if (verdict !== "fenced") this.discard(queued, task);
    });
    outbox.end({
      fault: faultToRecord(fault),
      ...(ordinal === 1 ? {} : { ordinal }),
      ...(lost === undefined ? {} : { lost }),
    });
  }

  /** Never rejects: with Redis away the letter is lost, and the task goes to another worker. */
  async #giveUp(
    queued: QueuedTask,
    fault: Fault,
    { deliveries, envelope }: { readonly deliveries: number; readonly envelope?: TaskEnvelope },
  ): Promise<void> {
    const { stores, worker } = this.#options;
    const { model, payload } = queued;
    const notes = envelope === undefined ? [] : await stores.replies.readNotes(envelope.id).catch(() => []);
    const letter = { model, payload, fault: faultToRecord(fault), deliveries, worker, notes };
    const bodyOf = envelope === undefined || envelope.body !== undefined ? {} : { bodyOf: envelope.id };
    this.#options.metrics.deadLettered();
    await stores.letters.add({ ...letter, ...bodyOf }).catch(() => undefined);
  }
}
