import { isRequeued, lostWorkerNote } from "../../core/attempt-note.ts";
import type { AttemptNote } from "../../core/attempt-note.ts";
import { Fault, faultFromRecord } from "../../core/fault.ts";
import type { Frame, FrameEnd } from "../../core/frame.ts";
import { modelOf } from "../../core/ability.ts";
import type { Outcome } from "../../core/outcome.ts";
import type { TaskPhase } from "../../core/task-phase.ts";
import { PhaseTrack } from "../../core/phase-track.ts";
import type { Task } from "../../core/task.ts";
import type { Heartbeat } from "../../protocols/heartbeats.ts";
import { NUDGE_SEQ } from "../../redis/outgoing-frames.ts";
import type { Cursor } from "../../redis/reply-records.ts";
import type { HttpReply } from "../http/http.ts";
import { EarlierAttempts } from "./earlier-attempts.ts";
import { Backlog, SocketWriter } from "./socket-writer.ts";

/** The surroundings of an exchange. */
export interface ExchangeHost {
  /** Ms, monotonic. */
  readonly mono: () => number;
  readonly replies: {
    /** Frames are missing: read the reply stream from the exchange's cursor. */
    fill(exchange: Exchange): void;
    /** The client has all before the exchange's cursor: the reply stream need not keep it. */
    trim(exchange: Exchange): void;
  };
  readonly slowClients: {
    /** The client is behind, or no longer: the backend should wait for it, or go on. */
    pause(exchange: Exchange, isPaused: boolean): void;
  };
  /** The exchange is over, for any reason. Called exactly once. */
  over(exchange: Exchange, outcome: Outcome): void;
}

export interface ExchangeOptions {
  readonly task: Task;
  /** Name of the task's queue. */
  readonly queue: string;
  readonly reply: HttpReply;
  readonly host: ExchangeHost;
}

/**
 * One request's life at its gateway: orders the frames of its reply and passes them to the client's socket.
 *
 * Invariants: frames are written strictly by seq of one attempt, each once. Nothing is written while the socket is
 * full: the reply stream keeps the rest. A later attempt may begin only while no bytes of a frame were written.
 * Heartbeats do not count: they stand between whole events and carry no answer.
 */
export class Exchange {
  /** Bytes of the request's body. */
  readonly bodyBytes: number;
  readonly model: string;
  /** Name of the task's queue, see core/ability.ts. */
  readonly queue: string;
  /** Mono ms. */
  readonly startedAt: number;
  /** Mono ms of its deadline: the wall clock may be set while it is open. */
  readonly endsAt: number;
  /** Mono ms until which it may wait for a worker; Infinity without such a limit. */
  readonly queueUntil: number;
  readonly #host: ExchangeHost;
  readonly #client: SocketWriter;
  readonly #backlog: Backlog = new Backlog();
  readonly #track: PhaseTrack = new PhaseTrack();
  #task: Task;
  #entry: string | undefined;
  #queuedMs: number | undefined;
  #isRequeued = false;
  /** Mono ms of the last frame, and of the last claim. */
  #frameAt: number;
  #claimedAt: number;
  #isLarge = false;
  #countedTokens = 0;
  #attempt = 0;
  #seq = 0;
  #attempts = 0;
  #tries: EarlierAttempts | undefined;
  #worker: string | undefined;
  #bytes = 0;

