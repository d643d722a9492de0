import { causeOfStatus, isCause } from "./cause.ts";
import type { Cause } from "./cause.ts";

/**
 * Typed faults: every error that can reach a client, a log line or a metric has one stable code here.
 * Code is what programs switch on; the message is for people and is never matched.
 */

interface FaultKind {
  /** HTTP status used when nothing has been sent to the client yet. */
  readonly http: number;
  /** True when the same request may succeed if sent again later. */
  readonly retryable: boolean;
  /** To whom it is put down when the thrower does not know better. */
  readonly cause: Cause;
}

/** The catalogue. The key is the stable code used on the wire, in logs, in metrics and in error bodies. */
export const FAULTS = {
  body_missing: { http: 400, retryable: false, cause: "request" },
  bad_json: { http: 400, retryable: false, cause: "request" },
  invalid_request: { http: 400, retryable: false, cause: "request" },
  model_required: { http: 400, retryable: false, cause: "request" },
  model_name_invalid: { http: 400, retryable: false, cause: "request" },
  /** The request asks for something that cannot be carried to the backend without losing it. */
  unsupported: { http: 400, retryable: false, cause: "request" },
  unauthorized: { http: 401, retryable: false, cause: "client" },
  origin_forbidden: { http: 403, retryable: false, cause: "client" },
  host_forbidden: { http: 403, retryable: false, cause: "client" },
  policy_disabled: { http: 403, retryable: false, cause: "client" },
  path_not_found: { http: 404, retryable: false, cause: "request" },
  model_not_found: { http: 404, retryable: false, cause: "request" },
  method_not_allowed: { http: 405, retryable: false, cause: "request" },
  request_too_large: { http: 413, retryable: false, cause: "request" },
  rate_limited: { http: 429, retryable: true, cause: "client" },
  /** The client did not read its answer and was cut; never shown to it, used in logs and metrics. */
  slow_client: { http: 499, retryable: false, cause: "client" },
  /** The client went away; never shown to it, used in logs and metrics. */
  cancelled: { http: 499, retryable: false, cause: "client" },
  internal: { http: 500, retryable: false, cause: "gateway" },
  /** The backend does not offer this operation. */
  not_implemented: { http: 501, retryable: false, cause: "request" },
  /** The backend answered with an error of its own; the fault carries its status. */
  backend_error: { http: 502, retryable: false, cause: "backend" },
  backend_unreachable: { http: 502, retryable: true, cause: "backend" },
  /** The backend's reply broke off after it had begun, or was not what its API promises. */
  backend_lost: { http: 502, retryable: true, cause: "backend" },
  /** The worker died after a part of the answer had been sent. */
  worker_lost: { http: 502, retryable: true, cause: "worker" },
  /** The task was delivered too often without an answer (it may be what kills the workers). */
  delivery_limit: { http: 502, retryable: false, cause: "worker" },
  /** The gateway has as many requests, or as many bytes of them, as it takes. */
  overloaded: { http: 503, retryable: true, cause: "gateway" },
  too_many_connections: { http: 503, retryable: true, cause: "gateway" },
  queue_full: { http: 503, retryable: true, cause: "worker" },
  /** The clients of the gateway do not read their answers, and as much of those waits as may. */
  replies_full: { http: 503, retryable: true, cause: "gateway" },
  redis_down: { http: 503, retryable: true, cause: "redis" },
  /** The gateway itself stood still for so long that others took it for lost, or its own time ran out. */
  gateway_stalled: { http: 503, retryable: true, cause: "gateway" },
  /** No worker offers the model, and one that is getting ready may have it. */
  fleet_starting: { http: 503, retryable: true, cause: "worker" },
  draining: { http: 503, retryable: true, cause: "gateway" },
  /** The backend is loading the model or is full. */
  backend_busy: { http: 503, retryable: true, cause: "backend" },
  /** No worker began in the time that the request may wait for one. */
  queue_timeout: { http: 503, retryable: true, cause: "worker" },
  /** No connection to the backend in time. */
  connect_timeout: { http: 504, retryable: true, cause: "backend" },
  /** The backend has the request and did not begin to answer in time. */
  first_token_timeout: { http: 504, retryable: true, cause: "backend" },
  /** The backend began to answer and fell silent. */
  idle_timeout: { http: 504, retryable: true, cause: "backend" },
  /** The whole life of the request was not enough. */
  deadline_exceeded: { http: 504, retryable: true, cause: "backend" },
} as const;

