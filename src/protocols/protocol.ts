import type { NeutralRequest, Part } from "../core/chat.ts";
import type { Fault } from "../core/fault.ts";
import type { JsonObject } from "../core/json.ts";
import type { Dialect, Endpoint } from "../core/task.ts";
import type { Timings, Usage } from "../core/usage.ts";

/**
 * A dialect is written once, with two faces. The server face is what clients see, the client face is what
 * backends see. Everything here is pure: values in, values out, no clock and no I/O of its own.
 */

/** What the gateway must know of a request before it queues it. */
export interface Opening {
  /** As the client wrote it. */
  readonly model: string;
  readonly stream: boolean;
}

/** What a reply writer needs to know of the task it answers. */
export interface ReplyContext {
  /** The model as the client wrote it: echoed. */
  readonly model: string;
  readonly stream: boolean;
  /** Unique per task and safe in JSON; writers put their own prefix before it (`chatcmpl-…`). */
  readonly id: string;
  /** Wall clock, ms since 1970. */
  now(): number;
  /** Ms since 1970 when the task was accepted: where total durations start. */
  readonly startedAt: number;
  /** The client's body, already checked by `open`. */
  readonly body: JsonObject;
  /** How many answers are wanted in all; absent = 1. */
  readonly choices?: number;
  /** How many of them belong to each prompt, those of the first prompt first; absent = all to one. */
  readonly perPrompt?: number;
}

/** Writes parts as the bytes of a client's reply. One writer per reply. */
export interface ReplyWriter {
  readonly contentType: string;
  /**
   * The text to send now for this part; "" when it is gathered until later. The end part closes its choice, the last
   * one the reply.
   * @param choice which of the answers asked for it belongs to, from 0; absent = 0
   */
  write(part: Part, choice?: number): string;
}

/** One endpoint as clients see it. */
export interface ServerEndpoint {
  readonly endpoint: Endpoint;
  readonly dialect: Dialect;
  /**
   * True when the tokens of the chat that `decode` gives are only counted. The reply is then one end part: the
   * prompt's tokens in its usage are the count.
   */
  readonly counts?: true;
  /** Checks the whole body at the edge. Throws a Fault with the dialect's own phrase. */
  open(body: JsonObject): Opening;
  /** The neutral request of a body that `open` accepted. Throws a Fault for what cannot be carried. */
  decode(body: JsonObject): NeutralRequest;
  reply(context: ReplyContext): ReplyWriter;
}

/** How a dialect tells a client about a fault. */
export interface FaultFace {
  /** Before the first byte: body and content type; the status is the fault's. */
  body(fault: Fault, requestId: string): { readonly contentType: string; readonly body: string };
  /** After the first byte of a stream of this endpoint: the bytes that make every client raise an error. */
  frame(fault: Fault, endpoint: Endpoint, requestId: string): string;
}

/** A request to a backend, below its base URL. */
export interface BackendRequest {
  readonly path: string;
  readonly body: Buffer | string;
  /** Absent: JSON. */
  readonly contentType?: string | undefined;
  /** The client's fields that this request leaves out and that say something about the answer, by their names. */
  readonly dropped?: readonly string[];
}

/** Reads a backend's reply body into parts, whatever the split of the bytes. */
export interface ReplyReader {
  /**
   * Reads on as the parts are taken. Throws a Fault when the backend reports one or breaks its own API, after the parts
   * that came before.
   */
  push(chunk: Buffer): Iterable<Part>;
  /** The body has ended. Throws `backend_lost` when the reply is not complete. */
  end(): Iterable<Part>;
  /** Facts of its backend that the reply shows; undefined when none. */
  readonly learned?: Learned | undefined;
}

/**
 * Forwards a backend's reply to a client of the same dialect with as little change as possible, watching it
 * for its end, its usage and errors.
 */
export interface Relay {
  /** The type that the backend gives its reply; called before the first bytes. Empty: it gives none. */
  head?(contentType: string): void;
  /** Bytes to forward now: always whole lines (NDJSON) or whole events (SSE); may be empty. */
  push(chunk: Buffer): Buffer;
  /** The body has ended: the remaining bytes. Throws `backend_lost` when the reply is not complete. */
  end(): Buffer;
  /** Known at the latest after `end`. */
  readonly usage: Usage | undefined;
  /** Likewise; absent where the backend does not tell. */
  readonly timings?: Timings | undefined;
  /** The type of the bytes, when their form is not the backend's; undefined: the backend's own content type. */
  readonly contentType?: string | undefined;
}

/** Facts of one backend that were learned by trying. They override what is known of its kind. */
export interface Learned {
  /** False when `stream_options` is refused. */
  readonly streamOptions?: boolean;
  /** True when `developer` is refused, and a system message that is not the first one. */
  readonly systemFirst?: boolean;
  /** Under which name earlier thoughts are read: the one under which it tells its own. */
  readonly thoughts?: "reasoning" | "reasoning_content";
}

/** What a backend of this dialect understands; quirks are data, not branches in callers. */
export interface ClientFace {
  readonly dialect: Dialect;
  /** The request for a backend's model. Throws `unsupported` or `not_implemented` for what it cannot do. */
  encode(
    request: NeutralRequest,
    options: { readonly model: string; readonly stream: boolean; readonly learned?: Learned },
  ): BackendRequest;
  reader(options: { readonly request: NeutralRequest; readonly stream: boolean }): ReplyReader;
  /** The fault of a non-2xx reply: the backend's own message, taken out of its error body. */
  readError(status: number, body: Buffer, retryAfter: number | undefined): Fault;
  /** The endpoints whose requests and replies can be passed through, with how; undefined = translate. */
  passthrough(endpoint: Endpoint): Passthrough | undefined;
}

export interface Passthrough {
  /** False for a body that has to be translated all the same; absent = every body passes. */
  carries?(body: Buffer): boolean;
  /** The client's body for this backend: the same Buffer when nothing has to change. */
  request(options: PassthroughOptions): BackendRequest;
  relay(options: PassthroughOptions): Relay;
}

export interface PassthroughOptions {
  /** The client's bytes. */
  readonly body: Buffer;
  readonly stream: boolean;
  /** As the client wrote it: what the reply must say. */
  readonly asked: string;
  /** The backend's own id: what the request must say. */
  readonly model: string;
  readonly learned?: Learned;
  /** The path that the client asked, where its endpoint has several. Absent: the first one. */
  readonly path?: string | undefined;
  /** The type of the body; absent: JSON. */
  readonly contentType?: string | undefined;
  /** Where in a form the model's name begins; absent: it names none. */
  readonly modelAt?: number | undefined;
}
