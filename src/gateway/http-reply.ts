/** The writing side of one request. */
import { STATUS_CODES } from "node:http";

import type { Allowance } from "./allowance.ts";
import { BareStream } from "./bare-stream.ts";
import { NO_LENGTH } from "./http10-grafts.ts";
import type { Tail, Tails } from "./tails.ts";
import type { NativeResponse } from "./uws.ts";

/** Names and values in the order they are sent. Line breaks in a value are sent as spaces. */
export type Headers = readonly (readonly [string, string])[];

/**
 * A reply is either sent whole ({@link send}) or as a stream ({@link start}, {@link write}, {@link end}); the first of
 * `send` and `start` wins and later ones do nothing. After the client has gone, every method does nothing.
 */
export interface HttpReply {
  /** True once the client has gone away before the end of the reply. */
  readonly aborted: boolean;
  /** Headers to send with the reply, whatever it will be; they have no effect once it has begun. */
  addHeaders(headers: Headers): void;
  /** The whole answer in one packet, with its Content-Length (none for 204 and 304; no body for HEAD). */
  send(status: number, headers: Headers, body: Buffer | string): void;
  /**
   * Status, headers and first bytes of a stream in one packet. When `first` is empty the head leaves with the first
   * bytes written. Returns false when the socket is full: see {@link write}.
   */
  start(status: number, headers: Headers, first: Buffer): boolean;
  /**
   * Sends more of a stream; the bytes are always taken (copied or sent). Returns false when the socket is full: do
   * not write again until `onDrain`. Small writes may be told so one write late. A client that takes nothing from a
   * full socket for about 30 s is given up (`onAbort`), or cut when its reply has ended. Also false when nothing can
   * be written at all: before `start`, after the end, or without a client.
   */
  write(bytes: Buffer): boolean;
  /** Ends a stream well, after the last bytes; allowed on a full socket. */
  end(last?: Buffer): void;
  /**
   * Cuts the connection so that the client sees a broken reply; a client of HTTP/1.0 cannot tell it from the end of a
   * stream. `onAbort` is not called for it.
   */
  destroy(): void;
  /** Sets what is called, once, when the client goes away before the end. Set it before the handler returns. */
  onAbort(callback: () => void): void;
  /** Sets what is called each time a full socket has room again. */
  onDrain(callback: () => void): void;
}

export interface ReplyOptions {
  /** HEAD: headers only. */
  readonly headOnly: boolean;
  /** HTTP/1.0 has no chunks: a stream ends with its connection, and every connection with its reply. */
  readonly isHttp10?: boolean;
  /** Asked at the end of the reply: true closes the connection after it. */
  readonly isStopping: () => boolean;
  /** Of all replies of the server. */
  readonly tails: Tails;
}

/** A whole answer above this size is handed to the socket as it takes it; smaller ones it takes at once, as a rule. */
const PIECEMEAL_BYTES = 64 * 1024;

type Phase = "waiting" | "streaming" | "done" | "gone";

/** Tells clients and other gateways who answered. */
const SERVER_NAME = "stargazer";

const STATUS_LINES: ReadonlyMap<number, string> = new Map(
  Object.entries(STATUS_CODES).map(([code, text]) => [Number(code), `${code} ${text ?? ""}`]),
);

const LINE_BREAKS = /[\r\n\0]+/gu;

/** The reply over uWebSockets.js: nothing reaches the native response once it is done or its socket has closed. */
export class UwsReply implements HttpReply {
  readonly #res: NativeResponse;
  readonly #options: ReplyOptions;
  #phase: Phase = "waiting";
  #isFull = false;
  #isLast = false;
  #added: Headers = [];
  #onAbort: (() => void) | undefined;
  #onDrain: (() => void) | undefined;
  #bodies: Allowance | undefined;
  #held = 0;
  /** The bytes of an answer in one piece that wait for room. */
  #tail: Tail | undefined;
  #bare: BareStream | undefined;

