/**
 * Typed faults: every error that can reach a client, a log line or a metric has one stable code here.
 * Code is what programs switch on; the message is for people and is never matched.
 */

interface FaultKind {
  /** HTTP status used when nothing has been sent to the client yet. */
  readonly http: number;
  /** True when the same request may succeed if sent again later. */
  readonly retryable: boolean;
}

/** The catalogue. The key is the stable code used on the wire, in logs, in metrics and in error bodies. */
export const FAULTS = {
  body_missing: { http: 400, retryable: false },
  bad_json: { http: 400, retryable: false },
  invalid_request: { http: 400, retryable: false },
  model_required: { http: 400, retryable: false },
  model_name_invalid: { http: 400, retryable: false },
  /** The request asks for something that cannot be carried to the backend without losing it. */
  unsupported: { http: 400, retryable: false },
  unauthorized: { http: 401, retryable: false },
  origin_forbidden: { http: 403, retryable: false },
  host_forbidden: { http: 403, retryable: false },
  policy_disabled: { http: 403, retryable: false },
  path_not_found: { http: 404, retryable: false },
  model_not_found: { http: 404, retryable: false },
  method_not_allowed: { http: 405, retryable: false },
  request_too_large: { http: 413, retryable: false },
  rate_limited: { http: 429, retryable: true },
  /** The client did not read its answer and was cut; never shown to it, used in logs and metrics. */
  slow_client: { http: 499, retryable: false },
  /** The client went away; never shown to it, used in logs and metrics. */
  cancelled: { http: 499, retryable: false },
  internal: { http: 500, retryable: false },
  /** The backend does not offer this operation. */
  not_implemented: { http: 501, retryable: false },
  /** The backend answered with an error of its own; the fault carries its status. */
  backend_error: { http: 502, retryable: false },
  backend_unreachable: { http: 502, retryable: true },
  /** The backend's reply broke off after it had begun, or was not what its API promises. */
  backend_lost: { http: 502, retryable: true },
  /** The worker died after a part of the answer had been sent. */
  worker_lost: { http: 502, retryable: true },
  /** The task was delivered too often without an answer (it may be what kills the workers). */
  delivery_limit: { http: 502, retryable: false },
  /** The gateway has as many requests, or as many bytes of them, as it takes. */
  overloaded: { http: 503, retryable: true },
  too_many_connections: { http: 503, retryable: true },
  queue_full: { http: 503, retryable: true },
  /** The clients of the gateway do not read their answers, and as much of those waits as may. */
  replies_full: { http: 503, retryable: true },
  redis_down: { http: 503, retryable: true },
  /** The gateway itself stood still for so long that others took it for lost, or its own time ran out. */
  gateway_stalled: { http: 503, retryable: true },
  draining: { http: 503, retryable: true },
  /** The backend is loading the model or is full. */
  backend_busy: { http: 503, retryable: true },
  /** No worker began in the time that the request may wait for one. */
  queue_timeout: { http: 503, retryable: true },
  /** No connection to the backend in time. */
  connect_timeout: { http: 504, retryable: true },
  /** The backend has the request and did not begin to answer in time. */
  first_token_timeout: { http: 504, retryable: true },
  /** The backend began to answer and fell silent. */
  idle_timeout: { http: 504, retryable: true },
  /** The whole life of the request was not enough. */
  deadline_exceeded: { http: 504, retryable: true },
} as const;

export type FaultCode = keyof typeof FAULTS;

const kinds: Readonly<Record<FaultCode, FaultKind>> = FAULTS;

export interface FaultOptions {
  /** Overrides the catalogue's status: a backend's own status is kept. */
  readonly http?: number;
  /** Seconds a client should wait before trying again (Retry-After). */
  readonly retryAfter?: number;
  readonly cause?: unknown;
}

/** An error with a stable code. Thrown inside a process, carried as {@link FaultRecord} between processes. */
export class Fault extends Error {
  readonly code: FaultCode;
  readonly http: number;
  readonly retryAfter: number | undefined;
  /** The same, when whoever reported the fault said it himself; {@link retryAfter} may be a guess. */
  readonly askedToWait: number | undefined;

  constructor(code: FaultCode, message: string, options: FaultOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "Fault";
    this.code = code;
    this.http = options.http ?? kinds[code].http;
    this.askedToWait = options.retryAfter;
    this.retryAfter = options.retryAfter ?? (kinds[code].retryable && this.http >= 429 ? 1 : undefined);
  }

  get retryable(): boolean {
    return kinds[this.code].retryable;
  }
}

/** A fault as it travels in an end frame. */
export interface FaultRecord {
  readonly code: FaultCode;
  readonly message: string;
  readonly http: number;
  readonly retryAfter?: number;
}

export function isFaultCode(value: unknown): value is FaultCode {
  return typeof value === "string" && Object.hasOwn(FAULTS, value);
}

export function faultToRecord(fault: Fault): FaultRecord {
  const record = { code: fault.code, message: fault.message, http: fault.http };
  return fault.retryAfter === undefined ? record : { ...record, retryAfter: fault.retryAfter };
}

/** A record of an unknown (newer) code becomes `internal`, its message kept. */
export function faultFromRecord(record: FaultRecord): Fault {
  const code = isFaultCode(record.code) ? record.code : "internal";
  const retry = record.retryAfter === undefined ? {} : { retryAfter: record.retryAfter };
  return new Fault(code, record.message, { http: record.http, ...retry });
}

/** Coerces whatever was thrown into a fault, once, at an edge. Unknown errors become `internal`. */
export function toFault(thrown: unknown): Fault {
  if (thrown instanceof Fault) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new Fault("internal", message, { cause: thrown });
}
