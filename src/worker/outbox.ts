import type { ReplySink } from "../backends/backend.ts";
import type { FrameEnd, FrameHead } from "../core/frame.ts";
import { tagOf } from "../core/task.ts";
import type { EmitResult, OutgoingFrame } from "../redis/reply-stream.ts";
import { encodeFrame } from "../wire/frame-codec.ts";
import { ReplyBrake } from "./brake.ts";
import { ownStalls } from "../telemetry/stall-meter.ts";
import { PhaseClock } from "./phase-clock.ts";

/** The definite answer to a reply. */
export type Verdict = Exclude<EmitResult, "refused">;

const NOTHING = Buffer.alloc(0);

/** A stream whose bytes wait for Redis holds its backend from here on. */
const FULL_BYTES = 1024 * 1024;

/**
 * The reply of one attempt on its way to Redis. Bytes gather here while a frame is in flight: with an idle Redis
 * every token leaves at once, under load one frame carries many. A frame that got no definite answer is sent again
 * exactly as it was.
 */
export class Outbox implements ReplySink {
  readonly task: string;
  readonly tag: string;
  readonly attempt: number;
  readonly worker: string;
  /** Set while the emitter has it among those that have something to send. */
  waiting = false;
  readonly pulse: PhaseClock;
  readonly brake: ReplyBrake = new ReplyBrake();
  readonly #stream: boolean;
  readonly #ready: (outbox: Outbox) => void;
  readonly #mono: () => number;
  #firstByteAt: number | undefined;
  #onBegun: (() => void) | undefined;
  #onOver: ((verdict: Verdict) => void) | undefined;
  #head: FrameHead | undefined;
  #chunks: Buffer[] = [];
  /** Bytes in {@link #chunks}. */
  #gathered = 0;
  #end: FrameEnd | undefined;
  #seq = 0;
  #inFlight: OutgoingFrame | undefined;
  #closed = false;

  /**
   * @param options.stream false holds everything back until the end, so that such a task can be run again
   * @param options.ready called when there is something to send
   * @param options.mono ms, monotonic
   * @param options.awake the same without the time in which this process stood still
   */
  constructor(options: {
    task: string;
    attempt: number;
    worker: string;
    stream: boolean;
    ready: (outbox: Outbox) => void;
    mono: () => number;
    awake?: () => number;
  }) {
    this.task = options.task;
    this.tag = tagOf(options.task);
    this.attempt = options.attempt;
    this.worker = options.worker;
    this.#stream = options.stream;
    this.#ready = options.ready;
    this.#mono = options.mono;
    // Time in which this process stood still is no silence of its backend.
    this.pulse = new PhaseClock({ mono: options.awake ?? ownStalls.awake, stream: options.stream });
  }

  /** True when bytes of the answer have been handed to Redis (or are about to be). */
  get begun(): boolean {
    return this.#seq > 0 || this.#inFlight !== undefined || (this.#stream && this.#chunks.length > 0);
  }

  /** Mono ms when the backend's first bytes came; undefined before. */
  get firstByteAt(): number | undefined {
    return this.#firstByteAt;
  }

  /** Calls once, when the first bytes of a stream come. An answer in one piece may still break off then. */
  onBegun(listener: () => void): void {
    this.#onBegun = listener;
  }

  /** Calls once, when the end frame is accepted or the reply is refused. To be called before either can be. */
  onOver(listener: (verdict: Verdict) => void): void {
    this.#onOver = listener;
  }

  head(status: number, contentType: string, dropped: readonly string[] = []): void {
    const head = { status, contentType, worker: this.worker };
    this.#head = dropped.length === 0 ? head : { ...head, dropped };
  }

  write(bytes: Buffer): void {
    if (this.#closed || this.#end !== undefined || bytes.length === 0) return;
    if (this.#firstByteAt === undefined) this.#begin();
    this.#chunks.push(bytes);
    this.#gathered += bytes.length;
    if (!this.#stream) return;
    if (this.#gathered > FULL_BYTES) this.brake.full(true);
    this.#announce();
  }

  /** The last frame. A fault of a reply that has not begun replaces whatever was held back. */
  end(end: FrameEnd): void {
    if (this.#closed || this.#end !== undefined) return;
    this.#end = end;
    if (end.fault !== undefined && !this.#stream) this.#chunks = [];
    this.#announce();
  }

  /** The frame to send now, the same until it is answered; undefined when there is none. */
  next(): OutgoingFrame | undefined {
    if (this.#closed) return undefined;
    if (this.#inFlight === undefined && (this.#chunks.length > 0 || this.#end !== undefined)) {
      const wasFull = this.#gathered > FULL_BYTES;
      this.#inFlight = this.#pack();
      // Its backend may write within this very call.
      if (wasFull) this.brake.full(false);
    }
    return this.#inFlight;
  }

  /** Redis has the frame. */
  accepted(): void {
    const last = this.#inFlight?.last === true;
    this.#inFlight = undefined;
    if (last) this.close("accepted");
    else if (this.#chunks.length > 0 || this.#end !== undefined) this.#announce();
  }

  /** Nothing more is sent. */
  close(verdict: Verdict): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#chunks = [];
    this.brake.end();
    this.#onOver?.(verdict);
  }

  #begin(): void {
    this.#firstByteAt = this.#mono();
    if (this.#stream) this.#onBegun?.();
  }

  #announce(): void {
    if (this.#inFlight === undefined) this.#ready(this);
  }

  #pack(): OutgoingFrame {
    this.#seq += 1;
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#gathered = 0;
    const { task, attempt } = this;
    const last = this.#end !== undefined;
    const bytes = encodeFrame({
      task,
      attempt,
      seq: this.#seq,
      head: this.#seq === 1 ? this.#head : undefined,
      bytes: chunks.length === 1 ? (chunks[0] ?? NOTHING) : Buffer.concat(chunks),
      end: this.#end,
    });
    return { task, attempt, seq: this.#seq, last, bytes };
  }
}
