import { replyErrorCode } from "./reply-error.ts";
import type { Connection } from "./connection.ts";
import { GROUP } from "./keys.ts";
import type { Keys } from "./keys.ts";
import { toPending } from "./pending.ts";
import type { PendingEntry } from "./pending.ts";
import { asArray, asEntries, asEntryId, asText } from "./replies.ts";
import type { StreamEntry } from "./replies.ts";
import { HAND_BACK, run, runInOrder, TIDY } from "./scripts.ts";
import { taskIdOf } from "../wire/task-codec.ts";

/** A task as it lies in its model's queue. */
export interface QueuedTask {
  readonly model: string;
  /** Entry id in the queue. */
  readonly entry: string;
  /** See wire/task-codec.ts; empty when the entry is malformed. */
  readonly payload: Buffer;
}

/** A task that is over, and where it lay in its queue. */
export interface EndedTask {
  readonly entry: string;
  readonly task: string;
}

/** Entries looked at at once: their bodies come with them. */
const ENTRIES_PER_LOOK = 100;

const NOTHING = Buffer.alloc(0);

/** Creates the consumer group of a model's queue, and the queue, if they are not there. */
export async function ensureGroup(connection: Connection, keys: Keys, model: string): Promise<void> {
  try {
    await connection.command("XGROUP", "CREATE", keys.queue(model), GROUP, "0", "MKSTREAM");
  } catch (error) {
    if (replyErrorCode(error) !== "BUSYGROUP") throw error;
  }
}

/** Appends a task to its model's queue. Returns the entry id. */
export async function enqueue(
  connection: Connection,
  keys: Keys,
  model: string,
  payload: Buffer,
): Promise<string> {
  return asEntryId(await connection.command("XADD", keys.queue(model), "*", "t", payload));
}

/** True when the queue still has the entry, claimed or not. */
export async function isQueued(
  connection: Connection,
  keys: Keys,
  model: string,
  entry: string,
): Promise<boolean> {
  return asArray(await connection.command("XRANGE", keys.queue(model), entry, entry)).length > 0;
}

/** Puts `count` tokens into a model's doorbell: wakes as many idle workers. */
export async function ring(connection: Connection, keys: Keys, model: string, count: number): Promise<void> {
  await connection.command("RPUSH", keys.doorbell(model), ...Array<string>(count).fill("1"));
}

/** Takes an unclaimed task back: its entry and one token. Harmless when the task was claimed meanwhile. */
export async function withdraw(
  connection: Connection,
  keys: Keys,
  model: string,
  entry: string,
): Promise<void> {
  await Promise.all([
    connection.command("XDEL", keys.queue(model), entry),
    connection.command("LPOP", keys.doorbell(model)),
  ]);
}

/**
 * As {@link withdraw}, after another master has taken over: it may not have heard of it, or have given the entry to
 * another task. A token that is left over wakes a worker for nothing.
 */
export async function withdrawAgain(
  connection: Connection,
  keys: Keys,
  model: string,
  ended: EndedTask,
): Promise<void> {
  const entries = await stillQueued(connection, keys, model, [ended]);
  if (entries.length > 0) await connection.command("XDEL", keys.queue(model), ...entries);
}

/** The tasks in entries of a model's queue. */
export function toTasks(model: string, entries: readonly StreamEntry[]): QueuedTask[] {
  return entries.map((entry) => ({ model, entry: entry.id, payload: entry.fields[1] ?? NOTHING }));
}

/** Acknowledges and deletes answered (or abandoned) tasks of one model. */
export async function acknowledge(
  connection: Connection,
  keys: Keys,
  model: string,
  entries: readonly string[],
): Promise<void> {
  const key = keys.queue(model);
  await Promise.all([
    connection.command("XACK", key, GROUP, ...entries),
    connection.command("XDEL", key, ...entries),
  ]);
}

/**
 * Of tasks that are over, the entries that are in the queue (again): a new master may never have heard of their removal.
 * It may also have given their ids to other tasks, which are left out.
 */
export async function stillQueued(
  connection: Connection,
  keys: Keys,
  model: string,
  ended: readonly EndedTask[],
): Promise<string[]> {
  const key = keys.queue(model);
  const found: string[] = [];
  for (let from = 0; from < ended.length; from += ENTRIES_PER_LOOK) {
    const some = ended.slice(from, from + ENTRIES_PER_LOOK);
    const looks = some.map(async ({ entry }) => connection.command("XREVRANGE", key, entry, entry));
    for (const [index, reply] of (await Promise.all(looks)).entries()) {
      const [queued] = toTasks(model, asEntries(reply));
      const wanted = some[index]?.task;
      if (queued !== undefined && (taskIdOf(queued.payload) ?? "") === wanted) found.push(queued.entry);
    }
  }
  return found;
}

/** Renews the lease of tasks in hand: their idle time starts again, their delivery count stays. */
export async function renew(
  connection: Connection,
  keys: Keys,
  hold: { readonly model: string; readonly consumer: string; readonly entries: readonly string[] },
): Promise<void> {
  const key = keys.queue(hold.model);
  await connection.command("XCLAIM", key, GROUP, hold.consumer, "0", ...hold.entries, "JUSTID");
}

