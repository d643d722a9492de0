/** The writing side of one request. */
import { STATUS_CODES } from "node:http";

import { BareStream } from "./bare-stream.ts";
import type { ByteQuota } from "./byte-quota.ts";
import type { Headers, HttpReply } from "./http.ts";
import { NO_LENGTH } from "./http10-grafts.ts";
import type { PendingWrite, PendingWrites } from "./pending-writes.ts";
import type { NativeResponse } from "./uws.ts";

/** The server of a reply, as the reply sees it. */
export interface ReplyServer {
  /** True when each connection closes after its next reply. Read at the end of a reply. */
  readonly isLeaving: boolean;
  readonly pendingWrites: PendingWrites;
}

export interface ReplyOptions {
  /** True for HEAD: headers only. */
  readonly headOnly: boolean;
  /** HTTP/1.0 has no chunks: a stream ends with its connection, and every connection with its reply. */
  readonly isHttp10: boolean;
  readonly server: ReplyServer;
}

/** A larger answer (bytes) goes to the socket as the socket takes it. A smaller one it usually takes at once. */
const PIECEMEAL_BYTES = 64 * 1024;

type State = "waiting" | "streaming" | "done" | "gone";

/** Names this product to clients and to other gateways. */
const SERVER_NAME = "stargazer";

const STATUS_LINES: ReadonlyMap<number, string> = new Map(
  Object.entries(STATUS_CODES).map(([code, text]) => [Number(code), `${code} ${text ?? ""}`]),
);

const LINE_BREAKS = /[\r\n\0]+/gu;

/** The reply over uWebSockets.js: the native response is not touched once it is done or its socket has closed. */
export class UwsReply implements HttpReply {
  /** Only for use while the reply is {@link open}. */
  readonly native: NativeResponse;
  readonly #options: ReplyOptions;
  #state: State = "waiting";
  #isFull = false;
  #isLast = false;
  #added: Headers = [];
  #onGone: (() => void) | undefined;
  #onDrain: (() => void) | undefined;
  #bodies: ByteQuota | undefined;
  #bodyBytes = 0;
  /** The bytes of an answer in one piece that wait for room. */
  #pendingWrite: PendingWrite | undefined;
  #bare: BareStream | undefined;

