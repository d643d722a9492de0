import { readNote } from "../core/attempt-note.ts";
import type { AttemptNote } from "../core/attempt-note.ts";
import { isCause } from "../core/cause.ts";
import type { Cause } from "../core/cause.ts";
import { defaultCause, isFaultCode } from "../core/fault.ts";
import type { FaultRecord } from "../core/fault.ts";
import type { Json } from "../core/json.ts";
import { modelOf } from "../core/ability.ts";
import { decodeTask } from "../wire/task-codec.ts";
import type { TaskEnvelope } from "../wire/task-codec.ts";
import { getBody } from "./body.ts";
import type { Connection } from "./connection.ts";
import type { Keys } from "./keys.ts";
import { asArray, asEntries, asText } from "./replies.ts";
import type { StreamEntry } from "./replies.ts";
import { HOLD, run } from "./scripts.ts";

/** Dead letters: tasks that were given up, with the reason, kept for people to look at and to run again. */

const KEEP = "10000";

/** How long a body that was too large for its queue entry is kept: at most 10,000 of them are a lot of memory. */
const BODY_LIFE_MS = 86_400_000;

/** Letters read at once: their bodies come with them. */
const PAGE = 100;

/** A dead letter as it lies in Redis. */
export interface DeadLetter {
  /** Model key. */
  readonly model: string;
  /** Entry id: begins with the time of the burial, ms since 1970 by Redis's clock. */
  readonly id: string;
  /** A fault code, and its message. */
  readonly code: string;
  readonly message: string;
  /** How often the task was handed to a worker. */
  readonly deliveries: number;
  /** The worker that gave it up. */
  readonly worker: string;
  /** To whom it is put down. */
  readonly cause: Cause;
  /** How its attempts failed, as far as is known; the oldest first. */
  readonly attempts: readonly AttemptNote[];
  /** Undefined when what lay in the queue was no task. */
  readonly task: TaskEnvelope | undefined;
}

/** A task to be given up. */
export interface Burial {
  /** The name of the queue in which it lay: its letter is one of that queue's model. */
  readonly model: string;
  readonly payload: Buffer;
  /** Of a task whose body lies under a key of its own: its id. */
  readonly bodyOf?: string;
  readonly fault: FaultRecord;
  readonly deliveries: number;
  readonly worker: string;
  /** How its attempts failed; absent for none. */
  readonly notes?: readonly AttemptNote[];
}

/** Keeps a task that was given up. To be called before its gateway hears of the end, which drops a large body. */
export async function bury(connection: Connection, keys: Keys, burial: Burial): Promise<void> {
  const { payload, bodyOf, fault, deliveries, worker, notes = [] } = burial;
  const model = modelOf(burial.model);
  if (bodyOf !== undefined) await keepBody(connection, keys, model, bodyOf);
  const reason = ["code", fault.code, "message", fault.message];
  const facts = ["deliveries", String(deliveries), "worker", worker];
  const blame = ["cause", fault.cause ?? defaultCause(fault.code, fault.http)];
  const tries = notes.length === 0 ? [] : ["attempts", JSON.stringify(notes)];
  const fields = ["t", payload, ...reason, ...facts, ...blame, ...tries];
  const id = asText(await connection.command("XADD", keys.dead(model), "MAXLEN", "~", KEEP, "*", ...fields));
  await remember(connection, keys, model, id);
}

/** @param id of its last letter */
async function remember(connection: Connection, keys: Keys, model: string, id: string): Promise<void> {
  await connection.command("ZADD", keys.deads(), id.split("-")[0] ?? "0", model);
}

async function keepBody(connection: Connection, keys: Keys, model: string, task: string): Promise<void> {
  const body = await getBody(connection, keys, task);
  if (body === undefined) return;
  await connection.command("SET", keys.deadBody(model, task), body, "PX", String(BODY_LIFE_MS));
}

/** Keys of the models that have dead letters, whether a worker still serves them or not. */
export async function modelsWithLetters(connection: Connection, keys: Keys): Promise<string[]> {
  return asArray(await connection.command("ZRANGE", keys.deads(), "0", "-1")).map(asText);
}

/** The dead letters of a model, the newest first, read from Redis as they are asked for. */
export async function* lettersOf(
  connection: Connection,
  keys: Keys,
  model: string,
): AsyncGenerator<DeadLetter> {
  let before = "+";
  for (;;) {
    const reply = await connection.command("XREVRANGE", keys.dead(model), before, "-", "COUNT", String(PAGE));
    const entries = asEntries(reply);
    for (const entry of entries) yield toLetter(model, entry);
    const last = entries.at(-1);
    if (last === undefined || entries.length < PAGE) return;
    before = `(${last.id}`;
  }
}

