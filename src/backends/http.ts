import { Pool, type Dispatcher } from "undici";
import { Fault } from "../core/fault.ts";
import type { Json } from "../core/json.ts";
import type { Brake, Pulse } from "./backend.ts";
import {
  isOk,
  PostReceiver,
  retryAfterOf,
  StatusReceiver,
  WholeReceiver,
  type HttpReply,
  type PostOptions,
  type Receiver,
  type ReplyHeaders,
} from "./receivers.ts";
import { Unpacker } from "./unpacker.ts";

/** Where a backend listens, and how it knows us. */
export interface HttpTarget {
  /** Scheme, host and port, without credentials. */
  readonly origin: string;
  /** Path below which the API lives; empty for most. */
  readonly prefix: string;
  /** Value of the authorization header. Never logged. */
  readonly authorization: string | undefined;
}

/** Where no setting tells: for the first looks at a server. */
const CONNECT_TIMEOUT_MS = 5000;
/** Heads of status 1xx before that of the reply: a server may send some, and none sends many. */
const MOST_HINTS = 32;
/** Below the 5 s after which uvicorn and llama.cpp hang up idle connections, so that a request never meets that. */
const KEEP_ALIVE_MS = 4000;

/**
 * The connections to one backend. Replies are pushed into callbacks straight from the parser: undici's
 * `dispatch` costs about 11 µs per chunk, its fetch 23 to 26.
 */
export class HttpOrigin {
  readonly #pool: Pool;
  readonly #prefix: string;
  readonly #getHeaders: Record<string, string>;
  readonly #tally: Tally = { pieces: 0 };
  readonly #postHeaders: Record<string, string>;

