import type { ReplySink } from "../backends/backend.ts";
import type { Ambient } from "../core/ambient.ts";
import type { FrameEnd, FrameHead } from "../core/frame.ts";
import { tagOf } from "../core/task.ts";
import type { EmitResult, OutgoingFrame } from "../redis/outgoing-frames.ts";
import { encodeFrame } from "../wire/frame-codec.ts";
import { ReplyBackpressure } from "./backpressure.ts";
import { processStalls } from "../telemetry/stall-detector.ts";
import { AttemptTimer } from "./attempt-timer.ts";

/** The definite answer to a reply. */
export type Verdict = Exclude<EmitResult, "refused">;

const NOTHING = Buffer.alloc(0);

/** Bytes that wait for Redis from which on a stream pauses its backend. */
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
  readonly progress: AttemptTimer;
  readonly backpressure: ReplyBackpressure = new ReplyBackpressure();
  readonly #stream: boolean;
  readonly #ready: (outbox: Outbox) => void;
  readonly #ambient: Pick<Ambient, "mono">;
  /** True while the emitter has been notified, and has not fetched the frame. */
  #isAnnounced = false;
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
   * @param options.stream false keeps all bytes until the end, so that such a task can be run again
   * @param options.ready called once when there is a frame to send, until {@link Outbox.next} fetches it
   * @param options.awake monotonic time without the time in which this process stood still (ms)
   */
  constructor(options: {
    task: string;
    attempt: number;
    worker: string;
    stream: boolean;
    ready: (outbox: Outbox) => void;
    ambient: Pick<Ambient, "mono">;
    awake?: () => number;
  }) {
    this.task = options.task;
    this.tag = tagOf(options.task);
    this.attempt = options.attempt;
    this.worker = options.worker;
    this.#stream = options.stream;
    this.#ready = options.ready;
    this.#ambient = options.ambient;
    // Time in which this process stood still is no silence of its backend.
    this.progress = new AttemptTimer({ awake: options.awake ?? processStalls.awake, stream: options.stream });
  }

  /** True when bytes of the answer have been handed to Redis (or are about to be). */
  get begun(): boolean {
    return this.#seq > 0 || this.#inFlight !== undefined || (this.#stream && this.#chunks.length > 0);
  }

  /** Mono ms at which the backend's first bytes came; undefined before. */
  get firstByteAt(): number | undefined {
    return this.#firstByteAt;
  }

  /** Sets the listener for the first bytes of a stream, called once. An answer in one piece may still break off then. */
  onBegun(listener: () => void): void {
    this.#onBegun = listener;
  }

  /** Sets the listener for the verdict of Redis, called once. Call this before the first write. */
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
    if (this.#gathered > FULL_BYTES) this.backpressure.full(true);
    this.#announce();
  }

  /** Ends the reply. A fault replaces the bytes of a reply that is not streamed. */
  end(end: FrameEnd): void {
    if (this.#closed || this.#end !== undefined) return;
    this.#end = end;
    if (end.fault !== undefined && !this.#stream) this.#chunks = [];
    this.#announce();
  }

  /** The frame to send now, the same until it is answered; undefined when there is none. */
  next(): OutgoingFrame | undefined {
    this.#isAnnounced = false;
    if (this.#closed) return undefined;
    if (this.#inFlight === undefined && (this.#chunks.length > 0 || this.#end !== undefined)) {
      const wasFull = this.#gathered > FULL_BYTES;
      this.#inFlight = this.#pack();
      // Its backend may write within this very call.
      if (wasFull) this.backpressure.full(false);
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
    this.backpressure.end();
    this.#onOver?.(verdict);
  }

  #begin(): void {
    this.#firstByteAt = this.#ambient.mono();
    if (this.#stream) this.#onBegun?.();
  }

  #announce(): void {
    if (this.#isAnnounced || this.#inFlight !== undefined) return;
    this.#isAnnounced = true;
    this.#ready(this);
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
