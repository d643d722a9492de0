import type { Dispatcher } from "undici";
import { Fault } from "../core/fault.ts";
import { ChunkBuffer } from "../wire/lines.ts";
import { isHeartbeat } from "../wire/sse.ts";
import type { Backpressure, AttemptProgress } from "./backend.ts";
import { Decompressor } from "./decompressor.ts";

export type ReplyHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Takes the reply of one exchange. A receiver that throws ends the exchange with its error. */
export interface Receiver {
  onHead(status: number, headers: ReplyHeaders): void;
  onChunk(chunk: Buffer): void;
}

/** Counts over all exchanges of an origin. */
export interface ExchangeCounts {
  /** Pieces of reply bodies. */
  pieces: number;
}

export interface HttpExchangeOptions {
  readonly receiver: Receiver;
  readonly signal: AbortSignal;
  readonly progress?: Pick<AttemptProgress, "sent"> | undefined;
  readonly backpressure?: Backpressure | undefined;
  readonly counts?: ExchangeCounts | undefined;
  readonly resolve: () => void;
  readonly reject: (fault: Fault) => void;
}

/** Most heads of status 1xx before that of the reply. A server may send some; none sends many. */
const MOST_HINTS = 32;

/** One request and its reply. Settles its promise exactly once. */
export class ExchangeHandler implements Dispatcher.DispatchHandler {
  readonly #options: HttpExchangeOptions;
  #controller: Dispatcher.DispatchController | undefined;
  #headSeen = false;
  #hints = 0;
  #failure: Fault | undefined;
  /** Present for a compressed reply. */
  #decompressor: Decompressor | undefined;
  #settled = false;

