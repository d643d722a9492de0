import { readKeyNames } from "../../core/access/key-names.ts";
import type { KeyNames } from "../../core/access/key-names.ts";
import type { AttemptNote } from "../../core/attempt-note.ts";
import { decodeFrames } from "../../wire/frame-codec.ts";
import { decodeTask } from "../../wire/task-codec.ts";
import type { TaskEnvelope } from "../../wire/task-codec.ts";
import { notesIn } from "../attempt-notes.ts";
import type { Connection } from "../connection/connection.ts";
import { GROUP } from "../keys.ts";
import type { Keys } from "../keys.ts";
import { toPending } from "../pending.ts";
import type { PendingEntry } from "../pending.ts";
import { TaskLeases } from "../task-leases.ts";
import { asArray, asEntries, asText } from "../connection/resp.ts";
import type { StreamEntry } from "../connection/resp.ts";
import { modelOf } from "../../core/ability.ts";
import { append } from "../../core/long-lists.ts";

/** An unanswered task, as Redis has it. */
export interface OpenTask {
  /** Absent when the queue entry is gone, or the task is a management request. */
  readonly queued?: QueuedEntry;
  /** Undefined when the client is gone. */
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
  /** True when the last frame was sent. */
  readonly ended: boolean;
  /** Notes on attempts that were requeued or lost; absent for none. */
  readonly notes?: readonly AttemptNote[];
}

/** Queue entries read at once (their bodies come with them), and most entries read per model. */
const PAGE = 100;
const MOST = 5000;

const REPLY_RECORDS = "10000";

/** Decodes an entry; undefined for one that cannot be read. */
function taskOf({ fields }: StreamEntry): Omit<TaskEnvelope, "body"> | undefined {
  try {
    const { body: _body, ...task } = decodeTask(fields[1] ?? Buffer.alloc(0));
    return task;
  } catch {
    return undefined;
  }
}

/** A task that a worker holds. */
export interface HeldTask extends PendingEntry, KeyNames {
  readonly model: string;
  /** Time it was queued, ms since 1970 by Redis's clock. */
  readonly queuedAt: number;
}

/** The same with the name of its queue. */
interface QueuedHold extends HeldTask {
  readonly queue: string;
}

function toHeld(queue: string, pending: PendingEntry): QueuedHold {
  return { ...pending, model: modelOf(queue), queue, queuedAt: Number(pending.entry.split("-")[0]) };
}

/** Most held tasks whose names are read: their bodies come with them. */
const MOST_NAMED = 50;

const NO_NAMES: KeyNames = {};

/** Reads unanswered tasks, for people. */
export class OpenTasks {
  readonly #connection: Connection;
  readonly #keys: Keys;
  readonly #leases: TaskLeases;
  /** Names of the keys of held tasks, by queue and entry: each entry is read once. */
  #names: ReadonlyMap<string, KeyNames> = new Map();

  constructor(connection: Connection, keys: Keys) {
    this.#connection = connection;
    this.#keys = keys;
    this.#leases = new TaskLeases(connection, keys);
  }

  /** Finds an open task by its id or its request's id, the newest first; undefined when there is none. */
  async find(id: string): Promise<OpenTask | undefined> {
    const models = asArray(await this.#connection.command("ZRANGE", this.#keys.models(), "0", "-1")).map(
      asText,
    );
    for (const model of models) {
      const found = await this.#findQueued(model, id);
      if (found === undefined) continue;
      return { queued: found, reply: await this.#readReply(found.task.id) };
    }
    const reply = await this.#readReply(id);
    return reply === undefined ? undefined : { reply };
  }

  async #findQueued(model: string, id: string): Promise<QueuedEntry | undefined> {
    const key = this.#keys.queue(model);
    let before = "+";
    for (let read = 0; read < MOST; read += PAGE) {
      const reply = await this.#connection.command("XREVRANGE", key, before, "-", "COUNT", String(PAGE));
      const entries = asEntries(reply);
      for (const entry of entries) {
        const task = taskOf(entry);
        if (task === undefined || (task.id !== id && task.requestId !== id)) continue;
        // A queue without a group is an error.
        const hold = await this.#leases.pending(model, entry.id).catch(() => undefined);
        return { model: modelOf(model), entry: entry.id, task, hold };
      }
      const last = entries.at(-1);
      if (last === undefined || entries.length < PAGE) return undefined;
      before = `(${last.id}`;
    }
    return undefined;
  }

  async #readReply(task: string): Promise<ReplyState | undefined> {
    const reply = await this.#connection.command(
      "XRANGE",
      this.#keys.reply(task),
      "-",
      "+",
      "COUNT",
      REPLY_RECORDS,
    );
    const entries = asEntries(reply);
    // A reply without any frame is an empty stream.
    if (entries.length === 0 && (await this.#connection.command("EXISTS", this.#keys.reply(task))) !== 1)
      return undefined;
    const workers: string[] = [];
    const notes: AttemptNote[] = [];
    let bytes = 0;
    let frames = 0;
    let ended = false;
    for (const { fields } of entries) {
      const [name, value] = fields;
      const type = asText(name);
      if (type === "c") {
        const found = notesIn(fields);
        append(notes, found);
        if (found.length === 0 || asText(fields[2]) !== "note") workers.push(asText(value));
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

  /** Tasks that workers hold, the longest queued first: at most `count` per queue. @param queues names of queues */
  async held(queues: readonly string[], count: number): Promise<QueuedHold[]> {
    const lists = await Promise.all(
      queues.map(async (queue) => {
        const args = [this.#keys.queue(queue), GROUP, "-", "+", String(count)];
        const reply = await this.#connection.command("XPENDING", ...args).catch(() => []);
        return asArray(reply).map((item) => toHeld(queue, toPending(item)));
      }),
    );
    const held = lists.flat().filter(({ requeued }) => !requeued);
    return held.toSorted((a, b) => a.queuedAt - b.queuedAt);
  }

  /** Adds the names of keys to the first held tasks. A task that is gone by now has none. */
  async withNames(held: readonly QueuedHold[]): Promise<HeldTask[]> {
    const known = this.#names;
    const names = new Map<string, KeyNames>();
    const all = held.map(async ({ queue, ...task }, index): Promise<HeldTask> => {
      if (index >= MOST_NAMED) return task;
      const id = `${queue} ${task.entry}`;
      const found = known.get(id) ?? (await this.#namesOf(queue, task.entry));
      names.set(id, found);
      return { ...task, ...found };
    });
    const named = await Promise.all(all);
    this.#names = names;
    return named;
  }

  async #namesOf(queue: string, entry: string): Promise<KeyNames> {
    const reply = await this.#connection.command("XRANGE", this.#keys.queue(queue), entry, entry);
    const [found] = asEntries(reply);
    const task = found === undefined ? undefined : taskOf(found);
    return task === undefined ? NO_NAMES : readKeyNames(task.keyName, task.tenant);
  }
}
