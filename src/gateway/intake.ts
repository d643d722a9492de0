import { toFault } from "../core/fault.ts";
import type { Fault } from "../core/fault.ts";
import type { Endpoint, Task } from "../core/task.ts";
import { cleanTraceparent } from "../core/trace.ts";
import { serverEndpoint } from "../protocols/catalogue.ts";
import { modelNotFound } from "../protocols/ollama/faults.ts";
import type { Opening } from "../protocols/protocol.ts";
import { readBody } from "./body.ts";
import { sendFault } from "./fault-reply.ts";
import type { HttpReply, HttpRequest } from "./http.ts";
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
  /** The queue for a model name, or undefined when nobody serves it. */
  findModel(name: string): string | undefined;
  /** Throws `overloaded` or `queue_full` when one more task with a body of so many bytes is too much. */
  admit(model: string, bytes: number): void;
  accept(task: Task, model: string, reply: HttpReply): void;
  rejected(refusal: Refusal): void;
}

/** Turns a request into a task, or answers it with the fault of its dialect. Everything is checked here, once. */
export function takeRequest(
  host: IntakeHost,
  endpoint: Endpoint,
  request: HttpRequest,
  reply: HttpReply,
): void {
  const id = host.newTaskId();
  const requestId = cleanRequestId(request.headers.requestId) ?? id;
  const trace = cleanTraceparent(request.headers.traceparent);
  let named = "";
  try {
    const unready = host.unready();
    if (unready !== undefined) throw unready;
    const { value, bytes } = readBody(request.body);
    const opening = serverEndpoint(endpoint).open(value);
    named = opening.model;
    const model = knownModel(host, endpoint, opening);
    host.admit(model, bytes.length);
    const timeouts = host.timeoutsOf(model, request.headers.timeouts);
    const client = host.clientOf?.(request);
    const asked = { id, endpoint, requestId, opening, timeouts, body: bytes, client };
    host.accept(toTask(host.now(), asked, trace), model, reply);
  } catch (error) {
    const fault = toFault(error);
    const model = named.slice(0, MOST_NAMED);
    host.rejected({ task: id, request: requestId, trace, endpoint, model, at: host.now(), fault });
    sendFault(reply, fault, { endpoint, requestId });
  }
}

interface Asked {
  readonly id: string;
  readonly endpoint: Endpoint;
  readonly requestId: string;
  readonly opening: Opening;
  readonly timeouts: OwnTimeouts;
  readonly body: Buffer;
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
  };
}

function knownModel(host: IntakeHost, endpoint: Endpoint, opening: Opening): string {
  const key = host.findModel(opening.model);
  if (key === undefined) throw modelNotFound(opening.model, endpoint);
  return key;
}
