import type { Argument, Connection } from "./connection/connection.ts";
import { unlessMistyped } from "./connection/connection.ts";
import { refusedReply } from "./connection/outages.ts";
import { replyErrorCode } from "./connection/reply-error.ts";
import { asArray, asEntries, asEntryId, asStreams } from "./connection/resp.ts";
import type { StreamEntry } from "./connection/resp.ts";
import { Doorbells } from "./doorbells.ts";
import { GROUP, lifeOf } from "./keys.ts";
import type { Keys } from "./keys.ts";
import { ENQUEUE, run } from "./scripts.ts";
import { taskIdOf } from "../wire/task-codec.ts";

/** A task to be queued. */
export interface NewTask {
  readonly id: string;
  /** Model key. */
  readonly model: string;
  /** Time until its deadline, ms. */
  readonly life: number;
  /** See wire/task-codec.ts. */
  readonly record: Buffer;
}

/** An entry of a queue. */
export interface QueuedTask {
  readonly model: string;
  /** Entry id in the queue. */
  readonly entry: string;
  /** See wire/task-codec.ts; empty when the entry is malformed. */
  readonly payload: Buffer;
}

/** A task that has ended, and its entry in the queue. */
export interface EndedTask {
  readonly entry: string;
  readonly task: string;
}

/** Entries read at once. Their bodies come with them. */
const ENTRIES_PER_READ = 100;

/** Index of the records among the arguments of the script. */
const RECORDS_AT = 1;

const NOTHING = Buffer.alloc(0);

/** Reads the entries of a queue. */
export function toTasks(model: string, entries: readonly StreamEntry[]): QueuedTask[] {
  return entries.map((entry) => ({ model, entry: entry.id, payload: entry.fields[1] ?? NOTHING }));
}

/** The queues of tasks: a stream per model, and one per ability of it. Each has a doorbell. */
export class TaskQueue {
  readonly #connection: Connection;
  readonly #keys: Keys;
  readonly #doorbells: Doorbells;

  constructor(connection: Connection, keys: Keys) {
    this.#connection = connection;
    this.#keys = keys;
    this.#doorbells = new Doorbells(connection, keys);
  }

  /** Creates the queue of a model and its consumer group, unless they exist. */
  async ensureGroup(model: string): Promise<void> {
    try {
      await this.#connection.command("XGROUP", "CREATE", this.#keys.queue(model), GROUP, "0", "MKSTREAM");
    } catch (error) {
      if (replyErrorCode(error) !== "BUSYGROUP") throw error;
    }
  }