  constructor(options: HttpExchangeOptions) {
    this.#options = options;
    if (options.signal.aborted) this.#onAbort();
    else options.signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  get settled(): boolean {
    return this.#settled;
  }

  readonly #onAbort = (): void => {
    const fault = abortFault(this.#options.signal);
    this.#fail(fault);
    this.#controller?.abort(fault);
  };

  /** The connection is open and the request is about to be written. A request that was aborted while queued ends here. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#failure !== undefined) {
      controller.abort(this.#failure);
      return;
    }
    this.#controller = controller;
    this.#options.backpressure?.attach(controller);
    this.#options.progress?.sent();
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: ReplyHeaders): void {
    if (status < 200) {
      this.#hints += 1;
      if (this.#hints > MOST_HINTS) throw new Fault("backend_lost", "the backend's reply does not begin");
      return;
    }
    this.#headSeen = true;
    this.#options.receiver.onHead(status, headers);
    if (headers["content-encoding"] !== undefined) this.#decompress(headers);
  }

  #decompress(headers: ReplyHeaders): void {
    const { receiver, resolve, backpressure } = this.#options;
    this.#decompressor = Decompressor.of(headers, {
      onChunk: (chunk) => receiver.onChunk(chunk),
      onEnd: () => {
        if (this.#settle()) resolve();
      },
      onFail: (fault) => {
        this.#fail(fault);
        this.#controller?.abort(fault);
      },
      onDrain: () => {
        if (backpressure?.paused !== true) this.#controller?.resume();
      },
    });
    if (this.#decompressor !== undefined) backpressure?.attach(this.#decompressor);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#options.counts !== undefined) this.#options.counts.pieces += 1;
    if (this.#decompressor === undefined) this.#options.receiver.onChunk(chunk);
    else if (!this.#decompressor.push(chunk)) controller.pause();
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#decompressor === undefined) {
      if (this.#settle()) this.#options.resolve();
      return;
    }
    // The connection is free for the next reply; the last bytes of this one are still being decompressed.
    this.#options.backpressure?.detach(controller);
    this.#controller = undefined;
    this.#decompressor.end();
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#fail(error instanceof Fault ? error : connectionFault(error, this.#headSeen));
  }

  #fail(fault: Fault): void {
    if (!this.#settle()) return;
    this.#failure = fault;
    this.#options.reject(fault);
  }

  #endDecompression(unpacker: Decompressor): void {
    this.#options.backpressure?.detach(unpacker);
    unpacker.stop();
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#options.signal.removeEventListener("abort", this.#onAbort);
    // The connection may carry the next reply, to which this backpressure does not belong.
    if (this.#controller !== undefined) this.#options.backpressure?.detach(this.#controller);
    if (this.#decompressor !== undefined) this.#endDecompression(this.#decompressor);
    return true;
  }
}

/** The message names no address, as it can reach a client. */
function connectionFault(error: Error, headSeen: boolean): Fault {
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  if (code === "UND_ERR_CONNECT_TIMEOUT") {
    return new Fault("connect_timeout", "no connection to the backend in time", { cause: error });
  }
  const reason = code === "" ? "" : ` (${code})`;
  return headSeen
    ? new Fault("backend_lost", `the backend's reply broke off${reason}`, { cause: error })
    : new Fault("backend_unreachable", `the backend cannot be reached${reason}`, { cause: error });
}

function abortFault(signal: AbortSignal): Fault {
  const reason: unknown = signal.reason;
  if (reason instanceof Fault) return reason;
  return reason instanceof DOMException && reason.name === "TimeoutError"
    ? new Fault("backend_unreachable", "the backend did not answer in time", { cause: reason })
    : new Fault("cancelled", "the request was cancelled", { cause: reason });
}

export interface PostOptions {
  readonly signal: AbortSignal;
  readonly progress: AttemptProgress;
  /** W3C traceparent for the backend; empty for none. */
  readonly trace: string;
  readonly backpressure?: Backpressure | undefined;
  /** Called with the head of a 2xx reply. */
  onHead(headers: ReplyHeaders): void;
  /** Called with each piece of a 2xx body. An error of this callback rejects the exchange and closes the connection. */
  onChunk(chunk: Buffer): void;
  /** The fault of a reply that is not 2xx. */
  readError(status: number, body: Buffer, retryAfter: number | undefined): Fault;
}

/** Most bytes of an error body that are kept. */
const MAX_ERROR_BODY = 1024 * 1024;

interface ErrorReply {
  readonly status: number;
  readonly headers: ReplyHeaders;
  readonly body: BoundedBody;
}

/** Passes a 2xx body on, and gathers any other body up to a limit. */
export class PostReceiver implements Receiver {
  readonly #options: PostOptions;
  #error: ErrorReply | undefined;
  #bytes = 0;

  constructor(options: PostOptions) {
    this.#options = options;
  }

  onHead(status: number, headers: ReplyHeaders): void {
    if (isOk(status)) this.#options.onHead(headers);
    else this.#error = { status, headers, body: new BoundedBody(MAX_ERROR_BODY) };
  }

  onChunk(chunk: Buffer): void {
    const error = this.#error;
    if (error !== undefined) {
      if (!error.body.add(chunk)) throw this.#fault(error);
      return;
    }
    this.#bytes += chunk.length;
    if (!isHeartbeat(chunk)) this.#options.progress.alive();
    this.#options.onChunk(chunk);
  }

  /** The number of bytes of a complete 2xx reply. Throws the fault of a reply that is not 2xx. */
  end(): number {
    if (this.#error !== undefined) throw this.#fault(this.#error);
    return this.#bytes;
  }

  /** The fault of an error reply that broke off. The part that came says more than the broken connection. */
  failed(): Fault | undefined {
    const aborted = this.#options.signal.aborted;
    return this.#error === undefined || aborted ? undefined : this.#fault(this.#error);
  }

  #fault({ status, headers, body }: ErrorReply): Fault {
    if (status < 400 || status > 599) {
      return new Fault("backend_error", `the backend answered with status ${status}, which it should not`);
    }
    return this.#options.readError(status, body.bytes(), retryAfterOf(headers));
  }
}

/** Gathers a body up to a limit. Small pieces are joined as they come: a Buffer of one byte takes 100 bytes of memory. */
export class BoundedBody {
  readonly #limit: number;
  readonly #gathered: ChunkBuffer;

  constructor(limit: number) {
    this.#limit = limit;
    this.#gathered = new ChunkBuffer(limit);
  }

  /** False when the chunk would pass the limit; it is then left out. */
  add(chunk: Buffer): boolean {
    if (this.#gathered.length + chunk.length > this.#limit) return false;
    this.#gathered.add(chunk);
    return true;
  }

  bytes(): Buffer {
    return this.#gathered.peek();
  }
}

/** True for a 2xx status. */
export function isOk(status: number): boolean {
  return status >= 200 && status < 300;
}

/** Seconds of a Retry-After header. Its date form counts as absent: LLM servers do not use it. */
export function retryAfterOf(headers: ReplyHeaders): number | undefined {
  const value = headers["retry-after"];
  return typeof value === "string" && /^\d{1,6}$/.test(value) ? Number(value) : undefined;
}

/** The content type of a reply; undefined where it names none. */
export function contentTypeOf(headers: ReplyHeaders): string | undefined {
  const value = headers["content-type"];
  return typeof value === "string" ? value : undefined;
}
