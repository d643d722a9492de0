import { causeOfStatus, isCause } from "./cause.ts";
import type { Cause } from "./cause.ts";

/**
 * Typed faults. Every error that can reach a client, a log line or a metric has one stable code. Programs switch on
 * the code. The message is for people and is never matched.
 */

interface FaultKind {
  /** HTTP status, used while nothing has been sent to the client. */
  readonly http: number;
  /** True when the same request may succeed later. */
  readonly retryable: boolean;
  /** The default cause. */
  readonly cause: Cause;
  /** States to clients whether to retry. Absent: they decide by the status. */
  readonly shouldRetry?: boolean;
}

/** The unit that a limit counts. */
export type LimitedUnit = "requests" | "tokens";

/** All faults. The key is the stable code on the wire, in logs, metrics and error bodies. */
export const FAULTS = {
  body_missing: { http: 400, retryable: false, cause: "request" },
  bad_json: { http: 400, retryable: false, cause: "request" },
  invalid_request: { http: 400, retryable: false, cause: "request" },
  model_required: { http: 400, retryable: false, cause: "request" },
  model_name_invalid: { http: 400, retryable: false, cause: "request" },
  /** Translation for the backend would lose a part of the request that matters. */
  unsupported: { http: 400, retryable: false, cause: "request" },
  unauthorized: { http: 401, retryable: false, cause: "client" },
  origin_forbidden: { http: 403, retryable: false, cause: "client" },
  host_forbidden: { http: 403, retryable: false, cause: "client" },
  /** The role of the key does not allow this request. */
  forbidden: { http: 403, retryable: false, cause: "client" },
  policy_disabled: { http: 403, retryable: false, cause: "client" },
  path_not_found: { http: 404, retryable: false, cause: "request" },
  model_not_found: { http: 404, retryable: false, cause: "request" },
  /** There is no key or tenant of this name. */
  record_not_found: { http: 404, retryable: false, cause: "request" },
  method_not_allowed: { http: 405, retryable: false, cause: "request" },
  /** The record has changed since it was read, or its name is taken. */
  conflict: { http: 409, retryable: false, cause: "request" },
  request_too_large: { http: 413, retryable: false, cause: "request" },
  rate_limited: { http: 429, retryable: true, cause: "client" },
  /** The key or its tenant has as many open requests as it may have. */
  concurrency_limited: { http: 429, retryable: true, cause: "client" },
  /** The key or its tenant has used the tokens of its day or month. */
  budget_exceeded: { http: 429, retryable: false, cause: "client", shouldRetry: false },
  /** The client read its answer too slowly and was disconnected. Used in logs and metrics only. */
  slow_client: { http: 499, retryable: false, cause: "client" },
  /** The client is gone. Used in logs and metrics only. */
  cancelled: { http: 499, retryable: false, cause: "client" },
  internal: { http: 500, retryable: false, cause: "gateway" },
  /** The backend does not offer this operation. */
  not_implemented: { http: 501, retryable: false, cause: "request" },
  /** The backend returned an error, whose status the fault carries. */
  backend_error: { http: 502, retryable: false, cause: "backend" },
  backend_unreachable: { http: 502, retryable: true, cause: "backend" },
  /** The backend's reply broke off, or violated its API. */
  backend_lost: { http: 502, retryable: true, cause: "backend" },
  /** The worker was lost after a part of the answer had been sent. */
  worker_lost: { http: 502, retryable: true, cause: "worker" },
  /** The task was delivered too often without an answer. It may crash its workers. */
  delivery_limit: { http: 502, retryable: false, cause: "worker" },
  /** The gateway has reached its limit of requests, or of their bytes. */
  overloaded: { http: 503, retryable: true, cause: "gateway" },
  too_many_connections: { http: 503, retryable: true, cause: "gateway" },
  queue_full: { http: 503, retryable: true, cause: "worker" },
  /** Clients do not read their answers, and the buffers for unread replies are full. */
  replies_full: { http: 503, retryable: true, cause: "gateway" },
  redis_down: { http: 503, retryable: true, cause: "redis" },
  /** The gateway itself stalled so long that others considered it lost, or that a time limit passed. */
  gateway_stalled: { http: 503, retryable: true, cause: "gateway" },
  /** No worker offers the model, but a starting worker may have it. */
  fleet_starting: { http: 503, retryable: true, cause: "worker" },
  draining: { http: 503, retryable: true, cause: "gateway" },
  /** The backend is loading the model or is full. */
  backend_busy: { http: 503, retryable: true, cause: "backend" },
  /** No worker began before the queue timeout. */
  queue_timeout: { http: 503, retryable: true, cause: "worker" },
  /** No connection to the backend within the timeout. */
  connect_timeout: { http: 504, retryable: true, cause: "backend" },
  /** The backend did not begin to answer within the timeout. */
  first_token_timeout: { http: 504, retryable: true, cause: "backend" },
  /** The backend stopped in the middle of its answer for longer than the timeout. */
  idle_timeout: { http: 504, retryable: true, cause: "backend" },
  /** The total timeout of the request has passed. */
  deadline_exceeded: { http: 504, retryable: true, cause: "backend" },
} as const;

