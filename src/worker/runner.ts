import { Fault, faultToRecord, toFault } from "../core/fault.ts";
import type { FaultCode } from "../core/fault.ts";
import type { FrameEnd } from "../core/frame.ts";
import type { Task } from "../core/task.ts";
import { tagOf } from "../core/task.ts";
import type { Usage } from "../core/usage.ts";
import { getBody } from "../redis/body.ts";
import type { Connection } from "../redis/connection.ts";
import { publishSweep } from "../redis/control.ts";
import { bury } from "../redis/dead-letters.ts";
import type { Keys } from "../redis/keys.ts";
import { handBack } from "../redis/task-stream.ts";
import type { QueuedTask } from "../redis/task-stream.ts";
import type { Log } from "../telemetry/log.ts";
import type { WorkerMetrics } from "../telemetry/worker-metrics.ts";
import { decodeTask } from "../wire/task-codec.ts";
import type { TaskEnvelope } from "../wire/task-codec.ts";
import type { Acknowledger } from "./acknowledger.ts";
import { Attempt, newAttemptNumber } from "./attempt.ts";
import type { StopReason } from "./attempt.ts";
import type { Emitter } from "./emitter.ts";
import { Outbox } from "./outbox.ts";
import type { Roll } from "./roll.ts";
import type { Station } from "./station.ts";

export interface RunnerOptions {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly worker: string;
  readonly log: Log;
  readonly emitter: Emitter;
  readonly acknowledger: Acknowledger;
  readonly roll: Roll;
  readonly leaseMs: number;
  readonly deliveryLimit: number;
  readonly now: () => number;
  readonly mono: () => number;
  readonly random: () => number;
  readonly metrics: Pick<WorkerMetrics, "ended" | "handedBack" | "buried">;
  /** A backend could not be reached: look at it again. */
  readonly onUnreachable: (station: Station) => void;
}

/** How a claimed task came into this worker's hands. */
export interface Delivery {
  readonly deliveries: number;
  /** Given by the claim that fenced earlier attempts; a first delivery makes its own. */
  readonly attempt?: number;
}

const FIRST: Delivery = { deliveries: 1 };

/** The backend did not get the request. */
const UNREACHED: ReadonlySet<FaultCode> = new Set<FaultCode>(["backend_unreachable", "connect_timeout"]);

