import { tagOf } from "../core/task.ts";
import { decodeTask, taskIdOf } from "../wire/task-codec.ts";
import { dropBody } from "./body.ts";
import type { Connection } from "./connection.ts";
import type { Keys } from "./keys.ts";
import { asEntries } from "./replies.ts";
import type { StreamEntry } from "./replies.ts";
import { dropReplies } from "./reply-stream.ts";
import { pendingEntry } from "./pending.ts";

/** Entries read at once (their bodies come with them), and at most per model and call. */
const PAGE = 20;
const MOST = 1000;

/** Who nobody waits for. */
export interface Verdicts {
  /** Tag of the gateway that asks: its own tasks are left alone. */
  readonly own: string;
  /** Ms since 1970 by its clock. */
  readonly now: number;
  /** Ms since 1970 by Redis's clock: the least that any server says. */
  readonly clock: number;
  /** Of tags of gateways those that are gone for certain. */
  readonly gone: (tags: readonly string[]) => Promise<ReadonlySet<string>>;
}

/**
 * Removes queued tasks that nobody waits for from a model's queue: past their deadline, or of a gateway that is gone
 * and in no worker's hands. For a model without workers, who would drop them. At most 1,000 entries are looked at, the
 * oldest; several may do so at once. Returns how many were removed.
 */
export async function dropAbandoned(
  connection: Connection,
  keys: Keys,
  model: string,
  verdicts: Verdicts,
): Promise<number> {
  let dropped = 0;
  let from = "-";
  for (let read = 0; read < MOST; read += PAGE) {
    const reply = await connection.command("XRANGE", keys.queue(model), from, "+", "COUNT", String(PAGE));
    const entries = asEntries(reply);
    const isHeld = async (entry: string): Promise<boolean> => isInHand(connection, keys, model, entry);
    dropped += await dropSome(connection, keys, model, await abandonedAmong(entries, verdicts, isHeld));
    const last = entries.at(-1);
    if (last === undefined || entries.length < PAGE) break;
    from = `(${last.id}`;
  }
  return dropped;
}

interface Queued {
  readonly entry: string;
  readonly task: string;
  /** Ms since 1970 by the clock of its gateway, which may differ from others by any amount. */
  readonly deadline: number;
  /** How long it may take, ms. */
  readonly lifeMs: number;
}

/** Of a task of a later version only the id is known; what is no task is left to workers, who bury it. */
function toQueued({ id: entry, fields }: StreamEntry): readonly Queued[] {
  const payload = fields[1] ?? Buffer.alloc(0);
  const task = taskIdOf(payload);
  if (task === undefined) return [];
  try {
    const { deadline, createdAt } = decodeTask(payload);
    return [{ entry, task, deadline, lifeMs: deadline - createdAt }];
  } catch {
    return [{ entry, task, deadline: Number.POSITIVE_INFINITY, lifeMs: Number.POSITIVE_INFINITY }];
  }
}

async function abandonedAmong(
  entries: readonly StreamEntry[],
  verdicts: Verdicts,
  isHeld: (entry: string) => Promise<boolean>,
): Promise<readonly Queued[]> {
  const others = entries.flatMap(toQueued).filter(({ task }) => tagOf(task) !== verdicts.own);
  const gone = await verdicts.gone([...new Set(others.map(({ task }) => tagOf(task)))]);
  const abandoned = others.map(
    async (queued) =>
      isLate(queued, verdicts) || (gone.has(tagOf(queued.task)) && !(await isHeld(queued.entry))),
  );
  const verdict = await Promise.all(abandoned);
  return others.filter((_queued, index) => verdict[index]);
}

/** Both clocks must say so: either may have been set. */
function isLate({ entry, deadline, lifeMs }: Queued, { now, clock }: Verdicts): boolean {
  return deadline <= now && clock - Number.parseInt(entry, 10) > lifeMs;
}

/** True when a worker has the entry, or had it and was lost; false for one that was handed back. */
async function isInHand(connection: Connection, keys: Keys, model: string, entry: string): Promise<boolean> {
  return (await pendingEntry(connection, keys.queue(model), entry))?.handedBack === false;
}

async function dropSome(
  connection: Connection,
  keys: Keys,
  model: string,
  abandoned: readonly Queued[],
): Promise<number> {
  if (abandoned.length === 0) return 0;
  const entries = abandoned.map(({ entry }) => entry);
  const removed = Number(await connection.command("XDEL", keys.queue(model), ...entries));
  // Another one may have been quicker with some, and with their tokens.
  if (removed > 0) await connection.command("LPOP", keys.doorbell(model), String(removed));
  // One by one: those of different gateways are on different nodes of a cluster.
  const leftovers = abandoned.flatMap(({ task }) => [
    dropReplies(connection, keys, [task]),
    dropBody(connection, keys, task),
  ]);
  await Promise.all(leftovers);
  return removed;
}