export type FaultCode = keyof typeof FAULTS;

const kinds: Readonly<Record<FaultCode, FaultKind>> = FAULTS;

export interface FaultOptions {
  /** Overrides the catalogue's status: a backend's own status is kept. */
  readonly http?: number;
  /** Seconds a client should wait before trying again (Retry-After). */
  readonly retryAfter?: number;
  /** To whom it is put down; what the catalogue says of the code when absent. */
  readonly blame?: Cause | undefined;
  readonly cause?: unknown;
}

/** An error with a stable code. Thrown inside a process, carried as {@link FaultRecord} between processes. */
export class Fault extends Error {
  readonly code: FaultCode;
  readonly http: number;
  readonly retryAfter: number | undefined;
  /** The same, when whoever reported the fault said it himself; {@link retryAfter} may be a guess. */
  readonly askedToWait: number | undefined;
  /** The cause that the reporter of the fault stated, when it stated one. */
  readonly statedBlame: Cause | undefined;

  constructor(code: FaultCode, message: string, options: FaultOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "Fault";
    this.code = code;
    this.http = options.http ?? kinds[code].http;
    this.askedToWait = options.retryAfter;
    this.statedBlame = options.blame;
    this.retryAfter = options.retryAfter ?? (kinds[code].retryable && this.http >= 429 ? 1 : undefined);
  }

  get retryable(): boolean {
    return kinds[this.code].retryable;
  }

  /** To whom it is put down. Not named `cause`: that is the chain of errors of every `Error`. */
  get blame(): Cause {
    return this.statedBlame ?? defaultCause(this.code, this.http);
  }

  /** The same fault, put down to another. */
  blamedOn(blame: Cause): Fault {
    const { code, message, http, askedToWait } = this;
    const wait = askedToWait === undefined ? {} : { retryAfter: askedToWait };
    return new Fault(code, message, { http, ...wait, blame, cause: this.cause ?? this });
  }
}

/** To whom a fault with this code and status is put down when its reporter says nothing. */
export function defaultCause(code: FaultCode, http: number): Cause {
  return code === "backend_error" ? causeOfStatus(http) : kinds[code].cause;
}

/** A fault as it travels in an end frame. */
export interface FaultRecord {
  readonly code: FaultCode;
  readonly message: string;
  readonly http: number;
  readonly retryAfter?: number;
  /** To whom it is put down; absent: {@link defaultCause}. */
  readonly cause?: Cause;
}

export function isFaultCode(value: unknown): value is FaultCode {
  return typeof value === "string" && Object.hasOwn(FAULTS, value);
}

/** Characters of a message that travel: some repeat what a client or a backend said, which may be as long as a body. */
const LONGEST_MESSAGE = 16_384;

/** A longer message is cut. */
export function faultToRecord(fault: Fault): FaultRecord {
  const { code, http, retryAfter, blame } = fault;
  const message = fault.message.slice(0, LONGEST_MESSAGE);
  const record = { code, message, http };
  const waits = retryAfter === undefined ? record : { ...record, retryAfter };
  return blame === defaultCause(code, http) ? waits : { ...waits, cause: blame };
}

/** A record of an unknown (newer) code becomes `internal`, its message kept. */
export function faultFromRecord(record: FaultRecord): Fault {
  const code = isFaultCode(record.code) ? record.code : "internal";
  const retry = record.retryAfter === undefined ? {} : { retryAfter: record.retryAfter };
  const blame = isCause(record.cause) ? record.cause : undefined;
  return new Fault(code, record.message, { http: record.http, ...retry, blame });
}

/** Coerces whatever was thrown into a fault, once, at an edge. Unknown errors become `internal`. */
export function toFault(thrown: unknown): Fault {
  if (thrown instanceof Fault) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new Fault("internal", message, { cause: thrown });
}
