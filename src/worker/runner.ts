import { setTimeout as delay } from "node:timers/promises";
import type { Answer } from "../backends/backend.ts";
import { Fault, faultToRecord, toFault } from "../core/fault.ts";
import type { FaultCode } from "../core/fault.ts";
import type { FrameEnd } from "../core/frame.ts";
import { modelOf, queueWords } from "../core/ability.ts";
import type { Task } from "../core/task.ts";
import { getBody } from "../redis/body.ts";
import { ageOf } from "../redis/clock.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import type { QueuedTask } from "../redis/task-stream.ts";
import type { Log } from "../telemetry/log.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import type { WorkerMetrics } from "../telemetry/worker-metrics.ts";
import type { TaskEnvelope } from "../wire/task-codec.ts";
import type { Acknowledger } from "./acknowledger.ts";
import { AttemptSpans } from "./attempt-spans.ts";
import { Attempt, newAttemptNumber } from "./attempt.ts";
import type { Delivery, StopReason } from "./attempt.ts";
import type { Emitter } from "./emitter.ts";
import { tellingFirstPiece } from "./first-piece.ts";
import { Outbox } from "./outbox.ts";
import type { Verdict } from "./outbox.ts";
import type { Refuser } from "./refuser.ts";
import { blamed } from "./blame.ts";
import { judge, judgeLoad, release } from "./place.ts";
import type { Place } from "./place.ts";
import { returnReasonOf } from "./returner.ts";
import type { Returner, ReturnReason } from "./returner.ts";
import type { Roll } from "./roll.ts";
import type { Station } from "./station.ts";
import { isTooLate, timeLeft } from "./time-left.ts";
import type { TimeLeft } from "./time-left.ts";
import type { Trust } from "./trust.ts";

export interface RunnerOptions {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly worker: string;
  readonly emitter: Emitter;
  readonly acknowledger: Acknowledger;
  readonly roll: Roll;
  readonly refuser: Refuser;
  readonly returner: Returner;
  readonly now: () => number;
  readonly mono: () => number;
  readonly trust: Pick<Trust, "clock">;
  readonly random: () => number;
  readonly metrics: Pick<WorkerMetrics, "ended"> & Partial<Pick<WorkerMetrics, "attemptFailed">>;
  readonly log?: Log;
  /** Absent when nobody collects spans. */
  readonly tracing?: Tracing | undefined;
  /** A backend could not be reached: look at it again. */
  readonly onUnreachable: (station: Station) => void;
}

interface Claim {
  readonly envelope: TaskEnvelope;
  readonly delivery: Delivery;
}

/** A Redis that does not give a body is asked again after this, ms. */
const BODY_RETRY_MS = 200;

const FIRST: Omit<Delivery, "attempt"> = { deliveries: 1, ordinal: 1 };

/** Runs claimed tasks: one attempt each, from the claim to the acknowledgement. */
export class Runner {
  readonly #options: RunnerOptions;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** Starts an attempt of a first delivery where the station admits it. Never throws. @param askedAt mono ms, before Redis gave it to this worker */
  first(station: Station, queued: QueuedTask, askedAt: number): void {
    // Whoever takes it over claims it later than that, however long this process stands still from here on.
    const envelope = this.#options.refuser.read(queued);
    // Taken for an orphan when its delivery was on the way: it runs already.
    if (envelope === undefined || this.#options.roll.runs(envelope.id, queued.entry)) return;
    if (!station.admits(queued.model)) {
      const { model, entry } = queued;
      this.#options.returner.turnAway(station, { model, entry, deliveries: FIRST.deliveries });
      return;
    }
    const visit = station.occupy(queued.model);
    const delivery = { ...FIRST, attempt: this.#newAttempt(askedAt) };
    this.#start({ station, visit }, queued, { envelope, delivery });
  }

  /** Starts an attempt, which leaves the place when it ends. Never throws; false when it cannot be started. */
  run(place: Place, queued: QueuedTask, delivery: Delivery): boolean {
    const envelope = this.#options.refuser.read(queued);
    if (envelope !== undefined) this.#start(place, queued, { envelope, delivery });
    return envelope !== undefined;
  }

  #start(place: Place, queued: QueuedTask, claim: Claim): void {
    const { envelope, delivery } = claim;
    const left = timeLeft(envelope, delivery.ordinal, this.#options.now() - envelope.createdAt);
    if (isTooLate(left)) void this.#startLate(place, queued, claim);
    else this.#attempt(place, queued, { ...claim, left });
  }

  /**
   * The gateway's wall clock may differ from this one by any amount: Redis tells how long the task has really been
   * queued. With Redis away it runs: its frames wait, too.
   */
  async #startLate(place: Place, queued: QueuedTask, claim: Claim): Promise<void> {
    const { connection, acknowledger, refuser } = this.#options;
    const { envelope, delivery } = claim;
    const ageMs = await ageOf(connection, queued.entry).catch(() => 0);
    const left = timeLeft(envelope, delivery.ordinal, ageMs);
    if (!isTooLate(left)) {
      this.#attempt(place, queued, { ...claim, left });
      return;
    }
    if (left.ms <= 0) acknowledger.add(queued.model, queued.entry, envelope.id);
    else {
      const blame = envelope.own?.includes("queue") === true ? "client" : undefined;
      const fault = new Fault("queue_timeout", "no worker was free for the request in time", { blame });
      void refuser.refuse(queued, fault, delivery);
    }
    release(place);
  }

  #newAttempt(mono: number): number {
    const { trust, random } = this.#options;
    return newAttemptNumber(trust.clock(mono), random());
  }

