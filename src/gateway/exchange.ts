import { isHandBack, lostNote } from "../core/attempt-note.ts";
import type { AttemptNote } from "../core/attempt-note.ts";
import { Fault, faultFromRecord } from "../core/fault.ts";
import type { Frame, FrameEnd } from "../core/frame.ts";
import { modelOf } from "../core/ability.ts";
import type { Phase } from "../core/phase.ts";
import type { Task } from "../core/task.ts";
import type { Heartbeat } from "../protocols/heartbeats.ts";
import { NUDGE_SEQ } from "../redis/reply-stream.ts";
import type { Cursor } from "../redis/reply-stream.ts";
import { breakOff, sendFault } from "./fault-reply.ts";
import type { HttpReply } from "./http.ts";
import { PhaseTrack } from "./phase-track.ts";
import { replyHeaders } from "./reply-headers.ts";
import type { ReplyHead } from "./reply-headers.ts";
import { Tries } from "./tries.ts";

/** What an exchange needs of its surroundings. */
export interface ExchangeHost {
  /** Ms, monotonic. */
  mono(): number;
  /** Frames are missing: read the reply stream from the exchange's cursor. */
  fill(exchange: Exchange): void;
  /** The client is behind, or no longer: the backend should wait for it. */
  hold(exchange: Exchange, isHeld: boolean): void;
  /** The client has what lies before the exchange's cursor: the reply stream need not keep it. */
  trim(exchange: Exchange): void;
  /** The exchange is over, whatever the reason. Called exactly once. */
  over(exchange: Exchange, outcome: Outcome): void;
}

/** How an exchange ended. */
export interface Outcome {
  /** HTTP status sent; 499 when the client left before any. */
  readonly status: number;
  /** Absent when the client has the whole answer. */
  readonly fault: Fault | undefined;
  /** What the worker told at the end, if it came to that. */
  readonly end: FrameEnd | undefined;
  /** The phase in which the client left; undefined when it did not. */
  readonly leftIn: Phase | undefined;
  /** Ms from accepting the request. */
  readonly firstByteMs: number | undefined;
  readonly totalMs: number;
  /** True when the worker may still be at it and must be told. */
  readonly abandon: boolean;
}

/**
 * One request's life at its gateway: puts the frames of its reply in order and onto the client's socket.
 *
 * Invariants: frames are written strictly by seq of one attempt, each once. Nothing is written while the socket is
 * full (`stalled`): the reply stream keeps the rest. A later attempt may begin only while no bytes of a frame were
 * written; heartbeats do not count, they stand between whole events and say nothing. Whatever is written first, a
 * frame or a heartbeat, commits status and headers: from then on a fault is told within the stream.
 */
export class Exchange {
  /** Bytes of the request's body. */
  readonly bodyBytes: number;
  readonly model: string;
  /** The name of the queue it goes through, see core/ability.ts. */
  readonly queue: string;
  readonly startedAt: number;
  /** Entry id in the queue once Redis has confirmed it, and ms from accepting the request until then. */
  entry: string | undefined;
  queuedMs: number | undefined;
  /** True when it was queued again: besides the worker that is known another one may have it. */
  requeued = false;
  /** Mono ms of the last sign of life of the reply. */
  heardAt: number;
  /** Mono ms of the last look for one, and how long the next silence may be before another. */
  askedAt = 0;
  patienceMs: number = FIRST_PATIENCE_MS;
  /** Mono ms of its deadline: the wall clock may be set while it is open. */
  readonly endsAt: number;
  /** Mono ms of the next look whether a worker has it; Infinity: none is to be. */
  queueLookAt: number;
  /** Its reply, or a part of it, was too large to be published: it lies in Redis. */
  isLarge = false;
  readonly track: PhaseTrack = new PhaseTrack();
  /** See Metered. */
  metered = 0;
  readonly #reply: HttpReply;
  readonly #host: ExchangeHost;
  #task: Task;
  #attempt = 0;
  #seq = 0;
  #attempts = 0;
  #tries: Tries | undefined;
  #worker: string | undefined;
  #stalled = false;
  #begun = false;
  /** True when status and headers have left, with a frame or with a heartbeat. */
  #committed = false;
  #firstByteAt: number | undefined;
  /** Mono ms of the last bytes to the client, heartbeats included; of the acceptance before any. */
  #wroteAt: number;
  #status = 0;
  #type = "";
  #bytes = 0;
  #trimmedAt = 0;
  /** Bytes that have come while the socket was full and were not written, and the last seq among them. */
  #behind = 0;
  #heard = 0;
  #held = false;