/** One letter; undefined when there is none (any more). */
export async function readLetter(
  connection: Connection,
  keys: Keys,
  { model, id }: LetterName,
): Promise<DeadLetter | undefined> {
  const [entry] = asEntries(await connection.command("XRANGE", keys.dead(model), id, id));
  return entry === undefined ? undefined : toLetter(model, entry);
}

function toLetter(model: string, { id, fields }: StreamEntry): DeadLetter {
  const values = new Map<string, Buffer>();
  for (let at = 0; at + 1 < fields.length; at += 2) {
    values.set(asText(fields[at]), fields[at + 1] ?? Buffer.alloc(0));
  }
  const text = (name: string): string => asText(values.get(name));
  const code = text("code");
  const cause = text("cause");
  return {
    model,
    id,
    code,
    cause: isCause(cause) ? cause : isFaultCode(code) ? defaultCause(code, 0) : "worker",
    attempts: notesOf(values.get("attempts")),
    message: text("message"),
    deliveries: Number(text("deliveries")),
    worker: text("worker"),
    task: taskOf(values.get("t")),
  };
}

/** Letters of older workers have none. */
function notesOf(text: Buffer | undefined): readonly AttemptNote[] {
  try {
    const values: unknown = JSON.parse(asText(text ?? Buffer.from("[]")));
    return Array.isArray(values) ? values.flatMap((value: Json) => readNote(value) ?? []) : [];
  } catch {
    return [];
  }
}

function taskOf(payload: Buffer | undefined): TaskEnvelope | undefined {
  try {
    return decodeTask(payload ?? Buffer.alloc(0));
  } catch {
    return undefined;
  }
}

/** The request's body; undefined when the letter is no task, or its large body is no longer kept. */
export async function bodyOfLetter(
  connection: Connection,
  keys: Keys,
  { model, task }: DeadLetter,
): Promise<Buffer | undefined> {
  if (task === undefined || task.body !== undefined) return task?.body;
  const body = await connection.command("GET", keys.deadBody(model, task.id));
  return Buffer.isBuffer(body) ? body : undefined;
}

/** Which letter. */
export type LetterName = Pick<DeadLetter, "model" | "id">;

/** Whoever runs a letter again holds it for so long, ms, unless it holds it again: then others may. */
export const LETTER_HOLD_MS = 15_000;

/** Takes a letter for {@link LETTER_HOLD_MS}, or for so long again. Resolves with false when another holder has it. */
export async function holdLetter(
  connection: Connection,
  keys: Keys,
  { model, id }: LetterName,
  holder: string,
): Promise<boolean> {
  return (await run(connection, HOLD, [keys.deadHold(model, id)], [holder, String(LETTER_HOLD_MS)])) === 1;
}

/** Gives a letter back; does nothing when another holder has it by now. */
export async function releaseLetter(
  connection: Connection,
  keys: Keys,
  { model, id }: LetterName,
  holder: string,
): Promise<void> {
  await run(connection, HOLD, [keys.deadHold(model, id)], [holder, "0"]);
}

/** Removes a dead letter with its body. Returns false when it was gone already. */
export async function dropLetter(
  connection: Connection,
  keys: Keys,
  { model, id, task }: DeadLetter,
): Promise<boolean> {
  const removed = await connection.command("XDEL", keys.dead(model), id);
  if (task !== undefined && task.body === undefined) {
    await connection.command("UNLINK", keys.deadBody(model, task.id));
  }
  if ((await newestId(connection, keys, model)) === undefined) await forgetModel(connection, keys, model);
  return removed === 1;
}

async function newestId(connection: Connection, keys: Keys, model: string): Promise<string | undefined> {
  const reply = await connection.command("XREVRANGE", keys.dead(model), "+", "-", "COUNT", "1");
  return asEntries(reply)[0]?.id;
}

/** What is buried meanwhile is seen by the second look, or enters the model itself after it. */
async function forgetModel(connection: Connection, keys: Keys, model: string): Promise<void> {
  await connection.command("ZREM", keys.deads(), model);
  const id = await newestId(connection, keys, model);
  if (id !== undefined) await remember(connection, keys, model, id);
}