  constructor(native: NativeResponse, options: ReplyOptions) {
    this.native = native;
    this.#options = options;
    this.#isLast = options.isHttp10;
    native.onAborted(() => this.#socketClosed());
  }

  get isGone(): boolean {
    return this.#state === "gone";
  }

  get isHttp10(): boolean {
    return this.#options.isHttp10;
  }

  /** True while the native response may be touched. */
  get open(): boolean {
    return this.#state === "waiting" || this.#state === "streaming";
  }

  /** Counts bytes of the request's body in `bodies` until this reply is over. */
  countBody(bodies: ByteQuota, bytes: number): void {
    bodies.take(bytes);
    this.#bodies = bodies;
    this.#bodyBytes += bytes;
  }

  addHeaders(headers: Headers): void {
    this.#added = [...this.#added, ...headers];
  }

  send(status: number, headers: Headers, body: Buffer | string): void {
    if (this.#state !== "waiting") return;
    this.#over("done");
    this.native.cork(() => {
      this.#writeHead(status, headers);
      if (status === 204 || status === 304) this.#endWithoutLength();
      else if (this.#options.headOnly) this.native.endWithoutBody(Buffer.byteLength(body), this.#closes());
      else if (body.length > PIECEMEAL_BYTES && !this.#isLast) this.#sendLarge(body);
      else this.native.end(body, this.#closes());
    });
  }

  /** Native code cannot close a connection after an answer in pieces: the header asks the client to. */
  #sendLarge(answer: Buffer | string): void {
    const body = typeof answer === "string" ? Buffer.from(answer) : answer;
    if (this.#closes()) this.native.writeHeader("connection", "close");
    this.#pendingWrite = this.#options.server.pendingWrites.sendBody(this.native, body);
  }

  start(status: number, headers: Headers, first: Buffer): boolean {
    if (this.#state !== "waiting") return false;
    if (this.#options.headOnly) {
      this.#over("done");
      this.native.cork(() => {
        this.#writeHead(status, headers);
        this.#endWithoutLength();
      });
      return false;
    }
    this.#state = "streaming";
    if (this.isHttp10) return this.#startBare(status, headers, first);
    this.native.onWritable(() => this.#drain());
    let hasRoom = true;
    this.native.cork(() => {
      this.#writeHead(status, headers);
      // The end of a stream cannot close the connection (see `end`): the header asks the client to.
      if (this.#closes()) this.native.writeHeader("connection", "close");
      hasRoom = this.native.write(first);
    });
    if (!hasRoom) this.#isFull = true;
    return hasRoom;
  }

  #startBare(status: number, headers: Headers, first: Buffer): boolean {
    this.native.cork(() => {
      this.#writeHead(status, headers);
      this.native.writeHeader("connection", "close");
    });
    this.#bare = new BareStream({
      res: this.native,
      pendingWrites: this.#options.server.pendingWrites,
      onDrain: () => this.#onDrain?.(),
    });
    return this.#bare.write(first);
  }

  write(bytes: Buffer): boolean {
    if (this.#state !== "streaming") return false;
    if (this.#bare !== undefined) return this.#bare.write(bytes);
    let hasRoom = true;
    this.native.cork(() => {
      hasRoom = this.native.write(bytes);
    });
    if (!hasRoom) this.#isFull = true;
    return hasRoom;
  }

  end(last?: Buffer): void {
    if (this.#state !== "streaming") return;
    this.#over("done");
    if (this.#bare !== undefined) {
      this.#bare.end(last);
      return;
    }
    // Never asks native code to close: it would write that header into the body of the stream.
    this.native.cork(() => this.native.end(last));
  }

  destroy(): void {
    if (!this.open) return;
    this.#over("done"); // before close(), which runs the abort handler
    this.native.close();
  }

  /** Closes the connection after this reply; after a stream, a header has asked the client to. */
  closeAfter(): void {
    this.#isLast = true;
  }

  onGone(callback: () => void): void {
    this.#onGone = callback;
  }

  onDrain(callback: () => void): void {
    this.#onDrain = callback;
  }

  #writeHead(status: number, headers: Headers): void {
    this.native.writeStatus(STATUS_LINES.get(status) ?? `${status} `).writeHeader("server", SERVER_NAME);
    for (const list of [headers, this.#added])
      for (const [name, value] of list) this.native.writeHeader(name, value.replace(LINE_BREAKS, " "));
  }

  #over(state: "done" | "gone"): void {
    this.#state = state;
    this.#bodies?.give(this.#bodyBytes);
    this.#bodies = undefined;
  }

  #closes(): boolean {
    return this.#isLast || this.#options.server.isLeaving;
  }

  /**
   * The native call reads an absent length only as its one absent argument. The header therefore asks the client to
   * close. A client of HTTP/1.0 may wait for the close itself, and gets it.
   */
  #endWithoutLength(): void {
    if (this.isHttp10) {
      this.native.endWithoutBody(NO_LENGTH, true);
      return;
    }
    if (this.#closes()) this.native.writeHeader("connection", "close");
    this.native.endWithoutBody();
  }

  /**
   * Native code keeps the bytes that the socket did not take. While a writable handler is set, it leaves the sending to
   * that handler. Without the empty cork the bytes would wait for the next write, which may be seconds away.
   */
  #drain(): boolean {
    this.native.cork(() => {});
    if (this.#isFull) {
      this.#isFull = false;
      this.#onDrain?.();
    }
    return true;
  }

  #socketClosed(): void {
    this.#pendingWrite?.end();
    this.#bare?.stop();
    if (!this.open) return;
    this.#over("gone");
    this.#onGone?.();
  }
}
