import { Fault } from "../core/fault.ts";
import { Gatherer } from "../wire/lines.ts";
import type { Brake, Pulse } from "./backend.ts";

export type ReplyHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** What takes the reply of one exchange. A receiver that throws ends the exchange with what it threw. */
export interface Receiver {
  onHead(status: number, headers: ReplyHeaders): void;
  onChunk(chunk: Buffer): void;
}

export interface PostOptions {
  readonly path: string;
  readonly body: Buffer | string;
  /** Content type of the body; absent: JSON. */
  readonly contentType?: string | undefined;
  readonly signal: AbortSignal;
  readonly pulse: Pick<Pulse, "connecting" | "sent">;
  /** W3C traceparent for the backend; empty for none. */
  readonly trace: string;
  readonly brake?: Brake | undefined;
  /** The head of a 2xx reply has come. */
  onHead(headers: ReplyHeaders): void;
  /** A piece of the body of a 2xx reply. What this throws rejects the exchange and hangs up. */
  onChunk(chunk: Buffer): void;
  /** The fault of a reply that is not 2xx. */
  readError(status: number, body: Buffer, retryAfter: number | undefined): Fault;
}

/** A whole reply of any status. */
export interface HttpReply {
  readonly status: number;
  readonly headers: ReplyHeaders;
  readonly body: Buffer;
}

/** Error bodies are kept up to this many bytes. */
const MAX_ERROR_BODY = 1024 * 1024;
/** Lists of models and the like: larger ones are refused. */
const MAX_WHOLE_BODY = 32 * 1024 * 1024;

interface ErrorReply {
  readonly status: number;
  readonly headers: ReplyHeaders;
  readonly body: BoundedBody;
}

/** Hands a 2xx body on, gathers any other up to a limit. */
export class PostReceiver implements Receiver {
  readonly #options: PostOptions;
  #error: ErrorReply | undefined;

  constructor(options: PostOptions) {
    this.#options = options;
  }

  onHead(status: number, headers: ReplyHeaders): void {
    if (isOk(status)) this.#options.onHead(headers);
    else this.#error = { status, headers, body: new BoundedBody(MAX_ERROR_BODY) };
  }

  onChunk(chunk: Buffer): void {
    const error = this.#error;
    if (error === undefined) this.#options.onChunk(chunk);
    else if (!error.body.add(chunk)) throw this.#fault(error);
  }

  /** The reply is complete. Throws the fault of a reply that is not 2xx. */
  end(): void {
    if (this.#error !== undefined) throw this.#fault(this.#error);
  }

  /** The fault of an error reply that broke off: what has come of it tells more than that it broke off. */
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

  reply(): HttpReply {
    return { status: this.#status, headers: this.#headers, body: this.#body.bytes() };
  }
}

/** Bytes of a body that is thrown away; after more of them the connection is given up. */
const MOST_THROWN_AWAY = 64 * 1024;

/** Wants the status alone. */
export class StatusReceiver implements Receiver {
  status: number | undefined;
  #bytes = 0;

  onHead(status: number): void {
    this.status = status;
  }

  onChunk(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > MOST_THROWN_AWAY) throw new Fault("backend_error", "the backend's reply is too large");
  }
}

/** Small pieces are joined as they come: a Buffer of one byte takes a hundred times its size. */
class BoundedBody {
  readonly #limit: number;
  readonly #gathered: Gatherer;

  constructor(limit: number) {
    this.#limit = limit;
    this.#gathered = new Gatherer(limit);
  }

  /** False when the limit is passed; the chunk is then left out. */
  add(chunk: Buffer): boolean {
    if (this.#gathered.length + chunk.length > this.#limit) return false;
    this.#gathered.add(chunk);
    return true;
  }

  bytes(): Buffer {
    return this.#gathered.peek();
  }
}

/** True for the statuses of success. */
export function isOk(status: number): boolean {
  return status >= 200 && status < 300;
}

/** Seconds of a Retry-After header; its date form is not used by LLM servers and counts as absent. */
export function retryAfterOf(headers: ReplyHeaders): number | undefined {
  const value = headers["retry-after"];
  return typeof value === "string" && /^\d{1,6}$/.test(value) ? Number(value) : undefined;
}