  /** @param connectMs most ms that a connection may take, TLS included */
  constructor(target: HttpTarget, connectMs: number = CONNECT_TIMEOUT_MS) {
    // As many connections as there are tasks: the worker's slots are the limit. HTTP/1.1 only, so that hanging up
    // is what stops a generation.
    this.#pool = new Pool(target.origin, {
      connections: null,
      pipelining: 1,
      allowH2: false,
      // Replies are waited for as long as their task says, not for undici's 300 s.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectTimeout: connectMs,
    });
    this.#prefix = target.prefix;
    const key = target.authorization;
    this.#getHeaders = key === undefined ? {} : { authorization: key };
    this.#postHeaders = { ...this.#getHeaders, "content-type": "application/json" };
  }

  /** Pieces that replies to posts have had so far. */
  get pieces(): number {
    return this.#tally.pieces;
  }

  /**
   * Sends a JSON body and hands the reply to the callbacks as it comes; resolves after its last byte. Rejects
   * with a Fault: `connect_timeout`, `backend_unreachable` before the head of the reply, `backend_lost` when it breaks off later,
   * what `readError` makes of a reply that is not 2xx, or the reason of the signal, which hangs up at once.
   */
  post(options: PostOptions): Promise<void> {
    const receiver = new PostReceiver(options);
    const { path, body, trace, contentType } = options;
    const typed = contentType === undefined ? this.#postHeaders : this.#headersOf(contentType);
    const headers = trace === "" ? typed : { ...typed, traceparent: trace };
    const request = { method: "POST", path: this.#prefix + path, headers, body };
    options.pulse.connecting();
    return this.#exchange(request, receiver, options, this.#tally).then(
      () => receiver.end(),
      (fault: Fault) => Promise.reject(receiver.failed() ?? fault),
    );
  }

  #headersOf(contentType: string): Record<string, string> {
    return { ...this.#postHeaders, "content-type": contentType };
  }

  /** The whole reply of any status. Rejects with `connect_timeout`, `backend_unreachable`, `backend_lost` or the signal's reason. */
  async get(path: string, signal: AbortSignal): Promise<HttpReply> {
    return this.#getOnce(path, signal).catch((error: unknown) => {
      if (signal.aborted || !wasHungUp(error)) throw error;
      return this.#getOnce(path, signal);
    });
  }

  async #getOnce(path: string, signal: AbortSignal): Promise<HttpReply> {
    const receiver = new WholeReceiver();
    const request = { method: "GET", path: this.#prefix + path, headers: this.#getHeaders };
    await this.#exchange(request, receiver, { signal });
    return receiver.reply();
  }

  /** Sends a request of any method; the receiver gets the reply of any status as it comes. Rejects as `get` does. */
  pass(
    request: { readonly method: string; readonly path: string; readonly body: Buffer },
    receiver: Receiver,
    signal: AbortSignal,
  ): Promise<void> {
    const { method, body } = request;
    const path = this.#prefix + request.path;
    const outgoing =
      body.length === 0
        ? { method, path, headers: this.#getHeaders }
        : { method, path, headers: this.#postHeaders, body };
    return this.#exchange(outgoing, receiver, { signal });
  }

  /** The JSON of a 2xx reply. Rejects as `get` does, with `backend_busy` for 429 and 503 and `backend_error` for the rest. */
  async getJson(path: string, signal: AbortSignal): Promise<Json> {
    return jsonOf(await this.get(path, signal), `GET ${path}`);
  }

  /** The status of the answer to a POST; its body is thrown away. Rejects as {@link HttpOrigin.get} does. */
  async statusOf(path: string, body: Buffer, signal: AbortSignal): Promise<number> {
    const receiver = new StatusReceiver();
    const passed = this.pass({ method: "POST", path, body }, receiver, signal);
    await passed.catch((error: unknown) => {
      if (receiver.status === undefined) throw error;
    });
    return receiver.status ?? 0;
  }

  /** As {@link getJson}, for the answer to a JSON body. */
  async postJson(path: string, body: Json, signal: AbortSignal): Promise<Json> {
    const receiver = new WholeReceiver();
    await this.pass({ method: "POST", path, body: Buffer.from(JSON.stringify(body)) }, receiver, signal);
    return jsonOf(receiver.reply(), `POST ${path}`);
  }

  /** Takes no more exchanges; resolves when the open ones have ended. */
  async retire(): Promise<void> {
    await this.#pool.close();
  }

  /** Hangs up: open exchanges reject. Idempotent. */
  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  #exchange(
    request: OutgoingRequest,
    receiver: Receiver,
    { signal, pulse, brake }: Pick<ExchangeOptions, "signal" | "pulse" | "brake">,
    tally?: Tally,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const handler = new ExchangeHandler({ receiver, signal, pulse, brake, tally, resolve, reject });
      if (handler.settled) return;
      // A pool that is closed calls the handler's error method; nothing is thrown here.
      this.#pool.dispatch(request, handler);
    });
  }
}

type OutgoingRequest = Pick<Dispatcher.DispatchOptions, "method" | "path" | "headers" | "body">;

interface Tally {
  pieces: number;
}

interface ExchangeOptions {
  readonly receiver: Receiver;
  readonly signal: AbortSignal;
  readonly pulse?: Pick<Pulse, "sent"> | undefined;
  readonly brake?: Brake | undefined;
  readonly tally?: Tally | undefined;
  readonly resolve: () => void;
  readonly reject: (fault: Fault) => void;
}

/** One request and its reply; settles its promise exactly once. */
class ExchangeHandler implements Dispatcher.DispatchHandler {
  readonly #options: ExchangeOptions;
  #controller: Dispatcher.DispatchController | undefined;
  #headSeen = false;
  #hints = 0;
  #failure: Fault | undefined;
  /** Present for a reply that is compressed. */
  #unpacker: Unpacker | undefined;
  settled = false;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    if (options.signal.aborted) this.#onAbort();
    else options.signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  readonly #onAbort = (): void => {
    const fault = abortFault(this.#options.signal);
    this.#fail(fault);
    this.#controller?.abort(fault);
  };

