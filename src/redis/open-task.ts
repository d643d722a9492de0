import type { AttemptNote } from "../core/attempt-note.ts";
import { decodeFrames } from "../wire/frame-codec.ts";
import { decodeTask } from "../wire/task-codec.ts";
import type { TaskEnvelope } from "../wire/task-codec.ts";
import { notesIn } from "./attempt-notes.ts";
import type { Connection } from "./connection.ts";
import { GROUP } from "./keys.ts";
import type { Keys } from "./keys.ts";
import { pendingEntry, toPending } from "./pending.ts";
import type { PendingEntry } from "./pending.ts";
import { asArray, asEntries, asText } from "./replies.ts";
import type { StreamEntry } from "./replies.ts";
import { modelOf } from "../core/ability.ts";
import { append } from "../core/long-lists.ts";

/** An unanswered task as Redis shows it. */
export interface OpenTask {
  /** Absent when the queue entry is gone, or is one of an errand. */
  readonly queued?: QueuedEntry;
  /** Undefined when nobody waits for the reply any more. */
  readonly reply: ReplyState | undefined;
}

export interface QueuedEntry {
  readonly model: string;
  /** Entry id in the queue. */
  readonly entry: string;
  readonly task: Omit<TaskEnvelope, "body">;
  /** Undefined while no worker has claimed it. */
  readonly hold: PendingEntry | undefined;
}

export interface ReplyState {
  readonly frames: number;
  readonly bytes: number;
  /** Workers of the attempts that sent frames or fenced others, in this order. */
  readonly workers: readonly string[];
  /** True when the last frame is there. */
  readonly ended: boolean;
  /** How attempts failed that were handed back or lost; absent for none. */
  readonly notes?: readonly AttemptNote[];
}

/** Queue entries read at once (their bodies come with them), and at most per model. */
const PAGE = 100;
const MOST = 5000;

const REPLY_RECORDS = "10000";

/** Finds an open task by its id or by its request's id, the newest first; undefined when there is none. */
export async function findOpenTask(
  connection: Connection,
  keys: Keys,
  id: string,
): Promise<OpenTask | undefined> {
  const models = asArray(await connection.command("ZRANGE", keys.models(), "0", "-1")).map(asText);
  for (const model of models) {
    const found = await findQueued(connection, { key: keys.queue(model), model, id });
    if (found === undefined) continue;
    return { queued: found, reply: await readReply(connection, keys, found.task.id) };
  }
  const reply = await readReply(connection, keys, id);
  return reply === undefined ? undefined : { reply };
}

async function findQueued(
  connection: Connection,
  { key, model, id }: { readonly key: string; readonly model: string; readonly id: string },
): Promise<QueuedEntry | undefined> {
  let before = "+";
  for (let read = 0; read < MOST; read += PAGE) {
    const reply = await connection.command("XREVRANGE", key, before, "-", "COUNT", String(PAGE));
    const entries = asEntries(reply);
    for (const entry of entries) {
      const task = taskOf(entry);
      if (task === undefined || (task.id !== id && task.requestId !== id)) continue;
      const hold = await readHold(connection, key, entry.id);
      return { model: modelOf(model), entry: entry.id, task, hold };
    }
    const last = entries.at(-1);
    if (last === undefined || entries.length < PAGE) return undefined;
    before = `(${last.id}`;
  }
  return undefined;
}

/** An entry that cannot be read is left to the workers. */
function taskOf({ fields }: StreamEntry): Omit<TaskEnvelope, "body"> | undefined {
  try {
    const { body: _body, ...task } = decodeTask(fields[1] ?? Buffer.alloc(0));
    return task;
  } catch {
    return undefined;
  }
}

/** A queue that no worker has made a group for is an error. */
async function readHold(
  connection: Connection,
  key: string,
  entry: string,
): Promise<PendingEntry | undefined> {
  return pendingEntry(connection, key, entry).catch(() => undefined);
}

async function readReply(connection: Connection, keys: Keys, task: string): Promise<ReplyState | undefined> {
  const reply = await connection.command("XRANGE", keys.reply(task), "-", "+", "COUNT", REPLY_RECORDS);
  const entries = asEntries(reply);
  // A reply of which nothing has come is an empty stream.
  if (entries.length === 0 && (await connection.command("EXISTS", keys.reply(task))) !== 1) return undefined;
  const workers: string[] = [];
  const notes: AttemptNote[] = [];
  let bytes = 0;
  let frames = 0;
  let ended = false;
  for (const { fields } of entries) {
    const [name, value] = fields;
    const type = asText(name);
    if (type === "c") {
      const told = notesIn(fields);
      append(notes, told);
      if (told.length === 0 || asText(fields[2]) !== "note") workers.push(asText(value));
    }
    if ((type !== "f" && type !== "e") || value === undefined) continue;
    for (const frame of decodeFrames(value)) {
      frames += 1;
      bytes += frame.bytes.length;
      if (frame.head !== undefined && workers.at(-1) !== frame.head.worker) workers.push(frame.head.worker);
    }
    ended = type === "e";
  }
  return { frames, bytes, workers, ended, ...(notes.length === 0 ? {} : { notes }) };
}

/** A task in a worker's hands. */
export interface HeldTask extends PendingEntry {
  readonly model: string;
  /** Ms since 1970, by Redis's clock, when it was queued. */
  readonly queuedAt: number;
}

/** Tasks in workers' hands, the longest queued first: at most `count` per queue. @param queues their names */
export async function heldTasks(
  connection: Connection,
  keys: Keys,
  queues: readonly string[],
  count: number,
): Promise<HeldTask[]> {
  const lists = await Promise.all(
    queues.map(async (queue) => {
      const args = [keys.queue(queue), GROUP, "-", "+", String(count)];
      const reply = await connection.command("XPENDING", ...args).catch(() => []);
      return asArray(reply).map((item) => toHeld(modelOf(queue), toPending(item)));
    }),
  );
  const held = lists.flat().filter(({ handedBack }) => !handedBack);
  return held.toSorted((a, b) => a.queuedAt - b.queuedAt);
}

function toHeld(model: string, pending: PendingEntry): HeldTask {
  return { ...pending, model, queuedAt: Number(pending.entry.split("-")[0]) };
}