  #outbox({ id, stream }: Pick<TaskEnvelope, "id" | "stream">, attempt: number): Outbox {
    const { worker, emitter, mono } = this.#options;
    return new Outbox({ task: id, stream, attempt, worker, ready: emitter.ready, mono });
  }

  #attempt(
    place: Place,
    queued: QueuedTask,
    { envelope, delivery, left }: Claim & { readonly left: TimeLeft },
  ): void {
    const { model, entry } = queued;
    const outbox = this.#outbox(envelope, delivery.attempt);
    const startedAt = this.#options.mono();
    const attempt = new Attempt({
      envelope,
      model,
      entry,
      outbox,
      startedAt,
      endsAt: startedAt + left.ms,
      ...delivery,
    });
    // The slot may be free before: the backend is done, Redis may not be.
    outbox.onOver((verdict) => {
      this.#settle(attempt, verdict);
    });
    if (this.#options.roll.add(attempt)) {
      this.#options.roll.checkGateway(outbox.tag);
      void this.#serve(place, attempt, envelope);
    } else release(place);
  }

  async #serve(place: Place, attempt: Attempt, envelope: TaskEnvelope): Promise<void> {
    const { station, visit } = place;
    const spans = this.#beginSpans(station, attempt, envelope);
    try {
      const name = station.nameOf(attempt.model);
      if (name === undefined) throw new Fault("backend_unreachable", "the backend no longer has the model");
      const whole = hasBody(envelope) ? envelope : await this.#fetched(attempt, envelope);
      if (whole === undefined) return spans?.end("cancelled");
      const task = spans === undefined ? whole : { ...whole, trace: spans.trace };
      const { outbox } = attempt;
      if (visit.gate.probing) outbox.onBegun(() => outbox.pulse.asked && visit.gate.begun(visit.era));
      const sink = visit.cold ? tellingFirstPiece(outbox, () => station.begun(visit)) : outbox;
      const answer = await station.backend.run(task, name, sink, attempt.signal);
      // An answer of the worker itself, such as a token estimate, says nothing of the backend.
      if (outbox.pulse.asked) station.worked(visit, loadMsOf(answer));
      const end = answer.usage === undefined ? {} : { usage: answer.usage };
      outbox.end(this.#frameEnd(station, attempt, end));
      this.#count(station, attempt, { code: "ok", ...answer });
      spans?.end("ok", answer.usage);
    } catch (error) {
      const fault = attempt.lapse ?? toFault(error);
      this.#failed(place, attempt, fault);
      const code = codeOf(attempt.stopReason, fault);
      this.#count(station, attempt, { code });
      spans?.end(code);
    } finally {
      release(place);
    }
  }

  #beginSpans(station: Station, attempt: Attempt, envelope: TaskEnvelope): AttemptSpans | undefined {
    const { tracing, worker, mono } = this.#options;
    if (tracing === undefined) return undefined;
    const { backend } = station;
    const model = station.nameOf(attempt.model) ?? attempt.model;
    return new AttemptSpans({ tracing, worker, mono }, attempt, { envelope, backend, model });
  }

  #count(
    station: Station,
    attempt: Attempt,
    { code, usage, timings }: Partial<Answer> & { readonly code: string },
  ): void {
    this.#options.metrics.ended({
      // The queues of errands are named after this worker: no model of the fleet.
      model: station.announced ? modelOf(attempt.model) : "other",
      backend: station.backend.name,
      code,
      totalSeconds: (this.#options.mono() - attempt.startedAt) / 1000,
      ...(usage === undefined ? {} : { usage }),
      loadSeconds: timings?.load === undefined ? undefined : timings.load / 1e9,
    });
  }

  /** A large body lies under its own key; when that is gone, so is the client. A Redis that is away is waited for. */
  async #fetched(attempt: Attempt, envelope: TaskEnvelope): Promise<Task | undefined> {
    const { connection, keys } = this.#options;
    for (;;) {
      try {
        const body = await getBody(connection, keys, attempt.id);
        if (body !== undefined) return { ...envelope, body };
        attempt.stop("gone");
        return undefined;
      } catch (error) {
        if (attempt.stopReason !== undefined || toFault(error).code !== "redis_down") throw error;
        // Whoever stops the attempt ends the pause.
        await delay(BODY_RETRY_MS, undefined, { signal: attempt.signal }).catch(() => undefined);
      }
    }
  }

  #failed(place: Place, attempt: Attempt, met: Fault): void {
    const { station, visit } = place;
    const { stopReason, outbox } = attempt;
    judgeLoad(place, attempt, met);
    if (stopReason === "draining") this.#leave(station, attempt);
    if (stopReason !== undefined) return;
    const where = { worker: this.#options.worker, backend: station.backend.name };
    const fault = blamed(met, attempt, where, visit.gate.probing);
    const reason = returnReasonOf(fault);
    judge(place, attempt, fault);
    if (reason === "unreachable") this.#options.onUnreachable(station);
    // An errand is for one server only.
    const mayRunAgain = station.announced && !outbox.begun;
    if (mayRunAgain && reason !== undefined) void this.#retry(station, attempt, { reason, fault });
    else this.#giveUp(station, attempt, fault);
  }

  #leave(station: Station, attempt: Attempt): void {
    if (attempt.outbox.begun) {
      this.#giveUp(station, attempt, new Fault("worker_lost", "the worker stopped during the answer"));
    } else this.#options.returner.leave(station, attempt);
  }

  async #retry(
    station: Station,
    attempt: Attempt,
    why: { readonly reason: ReturnReason; readonly fault: Fault },
  ): Promise<void> {
    const { reason, fault } = why;
    const { returner } = this.#options;
    const again = returner.allows(attempt, reason) && (await returner.retry(station, attempt, reason, fault));
    if (again) this.#note(station, attempt, { fault, next: `handed back: ${reason}` });
    else this.#giveUp(station, attempt, fault);
  }

  /** The client is told what the attempt has met. */
  #giveUp(station: Station, attempt: Attempt, fault: Fault): void {
    this.#note(station, attempt, { fault, next: "told to the client" });
    attempt.outbox.end(this.#frameEnd(station, attempt, { fault: faultToRecord(fault) }));
  }

  /** One line and one count for each attempt that failed; the words of the fault may be the backend's, and are left out. */
  #note(
    { backend }: Station,
    attempt: Attempt,
    { fault, next }: { readonly fault: Fault; readonly next: string },
  ): void {
    const { log, metrics, mono } = this.#options;
    metrics.attemptFailed?.(backend.name, fault.blame);
    const isOurs = fault.blame !== "request" && fault.blame !== "client";
    log?.[isOurs ? "warn" : "info"]("attempt failed", {
      request: attempt.requestId,
      task: attempt.id,
      model: queueWords(attempt.model),
      backend: backend.name,
      attempt: attempt.ordinal,
      code: fault.code,
      status: fault.http,
      cause: fault.blame,
      client: attempt.client,
      totalMs: Math.round(mono() - attempt.startedAt),
      next,
    });
  }

  #frameEnd({ backend }: Station, attempt: Attempt, end: FrameEnd): FrameEnd {
    const { startedAt, outbox, ordinal, lost } = attempt;
    const totalMs = Math.round(this.#options.mono() - startedAt);
    const told = { ...end, totalMs, backend: backend.name, ...orderOf(ordinal, lost) };
    if (outbox.firstByteAt === undefined) return told;
    return { ...told, firstByteMs: Math.round(outbox.firstByteAt - startedAt) };
  }

  /** What Redis has answered decides: accepted and gone are done, fenced belongs to another worker. */
  #settle(attempt: Attempt, verdict: Verdict): void {
    const { id, model, entry, startedAt } = attempt;
    this.#options.roll.remove(attempt);
    if (verdict === "gone") attempt.stop("gone");
    if (verdict === "fenced") attempt.stop("fenced");
    else this.#options.acknowledger.add(model, entry, id, startedAt);
  }
}

/** How long the backend says that it took to get the model ready, ms. */
function loadMsOf({ timings }: Answer): number | undefined {
  return timings?.load === undefined ? undefined : timings.load / 1e6;
}

const FIRST_ORDER = {};

function orderOf(ordinal: number, lost: string | undefined): Pick<FrameEnd, "ordinal" | "lost"> {
  if (ordinal === 1) return FIRST_ORDER;
  return lost === undefined ? { ordinal } : { ordinal, lost };
}

function hasBody(envelope: TaskEnvelope): envelope is TaskEnvelope & Task {
  return envelope.body !== undefined;
}

/** How an attempt that failed is counted: a stop from outside is no fault of the backend. */
function codeOf(reason: StopReason | undefined, fault: Fault): FaultCode {
  if (reason === "gone") return "cancelled";
  if (reason === "draining") return "draining";
  return reason === undefined ? fault.code : "worker_lost";
}
