import { readKeyNames } from "../core/access/key-names.ts";
import { Fault } from "../core/fault.ts";
import type { Endpoint, Task } from "../core/task.ts";
import { TIMEOUT_PHASES } from "../core/timeouts.ts";
import type { PhaseLimits, TimeoutPhase } from "../core/timeouts.ts";
import { packr } from "./msgpack.ts";

/**
 * A task on the wire is one msgpack array: `[version, id, endpoint, model, stream, createdAt, deadline, requestId,
 * trace, body | nil, limits | nil, client | nil, own, admin, path, contentType, modelAt, keyName, tenant]`. The last six
 * are present only as needed. A nil body is stored under a separate key (see redis/keys.ts). Large bodies would slow every read of the queue.
 */
const VERSION = 1;
const FIELDS = 10;

/** The client's digest, six hex digits. */
const DIGEST = /^[0-9a-f]{6}$/;

/** A task whose body may have to be fetched. */
export interface TaskEnvelope extends Omit<Task, "body"> {
  readonly body: Buffer | undefined;
}

/** @param inlineBody false leaves the body out, which is stored under a separate key */
export function encodeTask(task: Task, inlineBody: boolean): Buffer {
  return packr.pack([
    VERSION,
    task.id,
    task.endpoint,
    task.model,
    task.stream,
    task.createdAt,
    task.deadline,
    task.requestId,
    task.trace,
    inlineBody ? task.body : null,
    task.limits === undefined ? null : encodeLimits(task.limits),
    task.client ?? null,
    bitsOf(task.own ?? []),
    ...lastOf(task),
  ]);
}

const NONE: readonly unknown[] = [];
const ADMIN: readonly unknown[] = [true];

/** Elements that few tasks have. Older workers ignore them. */
function lastOf({ admin = false, path, contentType, modelAt, keyName, tenant }: Task): readonly unknown[] {
  if (keyName !== undefined) {
    return [admin, path ?? null, contentType ?? null, modelAt ?? null, keyName, tenant ?? null];
  }
  if (modelAt !== undefined) return [admin, path ?? null, contentType ?? null, modelAt];
  if (contentType !== undefined) return [admin, path ?? null, contentType];
  if (path !== undefined) return [admin, path];
  return admin ? ADMIN : NONE;
}

/** Throws `internal` for bytes that are no task, and for an unknown version. */
export function decodeTask(payload: Buffer): TaskEnvelope {
  let value: unknown;
  try {
    value = packr.unpack(payload);
  } catch (error) {
    throw new Fault("internal", "a task could not be decoded", { cause: error });
  }
  if (!Array.isArray(value) || value.length < FIELDS) throw malformed("it is not a task");
  if (value[0] !== VERSION) throw malformed(`its version is ${String(value[0])}, known is ${VERSION}`);
  return toEnvelope(value as unknown[]);
}

/**
 * Returns the id of a task, also of one that {@link decodeTask} rejects, so that its gateway can be notified. In
 * every version the id is the second element. Undefined for none.
 */
export function taskIdOf(payload: Buffer): string | undefined {
  try {
    const value: unknown = packr.unpack(payload);
    const id: unknown = Array.isArray(value) ? value[1] : undefined;
    return typeof id === "string" ? id : undefined;
  } catch {
    return undefined;
  }
}

function toEnvelope(value: readonly unknown[]): TaskEnvelope {
  const [, id, endpoint, model, stream, createdAt, deadline, requestId, trace, body, ...later] = value;
  const [limits, client, own, admin, ...form] = later;
  const texts = [id, endpoint, model, requestId, trace];
  const numbers = [createdAt, deadline];
  if (
    !texts.every((text) => typeof text === "string") ||
    !numbers.every((number) => typeof number === "number" && Number.isFinite(number)) ||
    typeof stream !== "boolean" ||
    !(body === null || Buffer.isBuffer(body))
  ) {
    throw malformed("its fields are of the wrong type");
  }
  return {
    id: id as string,
    endpoint: endpoint as Endpoint,
    model: model as string,
    stream,
    createdAt: createdAt as number,
    deadline: deadline as number,
    requestId: requestId as string,
    trace: trace as string,
    body: body ?? undefined,
    ...(limits === undefined || limits === null ? {} : { limits: decodeLimits(limits) }),
    ...(typeof client === "string" && DIGEST.test(client) ? { client } : {}),
    ...(typeof own === "number" && own > 0 ? { own: phasesOf(own) } : {}),
    ...(admin === true ? { admin } : {}),
    ...formOf(form),
    ...readKeyNames(form[3], form[4]),
  };
}

/** Valid characters of a header value. */
const HEADER = /^[ -~]{1,200}$/;

/** `[path, contentType, modelAt]`: the path and the type of a body, and the offset of a form's model. */
function formOf([path, contentType, modelAt]: readonly unknown[]): Pick<
  Task,
  "path" | "contentType" | "modelAt"
> {
  if (isThere(contentType) && !(typeof contentType === "string" && HEADER.test(contentType))) {
    throw malformed("its content type is invalid");
  }
  if (isThere(modelAt) && !(Number.isSafeInteger(modelAt) && Number(modelAt) >= 0)) {
    throw malformed("the offset of its model is invalid");
  }
  return {
    ...(typeof path === "string" ? { path } : {}),
    ...(typeof contentType === "string" ? { contentType } : {}),
    ...(typeof modelAt === "number" ? { modelAt } : {}),
  };
}

function isThere(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** `[queueUntil, connectMs, firstTokenMs, idleMs]` */
function encodeLimits({ queueUntil, connectMs, firstTokenMs, idleMs }: PhaseLimits): readonly number[] {
  return [queueUntil, connectMs, firstTokenMs, idleMs];
}

/** The phases that the client shortened, as bits. */
function bitsOf(own: readonly TimeoutPhase[]): number {
  let bits = 0;
  for (const [index, phase] of TIMEOUT_PHASES.entries()) if (own.includes(phase)) bits += 2 ** index;
  return bits;
}

function phasesOf(bits: number): readonly TimeoutPhase[] {
  return TIMEOUT_PHASES.filter((_phase, index) => Math.floor(bits / 2 ** index) % 2 === 1);
}

function decodeLimits(value: unknown): PhaseLimits {
  const [queueUntil, connectMs, firstTokenMs, idleMs] = Array.isArray(value) ? (value as unknown[]) : [];
  const numbers = [queueUntil, connectMs, firstTokenMs, idleMs];
  if (!numbers.every((number) => typeof number === "number" && number >= 0)) {
    throw malformed("its timeouts are not numbers");
  }
  return {
    queueUntil: queueUntil as number,
    connectMs: connectMs as number,
    firstTokenMs: firstTokenMs as number,
    idleMs: idleMs as number,
  };
}

function malformed(why: string): Fault {
  return new Fault("internal", `a task could not be decoded: ${why}`);
}