  constructor(options: { task: Task; queue: string; reply: HttpReply; host: ExchangeHost }) {
    this.#task = options.task;
    this.bodyBytes = options.task.body.length;
    this.queue = options.queue;
    this.model = modelOf(options.queue);
    this.#reply = options.reply;
    this.#host = options.host;
    this.startedAt = options.host.mono();
    const { createdAt, deadline, limits } = options.task;
    this.endsAt = this.startedAt + deadline - createdAt;
    this.queueLookAt = this.startedAt + ((limits?.queueUntil || Infinity) - createdAt);
    this.heardAt = this.startedAt;
    this.#wroteAt = this.startedAt;
    this.#reply.onAbort(() => {
      this.#clientLeft();
    });
    this.#reply.onDrain(() => {
      this.#drained();
    });
  }

  /** Its body is dropped when the answer begins: from then on it cannot run again. */
  get task(): Task {
    return this.#task;
  }

  get phase(): Phase {
    return this.track.now;
  }

  /** True when the client's socket is full. */
  get stalled(): boolean {
    return this.#stalled;
  }

  /** Mono ms of the last bytes to the client; of the acceptance before any. */
  get wroteAt(): number {
    return this.#wroteAt;
  }

  /** Bytes of the reply known to wait for the client. */
  get behind(): number {
    return this.#behind;
  }

  /** The worker whose frames came last. */
  get worker(): string | undefined {
    return this.#worker;
  }

  /** Attempts that sent frames, or fenced an earlier one. */
  get attempts(): number {
    return this.#attempts;
  }

  /** How attempts before the last one failed, as far as is known; the oldest first. */
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
    return this.#begun;
  }

  get cursor(): Cursor {
    return { task: this.task.id, attempt: this.#attempt, seq: this.#seq };
  }

  /** Redis has the task. */
  queued(entry: string): void {
    this.entry = entry;
    this.queuedMs ??= this.#host.mono() - this.startedAt;
    this.track.queued();
  }

  /** Takes a frame from the channel or from the reply stream; frames come in any order and more than once. */
  receive(frame: Frame): void {
    if (this.track.isOver) return;
    this.heardAt = this.#host.mono();
    this.patienceMs = FIRST_PATIENCE_MS;
    if (frame.note !== undefined) {
      this.noted(frame.attempt, frame.note);
      return;
    }
    if (frame.attempt < this.#attempt) return;
    if (frame.attempt > this.#attempt && !this.#begin(frame.attempt)) return;
    if (this.#stalled) this.#missed(frame);
    if (this.#stalled || frame.seq <= this.#seq) return;
    if (frame.seq > this.#seq + 1) {
      if (frame.seq === NUDGE_SEQ && !this.task.stream) this.isLarge = true;
      this.#host.fill(this);
      return;
    }
    this.#apply(frame);
  }

  /** A later attempt has claimed the task (nothing of it has come yet). */
  claimed(attempt: number): void {
    if (this.track.isOver || attempt <= this.#attempt) return;
    this.heardAt = this.#host.mono();
    // A streaming task that has begun is ended by its claimant with a fault; that frame is yet to come.
    if (!this.#begun) this.#begin(attempt);
  }

  /** An earlier attempt was handed back, or lost. @param mark number of the mark that tells so: fences that attempt */
  noted(mark: number, note: AttemptNote): void {
    if (this.track.isOver) return;
    (this.#tries ??= new Tries()).add(mark, note);
    if (mark >= this.#attempt && isHandBack(note)) this.track.waits();
  }

  /** Tells a client that has had no bytes for `silenceMs` that its request is alive. */
  beat(silenceMs: number, heartbeat: () => Heartbeat | undefined): void {
    if (this.track.isOver || this.#stalled) return;
    if (this.#host.mono() - this.#wroteAt < silenceMs) return;
    const due = heartbeat();
    if (due !== undefined) this.#writeBytes(Buffer.from(due.text), { status: 200, type: due.contentType });
  }

  /** Ends the exchange with a fault of the gateway's own. */
  fail(fault: Fault): void {
    if (!this.track.isOver) this.#finish(fault, undefined, true);
  }

  #begin(attempt: number): boolean {
    if (this.#begun) {
      this.fail(new Fault("worker_lost", "the worker was lost after the answer had begun"));
      return false;
    }
    this.#attempt = attempt;
    this.#seq = 0;
    this.#attempts += 1;
    this.#heard = 0;
    this.#behind = 0;
    if (this.#held) this.#hold(false);
    this.track.held();
    return true;
  }

  /** A frame for a full socket: it stays in the reply stream. */
  #missed(frame: Frame): void {
    // One without bytes may be a nudge: what it stands for is in the reply stream only.
    if (frame.seq <= this.#seq || frame.seq <= this.#heard || frame.bytes.length === 0) return;
    this.#heard = frame.seq;
    this.#behind += frame.bytes.length;
    if (!this.#held && this.#behind > BEHIND_BYTES) this.#hold(true);
  }

  #caughtUp(frame: Frame): void {
    this.#behind = frame.seq >= this.#heard ? 0 : Math.max(0, this.#behind - frame.bytes.length);
    if (this.#held && this.#behind <= BEHIND_BYTES / 2) this.#hold(false);
  }

  #hold(isHeld: boolean): void {
    this.#held = isHeld;
    this.#host.hold(this, isHeld);
  }

  #apply(frame: Frame): void {
    this.#seq = frame.seq;
    this.#bytes += frame.bytes.length;
    if (frame.head !== undefined) this.#worker = frame.head.worker;
    if (this.#behind > 0) this.#caughtUp(frame);
    const { end } = frame;
    if (end?.lost !== undefined) this.noted(frame.attempt, lostNote(end.lost));
    if (end?.fault !== undefined) {
      this.#writeRest(frame);
      this.#finish(faultFromRecord(end.fault), end, false);
      return;
    }
    if (end !== undefined) {
      if (!this.#committed && !this.task.stream) this.#answerWhole(frame, end);
      else this.#writeLast(frame, end);
      return;
    }
    this.#write(frame);
    if (this.#bytes - this.#trimmedAt < TRIM_BYTES) return;
    this.#trimmedAt = this.#bytes;
    this.#host.trim(this);
  }

  /** Bytes that precede a fault in the same frame belong to the client. */
  #writeRest(frame: Frame): void {
    if (frame.bytes.length > 0 && (this.#begun || frame.head !== undefined)) this.#write(frame);
  }

  #answerWhole(frame: Frame, end: FrameEnd): void {
    const status = frame.head?.status ?? 200;
    this.#status = status;
    this.#firstByteAt = this.#host.mono();
    const type = frame.head?.contentType ?? "application/json";
    this.#reply.send(status, replyHeaders(this.task, type, frame.head?.dropped), frame.bytes);
    this.#over(undefined, end, false);
  }

  #write({ bytes, head }: Frame): void {
    if (!this.#begun) {
      this.#begun = true;
      this.track.to("answering");
      this.#task = { ...this.#task, body: NO_BYTES };
    }
    this.#firstByteAt ??= this.#host.mono();
    this.#writeBytes(bytes, {
      status: head?.status ?? 200,
      type: head?.contentType ?? "application/octet-stream",
      dropped: head?.dropped,
    });
  }

  /** The last bytes and the end of the stream leave in one packet, and the head with them if it has not left. */
  #writeLast(frame: Frame, end: FrameEnd): void {
    if (!this.#begun) this.#write({ ...frame, bytes: NO_BYTES });
    this.#reply.end(frame.bytes);
    this.#over(undefined, end, false);
  }

  /** The first bytes carry status and headers. */
  #writeBytes(bytes: Buffer, head: ReplyHead): void {
    if (!this.#committed) {
      this.#committed = true;
      this.#status = head.status;
      this.#type = head.type;
      this.#stalled = !this.#reply.start(
        head.status,
        replyHeaders(this.task, head.type, head.dropped),
        bytes,
      );
    } else if (bytes.length > 0) {
      this.#stalled = !this.#reply.write(bytes);
    }
    this.#wroteAt = this.#host.mono();
  }

  #finish(fault: Fault, end: FrameEnd | undefined, abandon: boolean): void {
    if (this.#committed) breakOff(this.#reply, fault, this.task, this.#type);
    else this.#refuse(fault);
    this.#over(fault, end, abandon);
  }

  #refuse(fault: Fault): void {
    this.#status = fault.http;
    sendFault(this.#reply, fault, this.task);
  }

  #over(fault: Fault | undefined, end: FrameEnd | undefined, abandon: boolean): void {
    this.track.to("ended");
    this.#report({ fault, end, abandon, leftIn: undefined });
  }

  #report(how: Pick<Outcome, "fault" | "end" | "abandon" | "leftIn">): void {
    this.#host.over(this, {
      ...how,
      status: this.#status,
      firstByteMs: this.#firstByteAt === undefined ? undefined : this.#firstByteAt - this.startedAt,
      totalMs: this.#host.mono() - this.startedAt,
    });
  }

  #clientLeft(): void {
    if (this.track.isOver) return;
    const leftIn = this.track.to("gone");
    this.#status ||= 499;
    this.#report({ fault: new Fault("cancelled", "the client left"), end: undefined, abandon: true, leftIn });
  }

  #drained(): void {
    if (!this.#stalled) return;
    this.#stalled = false;
    if (!this.track.isOver) this.#host.fill(this);
  }
}

/** A client that is further behind has its backend held back. Enough to go on at once when it reads again. */
const BEHIND_BYTES = 256 * 1024;

/** The reply stream is cut off behind the client each time it has been given so much. */
const TRIM_BYTES = 4 * 1024 * 1024;

const NO_BYTES = Buffer.alloc(0);

/** How long a reply may be silent before its stream is looked at; doubles up to {@link LAST_PATIENCE_MS}. */
const FIRST_PATIENCE_MS = 1000;
export const LAST_PATIENCE_MS = 8000;
