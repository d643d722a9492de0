import { faultToRecord, toFault } from "../core/fault.ts";
import type { Fault } from "../core/fault.ts";
import { queueWords } from "../core/ability.ts";
import type { Connection } from "../redis/connection.ts";
import { readNotes } from "../redis/attempt-notes.ts";
import { bury } from "../redis/dead-letters.ts";
import type { Keys } from "../redis/keys.ts";
import type { QueuedTask } from "../redis/task-stream.ts";
import type { Log } from "../telemetry/log.ts";
import type { WorkerMetrics } from "../telemetry/worker-metrics.ts";
import { decodeTask, taskIdOf } from "../wire/task-codec.ts";
import type { TaskEnvelope } from "../wire/task-codec.ts";
import type { Acknowledger } from "./acknowledger.ts";
import { newAttemptNumber } from "./attempt.ts";
import type { Delivery } from "./attempt.ts";
import type { Emitter } from "./emitter.ts";
import { Outbox } from "./outbox.ts";
import type { Trust } from "./trust.ts";

export interface RefuserOptions {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly worker: string;
  readonly log: Log;
  readonly emitter: Pick<Emitter, "ready">;
  readonly acknowledger: Pick<Acknowledger, "add">;
  readonly trust: Pick<Trust, "clock">;
  readonly mono: () => number;
  readonly random: () => number;
  readonly metrics: Pick<WorkerMetrics, "buried">;
}

/** As whom a task is ended. */
interface Refused extends Pick<TaskEnvelope, "id" | "stream">, Pick<Delivery, "attempt" | "lost"> {
  /** How many attempts there have been before. */
  readonly ordinal?: number;
}

/** Ends claimed tasks that are not run: their clients are told, and some are kept as dead letters. */
export class Refuser {
  readonly #options: RefuserOptions;

  constructor(options: RefuserOptions) {
    this.#options = options;
  }

  /** The task of a queue entry; undefined when the entry is none (it is then buried). Never throws. */
  read(queued: QueuedTask): TaskEnvelope | undefined {
    try {
      return decodeTask(queued.payload);
    } catch (error) {
      const fault = toFault(error);
      this.#options.log.error("a queue entry is no task", {
        model: queueWords(queued.model),
        reason: fault.message,
      });
      void this.#giveUp(queued, fault);
      return undefined;
    }
  }

  /** Ends a task without running it. Never rejects. */
  async refuse(queued: QueuedTask, fault: Fault, delivery: Delivery): Promise<void> {
    const envelope = this.read(queued);
    if (envelope === undefined) return;
    // Before the end is told: the gateway then drops a large body.
    if (fault.code === "delivery_limit") await this.#bury(queued, fault, { ...delivery, envelope });
    this.#end(queued, fault, { ...envelope, ...delivery });
  }

  /** An entry that cannot be read: a newer gateway's perhaps, whose client is told. */
  async #giveUp(queued: QueuedTask, fault: Fault): Promise<void> {
    const { acknowledger, trust, mono, random } = this.#options;
    await this.#bury(queued, fault, { deliveries: 1 });
    const id = taskIdOf(queued.payload);
    if (id === undefined) acknowledger.add(queued.model, queued.entry, "");
    else {
      const attempt = newAttemptNumber(trust.clock(mono()), random());
      this.#end(queued, fault, { id, stream: false, attempt });
    }
  }

  #end(queued: QueuedTask, fault: Fault, refused: Refused): void {
    const { acknowledger, worker, emitter, mono } = this.#options;
    const { id: task, stream, attempt, ordinal, lost } = refused;
    const outbox = new Outbox({ task, stream, attempt, worker, ready: emitter.ready, mono });
    outbox.onOver((verdict) => {
      if (verdict !== "fenced") acknowledger.add(queued.model, queued.entry, task);
    });
    outbox.end({
      fault: faultToRecord(fault),
      ...(ordinal === undefined || ordinal === 1 ? {} : { ordinal }),
      ...(lost === undefined ? {} : { lost }),
    });
  }

  /** Never rejects: with Redis away the letter is lost, the task is not (it is another worker's to give up). */
  async #bury(
    queued: QueuedTask,
    fault: Fault,
    { deliveries, envelope }: Pick<Delivery, "deliveries"> & { readonly envelope?: TaskEnvelope },
  ): Promise<void> {
    const { connection, keys, worker } = this.#options;
    const { model, payload } = queued;
    const notes =
      envelope === undefined ? [] : await readNotes(connection, keys, envelope.id).catch(() => []);
    const burial = { model, payload, fault: faultToRecord(fault), deliveries, worker, notes };
    const bodyOf = envelope === undefined || envelope.body !== undefined ? {} : { bodyOf: envelope.id };
    this.#options.metrics.buried();
    await bury(connection, keys, { ...burial, ...bodyOf }).catch(() => undefined);
  }
}