/** Runs claimed tasks: one attempt each, from the claim to the acknowledgement. */
export class Runner {
  readonly #options: RunnerOptions;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** Starts an attempt on a slot of the station. Never throws. */
  readonly run = (station: Station, queued: QueuedTask, delivery: Delivery = FIRST): void => {
    const envelope = this.#decode(queued);
    if (envelope === undefined) return;
    // Taken for an orphan when its delivery was on the way: it runs already.
    if (delivery === FIRST && this.#options.roll.runs(envelope.id, queued.entry)) return;
    station.occupy();
    void this.#attempt(station, queued, { envelope, delivery }).finally(() => {
      station.release();
    });
  };

  /** The id of a queued task; undefined when the entry is no task (it is then buried). */
  idOf(queued: QueuedTask): string | undefined {
    return this.#decode(queued)?.id;
  }

  /** Ends a task without running it. */
  async refuse(queued: QueuedTask, fault: Fault, delivery: Required<Delivery>): Promise<void> {
    const envelope = this.#decode(queued);
    if (envelope === undefined) return;
    const outbox = this.#outbox(envelope, delivery.attempt);
    // Before the end is told: the gateway then drops a large body.
    if (fault.code === "delivery_limit") await this.#bury(queued, fault, { ...delivery, envelope });
    await this.#end(outbox, queued, fault);
  }

  async #end(outbox: Outbox, queued: QueuedTask, fault: Fault): Promise<void> {
    outbox.end({ fault: faultToRecord(fault) });
    if ((await outbox.result) !== "fenced") this.#options.acknowledger.add(queued.model, queued.entry);
  }

  /** Its gateway has given it up, or is about to. */
  #waitedTooLong({ limits }: TaskEnvelope): boolean {
    return limits !== undefined && limits.queueUntil > 0 && limits.queueUntil <= this.#options.now();
  }

  #decode(queued: QueuedTask): TaskEnvelope | undefined {
    try {
      return decodeTask(queued.payload);
    } catch (error) {
      const fault = toFault(error);
      this.#options.log.error("a queue entry is no task", { model: queued.model, reason: fault.message });
      void this.#bury(queued, fault, FIRST);
      this.#options.acknowledger.add(queued.model, queued.entry);
      return undefined;
    }
  }

  /** Never rejects: with Redis away the letter is lost, the task is not (it is another worker's to give up). */
  async #bury(
    queued: QueuedTask,
    fault: Fault,
    { deliveries, envelope }: Delivery & { readonly envelope?: TaskEnvelope },
  ): Promise<void> {
    const { connection, keys, worker } = this.#options;
    const { model, payload } = queued;
    const burial = { model, payload, fault: faultToRecord(fault), deliveries, worker };
    const bodyOf = envelope === undefined || envelope.body !== undefined ? {} : { bodyOf: envelope.id };
    this.#options.metrics.buried();
    await bury(connection, keys, { ...burial, ...bodyOf }).catch(() => undefined);
  }

  #outbox(envelope: TaskEnvelope, attempt: number | undefined): Outbox {
    const { worker, emitter, now, mono, random } = this.#options;
    return new Outbox({
      task: envelope.id,
      stream: envelope.stream,
      attempt: attempt ?? newAttemptNumber(now(), random()),
      worker,
      ready: emitter.ready,
      mono,
    });
  }

  async #attempt(
    station: Station,
    queued: QueuedTask,
    claim: { envelope: TaskEnvelope; delivery: Delivery },
  ): Promise<void> {
    const { envelope, delivery } = claim;
    const { model, entry } = queued;
    if (envelope.deadline <= this.#options.now()) {
      this.#options.acknowledger.add(model, entry);
      return;
    }
    const outbox = this.#outbox(envelope, delivery.attempt);
    if (delivery.deliveries === 1 && this.#waitedTooLong(envelope)) {
      void this.#end(
        outbox,
        queued,
        new Fault("queue_timeout", "no worker was free for the request in time"),
      );
      return;
    }
    const attempt = new Attempt({
      envelope,
      model,
      entry,
      outbox,
      startedAt: this.#options.mono(),
      deliveries: delivery.deliveries,
    });
    // The settlement runs on after the slot is free: the backend is done, Redis may not be.
    void this.#settle(attempt, queued);
    if (!this.#options.roll.add(attempt)) return;
    this.#options.roll.checkGateway(tagOf(envelope.id));
    await this.#serve(station, attempt, envelope);
  }

  async #serve(station: Station, attempt: Attempt, envelope: TaskEnvelope): Promise<void> {
    try {
      const name = station.nameOf(attempt.model);
      if (name === undefined) throw new Fault("backend_unreachable", "the backend no longer has the model");
      const body = envelope.body ?? (await this.#fetchBody(attempt));
      if (body === undefined) return;
      const task: Task = { ...envelope, body };
      const answer = await station.backend.run(task, name, attempt.outbox, attempt.signal);
      attempt.outbox.end(this.#frameEnd(attempt, answer.usage === undefined ? {} : { usage: answer.usage }));
      this.#count(station, attempt, { code: "ok", usage: answer.usage });
    } catch (error) {
      const fault = attempt.lapse ?? toFault(error);
      this.#failed(station, attempt, fault);
      this.#count(station, attempt, { code: codeOf(attempt.stopReason, fault), usage: undefined });
    }
  }

  #count(
    station: Station,
    attempt: Attempt,
    how: { readonly code: string; readonly usage: Usage | undefined },
  ): void {
    this.#options.metrics.ended({
      // The queues of errands are named after this worker: no model of the fleet.
      model: station.announced ? attempt.model : "other",
      backend: station.backend.name,
      code: how.code,
      totalSeconds: (this.#options.mono() - attempt.startedAt) / 1000,
      ...(how.usage === undefined ? {} : { usage: how.usage }),
    });
  }

  /** A large body lies under its own key; when that is gone, so is the client. */
  async #fetchBody(attempt: Attempt): Promise<Buffer | undefined> {
    const body = await getBody(this.#options.connection, this.#options.keys, attempt.id);
    if (body === undefined) attempt.stop("gone");
    return body;
  }

  #failed(station: Station, attempt: Attempt, fault: Fault): void {
    const { stopReason, outbox } = attempt;
    if (stopReason !== undefined && stopReason !== "draining") return;
    if (UNREACHED.has(fault.code)) this.#options.onUnreachable(station);
    if (!outbox.begun && this.#mayRunAgain(attempt, fault)) {
      this.#options.metrics.handedBack(station.backend.name);
      this.#handBack(attempt);
      return;
    }
    const told =
      stopReason === "draining" ? new Fault("worker_lost", "the worker stopped during the answer") : fault;
    outbox.end(this.#frameEnd(attempt, { fault: faultToRecord(told) }));
  }

  #mayRunAgain(attempt: Attempt, fault: Fault): boolean {
    if (attempt.stopReason === "draining") return true;
    return UNREACHED.has(fault.code) && attempt.deliveries < this.#options.deliveryLimit;
  }

  /** Leaves the task to another worker (or to this one, when its backend is back). */
  #handBack(attempt: Attempt): void {
    const { connection, keys, worker, leaseMs } = this.#options;
    attempt.outbox.close("fenced");
    const { model, entry } = attempt;
    handBack(connection, keys, { model, entry, consumer: worker, idleMs: leaseMs })
      .then(async () => publishSweep(connection, keys, model))
      // With Redis away the lease runs out by itself.
      .catch(() => undefined);
  }

  #frameEnd(attempt: Attempt, end: FrameEnd): FrameEnd {
    const { startedAt, outbox } = attempt;
    const totalMs = Math.round(this.#options.mono() - startedAt);
    if (outbox.firstByteAt === undefined) return { ...end, totalMs };
    return { ...end, totalMs, firstByteMs: Math.round(outbox.firstByteAt - startedAt) };
  }

  /** What Redis has answered decides: accepted and gone are done, fenced belongs to another worker. */
  async #settle(attempt: Attempt, queued: QueuedTask): Promise<void> {
    const result = await attempt.outbox.result;
    this.#options.roll.remove(attempt);
    if (result === "gone") attempt.stop("gone");
    if (result === "fenced") attempt.stop("fenced");
    else this.#options.acknowledger.add(queued.model, queued.entry);
  }
}

/** How an attempt that failed is counted: a stop from outside is no fault of the backend. */
function codeOf(reason: StopReason | undefined, fault: Fault): FaultCode {
  if (reason === "gone") return "cancelled";
  if (reason === "draining") return "draining";
  return reason === undefined ? fault.code : "worker_lost";
}