  /** Appends a task to a queue. @returns the entry id */
  async add(model: string, payload: Buffer): Promise<string> {
    return asEntryId(await this.#connection.command("XADD", this.#keys.queue(model), "*", "t", payload));
  }

  /**
   * Makes tasks durable in one call: it creates their reply streams, their entries and the tokens of their doorbells.
   * For one server only: the keys share no hash tag.
   * Resolves with the queue entry of each task, or with Redis's error in its place.
   * Rejects when the outcome is unknown for all.
   */
  async enqueue(tasks: readonly NewTask[]): Promise<readonly unknown[]> {
    const models = new Map<string, number>();
    const replies: string[] = [];
    // All records are one argument: each Buffer among the arguments is written to the socket by itself.
    const args: Argument[] = [String(tasks.length), NOTHING];
    for (const { id, model, life, record } of tasks) {
      let number = models.get(model);
      if (number === undefined) models.set(model, (number = models.size + 1));
      replies.push(this.#keys.reply(id));
      args.push(String(number), lifeOf(life), String(record.length));
    }
    args[RECORDS_AT] = Buffer.concat(tasks.map(({ record }) => record));
    const queues = [...models.keys()].flatMap((model) => [
      this.#keys.queue(model),
      this.#keys.doorbell(model),
    ]);
    const entries = asArray(await run(this.#connection, ENQUEUE, [...replies, ...queues], args));
    return entries.map((entry) => (entry instanceof Error ? refusedReply(entry) : entry));
  }

  /** True while the queue has the entry, claimed or not. */
  async has(model: string, entry: string): Promise<boolean> {
    return (
      asArray(await this.#connection.command("XRANGE", this.#keys.queue(model), entry, entry)).length > 0
    );
  }

  /** Number of entries, claimed or not; undefined when the key has another type. */
  async length(model: string): Promise<number | undefined> {
    const length = await unlessMistyped(this.#connection.command("XLEN", this.#keys.queue(model)));
    return length === undefined ? undefined : Number(length);
  }

  /** Reads the oldest entries with their payloads. @param from first id; `(id` begins after it */
  async page(model: string, from: string, count: number): Promise<StreamEntry[]> {
    const args = [this.#keys.queue(model), from, "+", "COUNT", String(count)];
    return asEntries(await this.#connection.command("XRANGE", ...args));
  }

  /** Removes entries. @returns how many existed */
  async remove(model: string, entries: readonly string[]): Promise<number> {
    return Number(await this.#connection.command("XDEL", this.#keys.queue(model), ...entries));
  }

  /** Claims tasks that no worker has claimed yet. Rejects with NOGROUP where the queue has no group. */
  async claim(options: {
    readonly model: string;
    readonly consumer: string;
    readonly count: number;
  }): Promise<QueuedTask[]> {
    const { model, consumer, count } = options;
    const key = this.#keys.queue(model);
    const args = ["GROUP", GROUP, consumer, "COUNT", String(count), "STREAMS", key, ">"];
    const reply = await this.#connection.command("XREADGROUP", ...args);
    return toTasks(model, asStreams(reply).get(key) ?? []);
  }

  /** Removes an unclaimed task with one token. Harmless when a worker has claimed it meanwhile. */
  async withdraw(model: string, entry: string): Promise<void> {
    await Promise.all([
      this.#connection.command("XDEL", this.#keys.queue(model), entry),
      this.#doorbells.pop(model),
    ]);
  }

  /**
   * Repeats {@link withdraw} after a failover. The new master may lack the removal, or have given the id to another
   * task. A token that is left over only wakes a worker once.
   */
  async withdrawAgain(model: string, ended: EndedTask): Promise<void> {
    const entries = await this.stillQueued(model, [ended]);
    if (entries.length > 0) await this.remove(model, entries);
  }

  /** Acknowledges and deletes answered or abandoned tasks of one queue. */
  async acknowledge(model: string, entries: readonly string[]): Promise<void> {
    const key = this.#keys.queue(model);
    await Promise.all([
      this.#connection.command("XACK", key, GROUP, ...entries),
      this.#connection.command("XDEL", key, ...entries),
    ]);
  }

  /**
   * Finds ended tasks that are in the queue: a new master may have lost their removal.
   * An entry that is another task's by now is left out.
   */
  async stillQueued(model: string, ended: readonly EndedTask[]): Promise<string[]> {
    const key = this.#keys.queue(model);
    const found: string[] = [];
    for (let from = 0; from < ended.length; from += ENTRIES_PER_READ) {
      const some = ended.slice(from, from + ENTRIES_PER_READ);
      const reads = some.map(async ({ entry }) => this.#connection.command("XREVRANGE", key, entry, entry));
      for (const [index, reply] of (await Promise.all(reads)).entries()) {
        const [queued] = toTasks(model, asEntries(reply));
        const wanted = some[index]?.task;
        if (queued !== undefined && (taskIdOf(queued.payload) ?? "") === wanted) found.push(queued.entry);
      }
    }
    return found;
  }

  /** Lets queues expire `lifeMs` from now, unless called again. For queues that only one worker reads. */
  async expire(models: readonly string[], lifeMs: number): Promise<void> {
    const life = String(lifeMs);
    await Promise.all(
      models.flatMap((model) => [
        this.#connection.command("PEXPIRE", this.#keys.queue(model), life),
        this.#doorbells.expire(model, life),
      ]),
    );
  }

  /** Removes a queue with its entries, and its doorbell. */
  async drop(model: string): Promise<void> {
    await Promise.all([
      this.#connection.command("UNLINK", this.#keys.queue(model)),
      this.#doorbells.drop(model),
    ]);
  }
}