/** The entries pending for one consumer: what it still holds after it was away for longer than the lease. */
export async function heldBy(
  connection: Connection,
  keys: Keys,
  hold: { readonly model: string; readonly consumer: string; readonly count: number },
): Promise<Set<string>> {
  const key = keys.queue(hold.model);
  const count = String(hold.count);
  const reply = await connection.command("XPENDING", key, GROUP, "-", "+", count, hold.consumer);
  return new Set(asArray(reply).map((item) => asText(asArray(item)[0])));
}

/**
 * Tasks of a model, of all workers or of one, that have been silent for so long (0.08 us each in Redis). Those that were
 * handed back have been for {@link HANDED_BACK_MS}.
 */
export async function silentTasks(
  connection: Connection,
  keys: Keys,
  search: { readonly model: string; readonly idleMs: number; readonly consumer?: string },
): Promise<PendingEntry[]> {
  const { model, idleMs, consumer } = search;
  const range = ["IDLE", String(idleMs), "-", "+", "100", ...(consumer === undefined ? [] : [consumer])];
  const reply = await connection.command("XPENDING", keys.queue(model), GROUP, ...range);
  return asArray(reply).map(toPending);
}

/** Silent tasks, and who takes them over. */
interface TakeOver {
  readonly model: string;
  readonly consumer: string;
  readonly idleMs: number;
  readonly entries: readonly string[];
}

/** Takes silent tasks over; those another worker was quicker with, or that ended, are left out. */
export async function takeOver(connection: Connection, keys: Keys, claim: TakeOver): Promise<QueuedTask[]> {
  return claimSilent(connection, keys, claim, []);
}

/**
 * Takes what the consumer was given and never heard of. No worker was lost, so that counts as no delivery.
 * @param countOf the delivery count that is left to an entry
 */
export async function takeBack(
  connection: Connection,
  keys: Keys,
  claim: TakeOver,
  countOf: (entry: string) => number,
): Promise<QueuedTask[]> {
  const taken = [...Map.groupBy(claim.entries, countOf)].map(async ([count, entries]) =>
    claimSilent(connection, keys, { ...claim, entries }, ["RETRYCOUNT", String(count)]),
  );
  return (await Promise.all(taken)).flat();
}

async function claimSilent(
  connection: Connection,
  keys: Keys,
  { model, consumer, idleMs, entries }: TakeOver,
  options: readonly string[],
): Promise<QueuedTask[]> {
  const args = [GROUP, consumer, String(idleMs), ...entries, ...options];
  return toTasks(model, asEntries(await connection.command("XCLAIM", keys.queue(model), ...args)));
}

/**
 * Gives a task up for others, whose next sweep takes it. Resolves with false when the consumer no longer holds it: then
 * it is another's, or over, and nothing changes.
 * @param hold.deliveries the delivery count that is left to it; as it is when absent
 */
export async function handBack(
  connection: Connection,
  keys: Keys,
  hold: {
    readonly model: string;
    readonly entry: string;
    readonly consumer: string;
    readonly deliveries?: number;
  },
): Promise<boolean> {
  const { model, entry, consumer, deliveries } = hold;
  const count = deliveries === undefined ? [] : [String(deliveries)];
  const args = [GROUP, consumer, entry, ...count];
  return (await runInOrder(connection, HAND_BACK, [keys.queue(model)], args)) === 1;
}

/** Removes a consumer that has nothing pending. */
export async function dropConsumer(
  connection: Connection,
  keys: Keys,
  model: string,
  consumer: string,
): Promise<void> {
  const held = await heldBy(connection, keys, { model, consumer, count: 1 });
  if (held.size === 0) await connection.command("XGROUP", "DELCONSUMER", keys.queue(model), GROUP, consumer);
}

/** Removes the consumers of workers that are gone: they hold nothing and have been idle for so long. */
export async function dropIdleConsumers(
  connection: Connection,
  keys: Keys,
  model: string,
  idleMs: number,
): Promise<void> {
  await run(connection, TIDY, [keys.queue(model)], [GROUP, String(idleMs)]);
}

/** Lets queues expire `lifeMs` from now unless this is called again: for queues that only one worker reads. */
export async function keepQueues(
  connection: Connection,
  keys: Keys,
  models: readonly string[],
  lifeMs: number,
): Promise<void> {
  const life = String(lifeMs);
  await Promise.all(
    models.flatMap((model) => [
      connection.command("PEXPIRE", keys.queue(model), life),
      connection.command("PEXPIRE", keys.doorbell(model), life),
    ]),
  );
}

/** Removes a queue and its doorbell, with all that is in them. */
export async function dropQueue(connection: Connection, keys: Keys, model: string): Promise<void> {
  await Promise.all([
    connection.command("UNLINK", keys.queue(model)),
    connection.command("UNLINK", keys.doorbell(model)),
  ]);
}
