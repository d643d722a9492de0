import { Pool, type Dispatcher } from "undici";
import { Fault } from "../core/fault.ts";
import type { Json } from "../core/json.ts";
import type { BackendRequest } from "../protocols/codec.ts";
import {
  BoundedBody,
  type ExchangeCounts,
  ExchangeHandler,
  type HttpExchangeOptions,
  isOk,
  type PostOptions,
  PostReceiver,
  type Receiver,
  type ReplyHeaders,
  retryAfterOf,
} from "./http-exchange.ts";

/** Address and credentials of a backend. */
export interface HttpTarget {
  /** Scheme, host and port, without credentials. */
  readonly origin: string;
  /** Path below which the API lives; empty for most. */
  readonly prefix: string;
  /** Value of the authorization header. Never logged. */
  readonly authorization: string | undefined;
}

/** Used where no setting applies: for the first probes of a server. */
const CONNECT_TIMEOUT_MS = 5000;
/** Below the 5 s after which uvicorn and llama.cpp close idle connections, so that no request meets a closing one. */
const KEEP_ALIVE_MS = 4000;

/**
 * The connections to one backend. The parser calls the receivers directly: undici's `dispatch` costs about 11 µs per chunk,
 * its fetch 23 to 26.
 */
export class HttpOrigin {
  readonly #pool: Pool;
  readonly #prefix: string;
  readonly #getHeaders: Record<string, string>;
  readonly #counts: ExchangeCounts = { pieces: 0 };
  readonly #postHeaders: Record<string, string>;

  /** @param connectMs most ms that a connection may take, TLS included */
  constructor(target: HttpTarget, connectMs: number = CONNECT_TIMEOUT_MS) {
    // One connection per running task: the worker's slots are the limit. HTTP/1.1 only, so that closing the connection
    // stops the generation.
    this.#pool = new Pool(target.origin, {
      connections: null,
      pipelining: 1,
      allowH2: false,
      // The task's own timeouts apply, not undici's 300 s.
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

  /** Pieces of replies to posts so far. */
  get pieces(): number {
    return this.#counts.pieces;
  }

  /**
   * Sends a body and passes the reply to the callbacks as it comes. Resolves after the last byte, with the number of bytes.
   * Rejects with a Fault:
   * - `connect_timeout` when no connection opens in time,
   * - `backend_unreachable` when the connection fails before the head of the reply,
   * - `backend_lost` when the reply breaks off later,
   * - the result of `readError` for a reply that is not 2xx,
   * - the reason of the signal, which closes the connection at once.
   */
  post(request: BackendRequest, options: PostOptions): Promise<number> {
    const receiver = new PostReceiver(options);
    const { path, body, contentType } = request;
    const { trace } = options;
    const typed = contentType === undefined ? this.#postHeaders : this.#headersOf(contentType);
    const headers = trace === "" ? typed : { ...typed, traceparent: trace };
    const outgoing = { method: "POST", path: this.#prefix + path, headers, body };
    options.progress.connecting();
    return this.#exchange(outgoing, receiver, options, this.#counts).then(
      () => receiver.end(),
      (fault: Fault) => Promise.reject(receiver.failed() ?? fault),
    );
  }

  #headersOf(contentType: string): Record<string, string> {
    return { ...this.#postHeaders, "content-type": contentType };
  }

  /** The whole reply, of any status. Rejects as {@link HttpOrigin.post} does, except that no status is an error. */
  async get(path: string, signal: AbortSignal): Promise<WholeReply> {
    return this.#getOnce(path, signal).catch((error: unknown) => {
      if (signal.aborted || !wasHungUp(error)) throw error;
      return this.#getOnce(path, signal);
    });
  }

  async #getOnce(path: string, signal: AbortSignal): Promise<WholeReply> {
    const receiver = new WholeReceiver();
    const request = { method: "GET", path: this.#prefix + path, headers: this.#getHeaders };
    await this.#exchange(request, receiver, { signal });
    return receiver.reply();
  }

  /** Sends a request of any method. The receiver gets the reply, of any status, as it comes. Rejects as `get` does. */
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

  /** The JSON of a 2xx reply. Rejects as `get` does, with `backend_busy` for 429 and 503, and with `backend_error` for other statuses. */
  async getJson(path: string, signal: AbortSignal): Promise<Json> {
    return jsonOf(await this.get(path, signal), `GET ${path}`);
  }

  /** The status of the reply to a POST; its body is discarded. Rejects as `get` does. */
  async statusOf(path: string, body: Buffer, signal: AbortSignal): Promise<number> {
    const receiver = new StatusReceiver();
    const passed = this.pass({ method: "POST", path, body }, receiver, signal);
    await passed.catch((error: unknown) => {
      if (receiver.status === undefined) throw error;
    });
    return receiver.status ?? 0;
  }

  /** The JSON of a 2xx reply to a JSON body. Rejects as `getJson` does. */
  async postJson(path: string, body: Json, signal: AbortSignal): Promise<Json> {
    const receiver = new WholeReceiver();
    await this.pass({ method: "POST", path, body: Buffer.from(JSON.stringify(body)) }, receiver, signal);
    return jsonOf(receiver.reply(), `POST ${path}`);
  }

  /** Accepts no more exchanges. Resolves when the open ones have ended. */
  async retire(): Promise<void> {
    await this.#pool.close();
  }

  /** Closes all connections: open exchanges reject. Idempotent. */
  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  #exchange(
    request: OutgoingRequest,
    receiver: Receiver,
    { signal, progress, backpressure }: Pick<HttpExchangeOptions, "signal" | "progress" | "backpressure">,
    counts?: ExchangeCounts,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const handler = new ExchangeHandler({
        receiver,
        signal,
        progress,
        backpressure,
        counts,
        resolve,
        reject,
      });
      if (handler.settled) return;
      // A closed pool calls the handler's error method; it does not throw here.
      this.#pool.dispatch(request, handler);
    });
  }
}