  constructor(res: NativeResponse, options: ReplyOptions) {
    this.#res = res;
    this.#options = options;
    this.#isLast = this.isHttp10;
    res.onAborted(() => this.#abort());
  }

  get native(): NativeResponse {
    return this.#res;
  }

  get aborted(): boolean {
    return this.#phase === "gone";
  }

  /** Counts bytes of the request's body in `bodies` until this reply is over. */
  hold(bodies: Allowance, bytes: number): void {
    bodies.take(bytes);
    this.#bodies = bodies;
    this.#held += bytes;
  }

  get isHttp10(): boolean {
    return this.#options.isHttp10 === true;
  }

  /** True while the native response may be touched. */
  get open(): boolean {
    return this.#phase === "waiting" || this.#phase === "streaming";
  }

  addHeaders(headers: Headers): void {
    this.#added = [...this.#added, ...headers];
  }

  send(status: number, headers: Headers, body: Buffer | string): void {
    if (this.#phase !== "waiting") return;
    this.#over("done");
    this.#res.cork(() => {
      this.#writeHead(status, headers);
      if (status === 204 || status === 304) this.#endWithoutLength();
      else if (this.#options.headOnly) this.#res.endWithoutBody(Buffer.byteLength(body), this.#closes());
      else if (body.length > PIECEMEAL_BYTES && !this.#isLast) this.#pour(body);
      else this.#res.end(body, this.#closes());
    });
  }

  /**
   * Native code would copy what the socket does not take, and tell nobody when it is gone. It cannot close a connection
   * after an answer in pieces: the client is asked to.
   */
  #pour(answer: Buffer | string): void {
    const body = typeof answer === "string" ? Buffer.from(answer) : answer;
    if (this.#closes()) this.#res.writeHeader("connection", "close");
    const [, isDone] = this.#res.tryEnd(body, body.length);
    if (isDone) return;
    const left = body.length - this.#res.getWriteOffset();
    this.#tail = this.#options.tails.begin(left, () => this.#res.close());
    this.#res.onWritable((offset) => {
      this.#tail?.left(body.length - offset);
      const [hasRoom, isGone] = this.#res.tryEnd(body.subarray(offset), body.length);
      if (isGone) this.#tailGone();
      return hasRoom;
    });
  }

  #tailGone(): void {
    this.#tail?.end();
    this.#tail = undefined;
  }

  start(status: number, headers: Headers, first: Buffer): boolean {
    if (this.#phase !== "waiting") return false;
    if (this.#options.headOnly) {
      this.#over("done");
      this.#res.cork(() => {
        this.#writeHead(status, headers);
        this.#endWithoutLength();
      });
      return false;
    }
    this.#phase = "streaming";
    if (this.isHttp10) return this.#startBare(status, headers, first);
    this.#res.onWritable(() => this.#drain());
    return this.#corked(() => {
      this.#writeHead(status, headers);
      // The end of a stream cannot close the connection, see there: the client is asked to.
      if (this.#closes()) this.#res.writeHeader("connection", "close");
      return this.#res.write(first);
    });
  }

  #startBare(status: number, headers: Headers, first: Buffer): boolean {
    this.#res.cork(() => {
      this.#writeHead(status, headers);
      this.#res.writeHeader("connection", "close");
    });
    this.#bare = new BareStream({
      res: this.#res,
      tails: this.#options.tails,
      onDrain: () => this.#onDrain?.(),
    });
    return this.#bare.write(first);
  }

  write(bytes: Buffer): boolean {
    if (this.#phase !== "streaming") return false;
    return this.#bare?.write(bytes) ?? this.#corked(() => this.#res.write(bytes));
  }

  end(last?: Buffer): void {
    if (this.#phase !== "streaming") return;
    this.#over("done");
    if (this.#bare !== undefined) {
      this.#bare.end(last);
      return;
    }
    // Never asks for the connection's end: the native code would write that header into the body of the stream.
    this.#res.cork(() => this.#res.end(last));
  }

  destroy(): void {
    if (!this.open) return;
    this.#over("done"); // before close(), which runs the abort handler
    this.#res.close();
  }

  /** Closes the connection after this reply (of a stream, has the client do it): what it still sends is not wanted. */
  closeAfter(): void {
    this.#isLast = true;
  }

  onAbort(callback: () => void): void {
    this.#onAbort = callback;
  }

  onDrain(callback: () => void): void {
    this.#onDrain = callback;
  }

  #writeHead(status: number, headers: Headers): void {
    this.#res.writeStatus(STATUS_LINES.get(status) ?? `${status} `).writeHeader("server", SERVER_NAME);
    for (const list of [headers, this.#added])
      for (const [name, value] of list) this.#res.writeHeader(name, value.replace(LINE_BREAKS, " "));
  }

  #over(phase: "done" | "gone"): void {
    this.#phase = phase;
    this.#bodies?.give(this.#held);
    this.#bodies = undefined;
  }

  #closes(): boolean {
    return this.#isLast || this.#options.isStopping();
  }

  /**
   * The native call takes an absent length only as its one absent argument, so the closing is left to the client. One of
   * HTTP/1.0 may wait for it.
   */
  #endWithoutLength(): void {
    if (this.isHttp10) {
      this.#res.endWithoutBody(NO_LENGTH, true);
      return;
    }
    if (this.#closes()) this.#res.writeHeader("connection", "close");
    this.#res.endWithoutBody();
  }

  #corked(write: () => boolean): boolean {
    let hasRoom = true;
    this.#res.cork(() => {
      hasRoom = write();
    });
    if (!hasRoom) this.#isFull = true;
    return hasRoom;
  }

  /**
   * Native code keeps what the socket did not take, and while a writable handler is set it leaves the pushing to the
   * handler: without the empty cork the tail would wait for the next write, which may be seconds away.
   */
  #drain(): boolean {
    this.#res.cork(() => {});
    if (this.#isFull) {
      this.#isFull = false;
      this.#onDrain?.();
    }
    return true;
  }

  #abort(): void {
    this.#tailGone();
    this.#bare?.stop();
    if (!this.open) return;
    this.#over("gone");
    this.#onAbort?.();
  }
}
