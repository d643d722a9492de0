import type { NeutralRequest, Part } from "../core/chat.ts";
import { Fault } from "../core/fault.ts";
import type { JsonObject } from "../core/json.ts";
import type { Dialect, Endpoint } from "../core/task.ts";
import type { Timings, Usage } from "../core/usage.ts";

/**
 * A dialect consists of two codecs. The server codec serves clients, the client codec talks to backends. All of it is
 * pure: no clock and no I/O.
 */

/** The facts of a request that the gateway needs before it queues it. */
export interface RequestHead {
  /** As the client wrote it. */
  readonly model: string;
  readonly stream: boolean;
}

/** The facts of a task that its reply writer needs. */
export interface ReplyContext {
  /** The model as the client wrote it, which the reply echoes. */
  readonly model: string;
  readonly stream: boolean;
  /** Unique per task and safe in JSON. Writers add a prefix (`chatcmpl-…`). */
  readonly id: string;
  /** Wall clock, ms since 1970. */
  now(): number;
  /** Ms since 1970 when the task was accepted, where total durations start. */
  readonly startedAt: number;
  /** The client's body, already checked by `validate`. */
  readonly body: JsonObject;
  /** Answers wanted in all. Absent: 1. */
  readonly choices?: number;
  /** Answers for each prompt, those of the first prompt first. Absent: all belong to one prompt. */
  readonly perPrompt?: number;
}

/** Encodes parts as the bytes of a client's reply. One writer per reply. */
export interface ReplyWriter {
  readonly contentType: string;
  /**
   * Returns the text to send now for this part; "" while it is gathered. An end part closes its choice, and the last
   * one the reply.
   * @param choice index of the answer, from 0; absent: 0
   */
  write(part: Part, choice?: number): string;
}

/** The fault of a part that an endpoint's reply cannot carry, such as text among embeddings. */
export function unexpectedPart({ type }: Part): Fault {
  return new Fault("backend_lost", `the backend's reply has a ${type} that was not requested`);
}

/** One endpoint as clients use it. */
export interface ServerCodec {
  readonly endpoint: Endpoint;
  readonly dialect: Dialect;
  /**
   * True when only the tokens of the decoded chat are counted. The reply is then a single end part with the prompt's
   * tokens as usage.
   */
  readonly counts?: true;
  /** Checks the whole body at the edge. Throws a Fault in the words of the dialect. */
  validate(body: JsonObject): RequestHead;
  /** Decodes a body that `validate` accepted. Throws a Fault for content that cannot be translated. */
  decode(body: JsonObject): NeutralRequest;
  reply(context: ReplyContext): ReplyWriter;
}

/** Encodes faults for the clients of a dialect. */
export interface FaultEncoder {
  /** The body before the first byte. The status is the fault's. */
  body(fault: Fault, requestId: string): { readonly contentType: string; readonly body: string };
  /** The bytes after the first byte of a stream, which make every client raise an error. */
  frame(fault: Fault, endpoint: Endpoint, requestId: string): string;
}

/** A request to a backend, relative to its base URL. */
export interface BackendRequest {
  readonly path: string;
  readonly body: Buffer | string;
  /** Absent: JSON. */
  readonly contentType?: string | undefined;
  /** Names of the client's fields that this request leaves out although they affect the answer. */
  readonly dropped?: readonly string[];
}

/** Decodes a backend's reply into parts, for any split of its bytes. */
export interface ReplyReader {
  /**
   * Decodes while the parts are consumed. Throws a Fault for an error of the backend or a violation of its API, after
   * all earlier parts.
   */
  push(chunk: Buffer): Iterable<Part>;
  /** Ends the body. Throws `backend_lost` when the reply is incomplete. */
  end(): Iterable<Part>;
  /** Facts about the backend that the reply shows; undefined when none. */
  readonly learned?: Learned | undefined;
}

/**
 * Forwards a backend's reply to a client of the same dialect with the fewest changes. It detects the end, the usage
 * and errors.
 */
export interface Relay {
  /** Sets the content type of the backend's reply, before the first bytes. "" for none. */
  head?(contentType: string): void;
  /** Returns bytes to forward now: whole lines (NDJSON) or whole events (SSE), perhaps none. */
  push(chunk: Buffer): Buffer;
  /** Ends the body and returns the remaining bytes. Throws `backend_lost` when the reply is incomplete. */
  end(): Buffer;
  /** Known after `end`. */
  readonly usage: Usage | undefined;
  /** Known after `end`. Absent when the backend reports none. */
  readonly timings?: Timings | undefined;
  /** The content type, when the relay changes the format. Undefined: the backend's own. */
  readonly contentType?: string | undefined;
}

/** Facts about one backend, found by trying. They override the facts of its kind. */
export interface Learned {
  /** False when the backend rejects `stream_options`. */
  readonly streamOptions?: boolean;
  /** True when the backend rejects `developer`, and system messages behind the first message. */
  readonly systemFirst?: boolean;
  /** The field of earlier thoughts: the same in which the backend sends its own. */
  readonly thoughts?: "reasoning" | "reasoning_content";
}

/** Requests and replies of backends of one dialect. Quirks are data, not branches in callers. */
export interface ClientCodec {
  readonly dialect: Dialect;
  /** Encodes a request for a backend's model. Throws `unsupported` or `not_implemented`. */
  encode(
    request: NeutralRequest,
    options: { readonly model: string; readonly stream: boolean; readonly learned?: Learned },
  ): BackendRequest;
  reader(options: { readonly request: NeutralRequest; readonly stream: boolean }): ReplyReader;
  /** The fault of a non-2xx reply, with the message from the backend's error body. */
  readError(status: number, body: Buffer, retryAfter: number | undefined): Fault;
  /** The passthrough of an endpoint; undefined: translate. */
  passthrough(endpoint: Endpoint): Passthrough | undefined;
}

export interface Passthrough {
  /** False for a body that must be translated. Absent: every body passes. */
  carries?(body: Buffer): boolean;
  /** Returns the client's body for this backend: the same Buffer when nothing changes. */
  request(options: PassthroughOptions): BackendRequest;
  relay(options: PassthroughOptions): Relay;
}

export interface PassthroughOptions {
  /** The client's bytes. */
  readonly body: Buffer;
  readonly stream: boolean;
  /** The model as the client wrote it, for the reply. */
  readonly asked: string;
  /** The backend's own id of the model, for the request. */
  readonly model: string;
  readonly learned?: Learned;
  /** The requested path of an endpoint with several. Absent: the first one. */
  readonly path?: string | undefined;
  /** The content type of the body. Absent: JSON. */
  readonly contentType?: string | undefined;
  /** Offset of the model's name in a form. Absent: the form names none. */
  readonly modelAt?: number | undefined;
}