type OutgoingRequest = Pick<Dispatcher.DispatchOptions, "method" | "path" | "headers" | "body">;

/** A whole reply of any status. */
export interface WholeReply {
  readonly status: number;
  readonly headers: ReplyHeaders;
  readonly body: Buffer;
}

/** Most bytes of a list of models and the like; larger ones are refused. */
const MAX_WHOLE_BODY = 32 * 1024 * 1024;

/** Gathers a whole reply. */
export class WholeReceiver implements Receiver {
  readonly #body = new BoundedBody(MAX_WHOLE_BODY);
  #status = 0;
  #headers: ReplyHeaders = {};

  onHead(status: number, headers: ReplyHeaders): void {
    this.#status = status;
    this.#headers = headers;
  }

  onChunk(chunk: Buffer): void {
    if (!this.#body.add(chunk)) throw new Fault("backend_error", "the backend's reply is too large");
  }

  reply(): WholeReply {
    return { status: this.#status, headers: this.#headers, body: this.#body.bytes() };
  }
}

/** Most bytes of a discarded body; the connection is closed after more of them. */
const MOST_DISCARDED = 64 * 1024;

/** Keeps the status alone. */
class StatusReceiver implements Receiver {
  #status: number | undefined;
  #bytes = 0;

  get status(): number | undefined {
    return this.#status;
  }

  onHead(status: number): void {
    this.#status = status;
  }

  onChunk(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > MOST_DISCARDED) throw new Fault("backend_error", "the backend's reply is too large");
  }
}

/** The JSON of a 2xx reply. @param request method and path, for messages */
function jsonOf({ status, headers, body }: WholeReply, request: string): Json {
  if (status === 429 || status === 503) {
    const retryAfter = retryAfterOf(headers);
    const wait = retryAfter === undefined ? {} : { retryAfter };
    throw new Fault("backend_busy", `the backend is not ready: ${request} was answered with ${status}`, wait);
  }
  if (!isOk(status)) {
    throw new Fault("backend_error", `the backend answered ${status} to ${request}`);
  }
  try {
    return JSON.parse(body.toString()) as Json;
  } catch (error) {
    throw new Fault("backend_error", `the backend's answer to ${request} is not JSON`, { cause: error });
  }
}

const HUNG_UP: ReadonlySet<unknown> = new Set(["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"]);

/** True for a request on a connection that the server closed at the same moment; a restarted server may answer the next one. */
function wasHungUp(error: unknown): boolean {
  if (!(error instanceof Fault) || error.code !== "backend_unreachable") return false;
  return error.cause instanceof Error && "code" in error.cause && HUNG_UP.has(error.cause.code);
}
