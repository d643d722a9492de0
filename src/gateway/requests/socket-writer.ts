import type { Fault } from "../../core/fault.ts";
import type { Frame } from "../../core/frame.ts";
import type { Task } from "../../core/task.ts";
import type { Heartbeat } from "../../protocols/heartbeats.ts";
import { breakOff, sendFault } from "../http/fault-reply.ts";
import type { HttpReply } from "../http/http.ts";
import { replyHeaders } from "../http/reply-headers.ts";

const NO_BYTES = Buffer.alloc(0);

/**
 * Writes one reply to its client's socket. The first bytes, of a frame or a heartbeat, commit status and headers. From
 * then on a fault is sent within the stream.
 */
export class SocketWriter {
  readonly #reply: HttpReply;
  readonly #mono: () => number;
  /** Its own copy, since the task of the exchange holds the body. */
  readonly #target: Pick<Task, "endpoint" | "requestId" | "stream">;
  #isCommitted = false;
  #hasBegun = false;
  #isStalled = false;
  #status = 0;
  #contentType = "";
  #firstByteAt: number | undefined;
  #wroteAt: number;

  constructor(reply: HttpReply, { endpoint, requestId, stream }: Task, mono: () => number) {
    this.#reply = reply;
    this.#mono = mono;
    this.#target = { endpoint, requestId, stream };
    this.#wroteAt = mono();
  }

  /** HTTP status sent; 0 before any. */
  get status(): number {
    return this.#status;
  }

  /** True when bytes of a frame were written. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** True when status and headers have left. */
  get isCommitted(): boolean {
    return this.#isCommitted;
  }

  /** True while the client's socket is full. */
  get isStalled(): boolean {
    return this.#isStalled;
  }

  /** Mono ms of the first bytes of a frame. */
  get firstByteAt(): number | undefined {
    return this.#firstByteAt;
  }

  /** Mono ms of the last bytes, heartbeats included; before any, of the acceptance. */
  get wroteAt(): number {
    return this.#wroteAt;
  }

  /** Writes the bytes of a frame. */
  write({ bytes, head }: Frame): void {
    this.#hasBegun = true;
    const now = this.#mono();
    this.#firstByteAt ??= now;
    if (!this.#isCommitted) {
      this.#commit(head?.status ?? 200, head?.contentType ?? "application/octet-stream", {
        bytes,
        dropped: head?.dropped,
      });
    } else if (bytes.length > 0) {
      this.#isStalled = !this.#reply.write(bytes);
    }
    this.#wroteAt = now;
  }

  /** Writes the last bytes. They leave in one packet with the end of the stream, and with the head if it is due. */
  end(frame: Frame): void {
    if (!this.#hasBegun) this.write({ ...frame, bytes: NO_BYTES });
    this.#reply.end(frame.bytes);
  }

  /** Sends a whole reply in one piece. Nothing must have been sent before. */
  send({ bytes, head }: Frame): void {
    this.#status = head?.status ?? 200;
    this.#firstByteAt = this.#mono();
    const type = head?.contentType ?? "application/json";
    this.#reply.send(this.#status, replyHeaders(this.#target, type, head?.dropped), bytes);
  }

  /** Writes a sign of life. */
  beat({ text, contentType }: Heartbeat): void {
    const bytes = Buffer.from(text);
    if (this.#isCommitted) this.#isStalled = !this.#reply.write(bytes);
    else this.#commit(200, contentType, { bytes });
    this.#wroteAt = this.#mono();
  }

  /** Ends the reply with a fault in the client's dialect. */
  fail(fault: Fault): void {
    if (this.#isCommitted) {
      breakOff(this.#reply, fault, this.#target, this.#contentType);
    } else {
      this.#status = fault.http;
      sendFault(this.#reply, fault, this.#target);
    }
  }

  /** The client is gone. */
  gone(): void {
    this.#status ||= 499;
  }

  /** The socket has room again. @returns true when it was full */
  drained(): boolean {
    const wasStalled = this.#isStalled;
    this.#isStalled = false;
    return wasStalled;
  }

  #commit(
    status: number,
    type: string,
    { bytes, dropped }: { readonly bytes: Buffer; readonly dropped?: readonly string[] | undefined },
  ): void {
    this.#isCommitted = true;
    this.#status = status;
    this.#contentType = type;
    this.#isStalled = !this.#reply.start(status, replyHeaders(this.#target, type, dropped), bytes);
  }
}

/** A client that is further behind (bytes) pauses its backend. Enough is left to go on at once when it reads again. */
const BEHIND_BYTES = 256 * 1024;

/** The reply stream is trimmed each time the client has taken this many bytes. */
const TRIM_BYTES = 4 * 1024 * 1024;

/** The part of one reply that waits in Redis because its client's socket is full. */
export class Backlog {
  /** Bytes that came while the socket was full, and the last seq among them. */
  #bytes = 0;
  #lastSeq = 0;
  #isHeld = false;
  /** Bytes taken by the client since the last trim. */
  #untrimmed = 0;

  /** Bytes of the reply known to wait for the client. */
  get bytes(): number {
    return this.#bytes;
  }

  /** True while the backend pauses. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** Counts a frame that stays in the reply stream. @returns true when the backend should pause from now on */
  missed({ seq, bytes }: Frame): boolean {
    // A frame without bytes may be a nudge: its content is in the reply stream only.
    if (seq <= this.#lastSeq || bytes.length === 0) return false;
    this.#lastSeq = seq;
    this.#bytes += bytes.length;
    if (this.#isHeld || this.#bytes <= BEHIND_BYTES) return false;
    this.#isHeld = true;
    return true;
  }

  /** Counts a frame that the client takes. @returns true when the backend may go on from now on */
  taken({ seq, bytes }: Frame): boolean {
    this.#untrimmed += bytes.length;
    if (this.#bytes === 0) return false;
    this.#bytes = seq >= this.#lastSeq ? 0 : Math.max(0, this.#bytes - bytes.length);
    return this.#bytes <= BEHIND_BYTES / 2 && this.#release();
  }

  /** True once for every {@link TRIM_BYTES} taken: the reply stream may be cut off behind the client. */
  trimDue(): boolean {
    if (this.#untrimmed < TRIM_BYTES) return false;
    this.#untrimmed = 0;
    return true;
  }

  /** Another attempt begins. @returns true when the backend may go on from now on */
  restart(): boolean {
    this.#bytes = 0;
    this.#lastSeq = 0;
    return this.#release();
  }

  #release(): boolean {
    const wasHeld = this.#isHeld;
    this.#isHeld = false;
    return wasHeld;
  }
}