  constructor({ task, queue, reply, host }: ExchangeOptions) {
    this.#task = task;
    this.bodyBytes = task.body.length;
    this.queue = queue;
    this.model = modelOf(queue);
    this.#host = host;
    this.startedAt = host.mono();
    const { createdAt, deadline, limits } = task;
    this.endsAt = this.startedAt + deadline - createdAt;
    this.queueUntil = this.startedAt + ((limits?.queueUntil || Infinity) - createdAt);
    this.#frameAt = this.startedAt;
    this.#claimedAt = this.startedAt;
    this.#client = new SocketWriter(reply, task, host.mono);
    reply.onGone(() => {
      this.#clientGone();
    });
    reply.onDrain(() => {
      if (this.#client.drained() && !this.#track.isOver) host.replies.fill(this);
    });
  }

  /** Its body is dropped when the answer begins: from then on it cannot run again. */
  get task(): Task {
    return this.#task;
  }

  get phase(): TaskPhase {
    return this.#track.now;
  }

  /** The worker that has the task and has sent nothing yet, if it is known. For display only. */
  get holder(): string | undefined {
    return this.#track.holder;
  }

  /** Entry id in the queue once Redis has confirmed it. */
  get entry(): string | undefined {
    return this.#entry;
  }

  /** Ms from accepting the request to its confirmation by Redis. */
  get queuedMs(): number | undefined {
    return this.#queuedMs;
  }

  /** True when it was queued again: a worker beside the known one may have it. */
  get isRequeued(): boolean {
    return this.#isRequeued;
  }

  /** Mono ms of the last sign of life: a frame or a claim. */
  get lastSignAt(): number {
    return Math.max(this.#frameAt, this.#claimedAt);
  }

  /** Mono ms of the last frame; before any, of the acceptance. */
  get frameAt(): number {
    return this.#frameAt;
  }

  /** True when a part of its reply was too large for the channel: it lies in Redis. */
  get isLarge(): boolean {
    return this.#isLarge;
  }

  /** True when the client's socket is full. */
  get stalled(): boolean {
    return this.#client.isStalled;
  }

  /** Mono ms of the last bytes to the client; before any, of the acceptance. */
  get wroteAt(): number {
    return this.#client.wroteAt;
  }

  /** Bytes of the reply known to wait for the client. */
  get behind(): number {
    return this.#backlog.bytes;
  }

  /** True while its backend pauses for its client. */
  get isPaused(): boolean {
    return this.#backlog.isHeld;
  }

  /** The worker whose frames came last. */
  get worker(): string | undefined {
    return this.#worker;
  }

  /** Attempts that sent frames, or fenced an earlier one. */
  get attempts(): number {
    return this.#attempts;
  }

  /** Notes of known attempts that failed before the last one, the oldest first. */
  get tries(): readonly AttemptNote[] {
    return this.#tries?.list() ?? [];
  }

  /** Bytes of the answer given to the client, without heartbeats. */
  get bytes(): number {
    return this.#bytes;
  }

  /** True when more than one attempt sent frames. */
  get redelivered(): boolean {
    return this.#attempts > 1;
  }

  /** True when bytes of an attempt were written to the client: the task cannot run again unseen. */
  get begun(): boolean {
    return this.#client.hasBegun;
  }

  get cursor(): Cursor {
    return { task: this.#task.id, attempt: this.#attempt, seq: this.#seq };
  }

  /** Its worker continues this trace. Call before the task is encoded. @param traceparent see W3C Trace Context */
  carryTrace(traceparent: string): void {
    this.#task = { ...this.#task, trace: traceparent };
  }

  /** Redis has the task. */
  queued(entry: string): void {
    this.#entry = entry;
    this.#queuedMs ??= this.#host.mono() - this.startedAt;
    this.#track.queued();
  }

  /** The task is about to be queued once more: from now on two workers may get it. */
  requeue(): void {
    this.#isRequeued = true;
  }

  /** Redis has the task once more, after the first entry was lost. */
  requeued(entry: string): void {
    this.#entry = entry;
    this.#track.waits();
  }

  /** A worker has the task and has sent nothing yet. */
  runs(worker: string): void {
    this.#track.runs(worker);
  }

  /** No worker has the task any more. */
  waits(): void {
    this.#track.waits();
  }

  /** Takes the number of tokens that the client has. @returns the tokens since the last count */
  countTokens(tokens: number): number {
    const fresh = tokens - this.#countedTokens;
    this.#countedTokens = tokens;
    return fresh;
  }

  /** Takes a frame from the channel or from the reply stream. Frames come in any order and more than once. */
  receive(frame: Frame): void {
    if (this.#track.isOver) return;
    this.#frameAt = this.#host.mono();
    if (frame.note !== undefined) {
      this.noted(frame.attempt, frame.note);
      return;
    }
    if (frame.attempt < this.#attempt) return;
    if (frame.attempt > this.#attempt && !this.#begin(frame.attempt)) return;
    if (frame.seq <= this.#seq) return;
    if (this.#client.isStalled) {
      if (this.#backlog.missed(frame)) this.#host.slowClients.pause(this, true);
    } else if (frame.seq > this.#seq + 1) {
      if (frame.seq === NUDGE_SEQ && !this.#task.stream) this.#isLarge = true;
      this.#host.replies.fill(this);
    } else this.#apply(frame);
  }

  /** A later attempt has claimed the task (nothing of it has come yet). */
  claimed(attempt: number): void {
    if (this.#track.isOver || attempt <= this.#attempt) return;
    this.#claimedAt = this.#host.mono();
    // A streaming task that has begun is ended by its claimant with a fault: that frame is yet to come.
    if (!this.begun) this.#begin(attempt);
  }

  /** An earlier attempt was requeued, or lost. @param mark number of the mark with the note: it fences that attempt */
  noted(mark: number, note: AttemptNote): void {
    if (this.#track.isOver) return;
    (this.#tries ??= new EarlierAttempts()).add(mark, note);
    if (mark >= this.#attempt && isRequeued(note)) this.#track.waits();
  }

  /** Sends a heartbeat to a client that has had no bytes for `silenceMs`. @param heartbeat undefined for none */
  beat(silenceMs: number, heartbeat: () => Heartbeat | undefined): void {
    if (this.#track.isOver || this.stalled || this.#host.mono() - this.wroteAt < silenceMs) return;
    const due = heartbeat();
    if (due !== undefined) this.#client.beat(due);
  }

  /** Ends the exchange with a fault of the gateway's own. */
  fail(fault: Fault): void {
    if (!this.#track.isOver) this.#fail(fault, undefined, true);
  }

  #begin(attempt: number): boolean {
    if (this.begun) {
      this.fail(new Fault("worker_lost", "the worker was lost after the answer had begun"));
      return false;
    }
    this.#attempt = attempt;
    this.#seq = 0;
    this.#attempts += 1;
    if (this.#backlog.restart()) this.#host.slowClients.pause(this, false);
    this.#track.runs();
    return true;
  }

  #apply(frame: Frame): void {
    const { end } = frame;
    this.#seq = frame.seq;
    this.#bytes += frame.bytes.length;
    if (frame.head !== undefined) this.#worker = frame.head.worker;
    if (this.#backlog.taken(frame)) this.#host.slowClients.pause(this, false);
    if (end !== undefined) {
      this.#applyLast(frame, end);
      return;
    }
    if (!this.#client.hasBegun) this.#answering();
    this.#client.write(frame);
    if (this.#backlog.trimDue()) this.#host.replies.trim(this);
  }

  #applyLast(frame: Frame, end: FrameEnd): void {
    if (end.lost !== undefined) this.noted(frame.attempt, lostWorkerNote(end.lost));
    if (end.fault !== undefined) {
      // Bytes that precede a fault in the same frame belong to the client.
      if (frame.bytes.length > 0 && (this.begun || frame.head !== undefined)) {
        if (!this.begun) this.#answering();
        this.#client.write(frame);
      }
      this.#fail(faultFromRecord(end.fault), end, false);
      return;
    }
    if (!this.#client.isCommitted && !this.#task.stream) {
      this.#client.send(frame);
    } else {
      if (!this.begun) this.#answering();
      this.#client.end(frame);
    }
    this.#over({ fault: undefined, end, abandon: false });
  }

  #answering(): void {
    this.#track.to("answering");
    this.#task = { ...this.#task, body: NO_BYTES };
  }

  #fail(fault: Fault, end: FrameEnd | undefined, abandon: boolean): void {
    this.#client.fail(fault);
    this.#over({ fault, end, abandon });
  }

  #over(how: Pick<Outcome, "fault" | "end" | "abandon">): void {
    this.#track.to("ended");
    this.#report(how, undefined);
  }

  #clientGone(): void {
    if (this.#track.isOver) return;
    const goneIn = this.#track.to("gone");
    this.#client.gone();
    const fault = new Fault("cancelled", "the client left");
    this.#report({ fault, end: undefined, abandon: true }, goneIn);
  }

  #report(how: Pick<Outcome, "fault" | "end" | "abandon">, goneIn: TaskPhase | undefined): void {
    const { status, firstByteAt } = this.#client;
    this.#host.over(this, {
      ...how,
      goneIn,
      status,
      firstByteMs: firstByteAt === undefined ? undefined : firstByteAt - this.startedAt,
      totalMs: this.#host.mono() - this.startedAt,
    });
  }
}

const NO_BYTES = Buffer.alloc(0);