export type FaultCode = keyof typeof FAULTS;

const kinds: Readonly<Record<FaultCode, FaultKind>> = FAULTS;

export interface FaultOptions {
  /** Overrides the default status, to keep the status of a backend. */
  readonly http?: number;
  /** Seconds until the client should retry (Retry-After), also fractions. */
  readonly retryAfter?: number;
  /** States to the client whether to retry. Absent: the default of the code. */
  readonly shouldRetry?: boolean | undefined;
  /** The unit of the limit that refused, for `rate_limited`. */
  readonly unit?: LimitedUnit | undefined;
  /** The cause. Absent: the default of the code. */
  readonly blame?: Cause | undefined;
  readonly cause?: unknown;
}

/** An error with a stable code. Thrown inside a process, carried as {@link FaultRecord} between processes. */
export class Fault extends Error {
  readonly code: FaultCode;
  readonly http: number;
  readonly retryAfter: number | undefined;
  /** The stated `retryAfter`, without the default that {@link retryAfter} may have. */
  readonly statedRetryAfter: number | undefined;
  /** The stated cause, if any. */
  readonly statedBlame: Cause | undefined;
  /** True or false where the client should be told whether to retry. */
  readonly shouldRetry: boolean | undefined;
  /** The unit of the limit that refused. */
  readonly unit: LimitedUnit | undefined;

  constructor(code: FaultCode, message: string, options: FaultOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "Fault";
    this.code = code;
    this.http = options.http ?? kinds[code].http;
    this.statedRetryAfter = options.retryAfter;
    this.statedBlame = options.blame;
    this.shouldRetry = options.shouldRetry ?? kinds[code].shouldRetry;
    this.unit = options.unit;
    this.retryAfter = options.retryAfter ?? (kinds[code].retryable && this.http >= 429 ? 1 : undefined);
  }

  get retryable(): boolean {
    return kinds[this.code].retryable;
  }

  /** The cause of the fault. The name `cause` is taken by the error chain of `Error`. */
  get blame(): Cause {
    return this.statedBlame ?? defaultCause(this.code, this.http);
  }

  /** Returns the same fault with another cause. */
  blamedOn(blame: Cause): Fault {
    const { code, message, http, statedRetryAfter, shouldRetry, unit } = this;
    const wait = statedRetryAfter === undefined ? {} : { retryAfter: statedRetryAfter };
    const cause = this.cause ?? this;
    return new Fault(code, message, { http, ...wait, shouldRetry, unit, blame, cause });
  }
}

/** The cause of a fault with this code and status when none is stated. */
export function defaultCause(code: FaultCode, http: number): Cause {
  return code === "backend_error" ? causeOfStatus(http) : kinds[code].cause;
}

/** A fault as it travels in an end frame. */
export interface FaultRecord {
  readonly code: FaultCode;
  readonly message: string;
  readonly http: number;
  readonly retryAfter?: number;
  /** Absent: {@link defaultCause}. */
  readonly cause?: Cause;
}

export function isFaultCode(value: unknown): value is FaultCode {
  return typeof value === "string" && Object.hasOwn(FAULTS, value);
}

/** Most characters of a message that travel. Some messages repeat text of a client or a backend. */
const LONGEST_MESSAGE = 16_384;

/** Converts a fault for the wire. A long message is cut. */
export function faultToRecord(fault: Fault): FaultRecord {
  const { code, http, retryAfter, blame } = fault;
  const message = fault.message.slice(0, LONGEST_MESSAGE);
  const record = { code, message, http };
  const waits = retryAfter === undefined ? record : { ...record, retryAfter };
  return blame === defaultCause(code, http) ? waits : { ...waits, cause: blame };
}

/** Restores a fault. An unknown (newer) code becomes `internal` and keeps its message. */
export function faultFromRecord(record: FaultRecord): Fault {
  const code = isFaultCode(record.code) ? record.code : "internal";
  const retry = record.retryAfter === undefined ? {} : { retryAfter: record.retryAfter };
  const blame = isCause(record.cause) ? record.cause : undefined;
  return new Fault(code, record.message, { http: record.http, ...retry, blame });
}

/** Turns any thrown value into a fault. Unknown errors become `internal`. */
export function toFault(thrown: unknown): Fault {
  if (thrown instanceof Fault) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new Fault("internal", message, { cause: thrown });
}
