import { Fault, toFault } from "../core/fault.ts";
import type { Endpoint, Task } from "../core/task.ts";
import { cleanTraceparent } from "../core/trace.ts";
import { modelNotFound } from "../protocols/ollama/faults.ts";
import type { Opening } from "../protocols/protocol.ts";
import { sendFault } from "./fault-reply.ts";
import type { HttpReply, HttpRequest, RequestHeaders } from "./http.ts";
import { LARGE_BODY_BYTES } from "./large-bodies.ts";
import { openSmallBody } from "./opened-body.ts";
import type { OpenedBody } from "./opened-body.ts";
import { cleanRequestId } from "./request-id.ts";
import { limitsFrom } from "./timeout-policy.ts";
import type { OwnTimeouts } from "./timeout-policy.ts";

/** A request that was refused before it became a task. */
export interface Refusal {
  readonly task: string;
  readonly request: string;
  /** A traceparent; empty without one. */
  readonly trace: string;
  readonly endpoint: Endpoint;
  /** As the client wrote it, at most {@link MOST_NAMED}; empty when the request was refused before it was read. */
  readonly model: string;
  /** Ms since 1970. */
  readonly at: number;
  readonly fault: Fault;
}

/** Of a model's name that nobody knows so much is kept, characters. */
const MOST_NAMED = 200;

/** What the intake needs of its gateway. */
export interface IntakeHost {
  now(): number;
  newTaskId(): string;
  /** How long a task for a model may take; throws `invalid_request` for a header that cannot be read. */
  timeoutsOf(model: string, header: string): OwnTimeouts;
  /** A digest of who asks; undefined, or absent, when that is not known. */
  clientOf?(request: HttpRequest): string | undefined;
  /** A fault when no task can be taken now (Redis down, draining), else undefined. */
  unready(): Fault | undefined;
  /** As `openBody`, by a thread that owns the body from now on; stops caring when it is wanted no longer. */
  openLarge(endpoint: Endpoint, body: Buffer, isWanted: () => boolean): Promise<OpenedBody>;
  /** The fault to tell instead of one on a model that no worker serves; the same when absent. */
  unknownModel?(fault: Fault): Fault;
  /** The queue for a model name, or undefined when nobody serves it. */
  findModel(name: string): string | undefined;
  /** Throws `overloaded` or `queue_full` when one more task with a body of so many bytes is too much. */
  admit(model: string, bytes: number): void;
  /** True for a request with an admin's key. */
  isAdmin(headers: RequestHeaders): boolean;
  accept(task: Task, model: string, reply: HttpReply): void;
  rejected(refusal: Refusal): void;
}

/** A request that is on its way to become a task. */
interface Arrival {
  readonly host: IntakeHost;
  readonly endpoint: Endpoint;
  readonly id: string;
  readonly requestId: string;
  readonly trace: string;
  readonly request: HttpRequest;
  readonly reply: HttpReply;
}

/**
 * Turns a request into a task, or answers it with the fault of its dialect. Everything is checked here, once: small bodies
 * at once, those that are large or hold very much by a thread.
 */
export function takeRequest(
  host: IntakeHost,
  endpoint: Endpoint,
  request: HttpRequest,
  reply: HttpReply,
): void {
  const id = host.newTaskId();
  const { headers, body } = request;
  const requestId = cleanRequestId(headers.requestId) ?? id;
  const trace = cleanTraceparent(headers.traceparent);
  const arrival = { host, endpoint, id, requestId, trace, request, reply };
  try {
    const unready = host.unready();
    if (unready !== undefined) throw unready;
    const opened = body.length > LARGE_BODY_BYTES ? undefined : openSmallBody(endpoint, body);
    if (opened === undefined) void takeLarge(arrival, body);
    else enter(arrival, opened);
  } catch (error) {
    refuse(arrival, toFault(error));
  }
}

async function takeLarge(arrival: Arrival, body: Buffer): Promise<void> {
  const { host, endpoint, reply } = arrival;
  try {
    const opened = await host.openLarge(endpoint, body, () => !reply.aborted);
    if (reply.aborted) throw new Fault("cancelled", "the client has gone");
    enter(arrival, opened);
  } catch (error) {
    refuse(arrival, toFault(error));
  }
}

function enter(arrival: Arrival, { bytes, keepsAlive, ...opening }: OpenedBody): void {
  const { host, endpoint, id, requestId, trace, request, reply } = arrival;
  try {
    const model = knownModel(host, endpoint, opening);
    host.admit(model, bytes.length);
    const timeouts = host.timeoutsOf(model, request.headers.timeouts);
    // Looked at only where it matters: a key costs a hash.
    const admin = keepsAlive && host.isAdmin(request.headers);
    const client = host.clientOf?.(request);
    const asked = { id, endpoint, requestId, opening, timeouts, body: bytes, client, admin };
    host.accept(toTask(host.now(), asked, trace), model, reply);
  } catch (error) {
    refuse(arrival, toFault(error), opening.model);
  }
}

/** @param named as the client wrote it; empty when the body could not be read */
function refuse({ host, endpoint, id, requestId, trace, reply }: Arrival, fault: Fault, named = ""): void {
  const model = named.slice(0, MOST_NAMED);
  host.rejected({ task: id, request: requestId, trace, endpoint, model, at: host.now(), fault });
  sendFault(reply, fault, { endpoint, requestId });
}

interface Asked {
  readonly id: string;
  readonly endpoint: Endpoint;
  readonly requestId: string;
  readonly opening: Opening;
  readonly timeouts: OwnTimeouts;
  readonly body: Buffer;
  readonly admin: boolean;
  readonly client: string | undefined;
}

function toTask(now: number, asked: Asked, trace: string): Task {
  return {
    id: asked.id,
    endpoint: asked.endpoint,
    model: asked.opening.model,
    stream: asked.opening.stream,
    createdAt: now,
    deadline: now + asked.timeouts.total,
    requestId: asked.requestId,
    trace,
    body: asked.body,
    limits: limitsFrom(asked.timeouts, now),
    ...(asked.timeouts.own === undefined ? {} : { own: asked.timeouts.own }),
    ...(asked.client === undefined ? {} : { client: asked.client }),
    ...(asked.admin ? { admin: true } : {}),
  };
}

function knownModel(host: IntakeHost, endpoint: Endpoint, opening: Opening): string {
  const key = host.findModel(opening.model);
  if (key !== undefined) return key;
  const fault = modelNotFound(opening.model, endpoint);
  throw host.unknownModel?.(fault) ?? fault;
}