  /** The connection is there and the request is about to be written: too late when it was aborted while queued. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#failure !== undefined) {
      controller.abort(this.#failure);
      return;
    }
    this.#controller = controller;
    this.#options.brake?.attach(controller);
    this.#options.pulse?.sent();
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: ReplyHeaders): void {
    if (status < 200) {
      this.#hints += 1;
      if (this.#hints > MOST_HINTS) throw new Fault("backend_lost", "the backend's reply does not begin");
      return;
    }
    this.#headSeen = true;
    this.#options.receiver.onHead(status, headers);
    if (headers["content-encoding"] !== undefined) this.#unpack(headers);
  }

  #unpack(headers: ReplyHeaders): void {
    const { receiver, resolve, brake } = this.#options;
    this.#unpacker = Unpacker.of(headers, {
      onChunk: (chunk) => receiver.onChunk(chunk),
      onEnd: () => {
        if (this.#settle()) resolve();
      },
      onFail: (fault) => {
        this.#fail(fault);
        this.#controller?.abort(fault);
      },
      onDrain: () => {
        if (brake?.held !== true) this.#controller?.resume();
      },
    });
    if (this.#unpacker !== undefined) brake?.attach(this.#unpacker);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#options.tally !== undefined) this.#options.tally.pieces += 1;
    if (this.#unpacker === undefined) this.#options.receiver.onChunk(chunk);
    else if (!this.#unpacker.push(chunk)) controller.pause();
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#unpacker === undefined) {
      if (this.#settle()) this.#options.resolve();
      return;
    }
    // The rest is unpacked; the connection is free for the next reply.
    this.#options.brake?.detach(controller);
    this.#controller = undefined;
    this.#unpacker.end();
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#fail(error instanceof Fault ? error : connectionFault(error, this.#headSeen));
  }

  #fail(fault: Fault): void {
    if (!this.#settle()) return;
    this.#failure = fault;
    this.#options.reject(fault);
  }

  #endUnpacking(unpacker: Unpacker): void {
    this.#options.brake?.detach(unpacker);
    unpacker.stop();
  }

  #settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    this.#options.signal.removeEventListener("abort", this.#onAbort);
    // The connection may carry the next reply, which is not this brake's.
    if (this.#controller !== undefined) this.#options.brake?.detach(this.#controller);
    if (this.#unpacker !== undefined) this.#endUnpacking(this.#unpacker);
    return true;
  }
}

/** The JSON of a 2xx reply. @param what was asked */
function jsonOf({ status, headers, body }: HttpReply, what: string): Json {
  if (status === 429 || status === 503) {
    const retryAfter = retryAfterOf(headers);
    const wait = retryAfter === undefined ? {} : { retryAfter };
    throw new Fault("backend_busy", `the backend is not ready: ${what} was answered with ${status}`, wait);
  }
  if (!isOk(status)) {
    throw new Fault("backend_error", `the backend answered ${status} to ${what}`);
  }
  try {
    return JSON.parse(body.toString()) as Json;
  } catch (error) {
    throw new Fault("backend_error", `the backend's answer to ${what} is not JSON`, { cause: error });
  }
}

/** The message names no address: it can reach a client. */
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

const HUNG_UP: ReadonlySet<unknown> = new Set(["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"]);

/** True for a request on a connection that the server closed at the same time: a restarted one may be there again. */
function wasHungUp(error: unknown): boolean {
  if (!(error instanceof Fault) || error.code !== "backend_unreachable") return false;
  return error.cause instanceof Error && "code" in error.cause && HUNG_UP.has(error.cause.code);
}

function abortFault(signal: AbortSignal): Fault {
  const reason: unknown = signal.reason;
  if (reason instanceof Fault) return reason;
  return reason instanceof DOMException && reason.name === "TimeoutError"
    ? new Fault("backend_unreachable", "the backend did not answer in time", { cause: reason })
    : new Fault("cancelled", "the request was cancelled", { cause: reason });
}
