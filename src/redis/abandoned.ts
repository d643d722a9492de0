import { tagOf } from "../core/task.ts";
import { decodeTask, taskIdOf } from "../wire/task-codec.ts";
import { dropBody } from "./body.ts";
import type { Connection } from "./connection.ts";
import type { Keys } from "./keys.ts";
import { gatewaysAlive } from "./registry.ts";
import { asEntries } from "./replies.ts";
import type { StreamEntry } from "./replies.ts";
import { dropReplies } from "./reply-stream.ts";

/** Entries read at once (their bodies come with them), and at most per model and call. */
const PAGE = 20;
const MOST = 1000;

/**
 * Removes queued tasks that nobody waits for from a model's queue: past their deadline, or of a gateway that is gone.
 * For a model without workers, who would drop them. At most 1,000 entries are looked at, the oldest; several may do so
 * at once. Returns how many were removed.
 * @param now ms since 1970
 */
export async function dropAbandoned(
  connection: Connection,
  keys: Keys,
  model: string,
  now: number,
): Promise<number> {
  let dropped = 0;
  let from = "-";
  for (let read = 0; read < MOST; read += PAGE) {
    const reply = await connection.command("XRANGE", keys.queue(model), from, "+", "COUNT", String(PAGE));
    const entries = asEntries(reply);
    dropped += await dropSome(connection, keys, model, await abandonedAmong(connection, keys, entries, now));
    const last = entries.at(-1);
    if (last === undefined || entries.length < PAGE) break;
    from = `(${last.id}`;
  }
  return dropped;
}

interface Queued {
  readonly entry: string;
  readonly task: string;
  /** Ms since 1970. */
  readonly deadline: number;
}

/** Of a task of a later version only the id is known; what is no task is left to workers, who bury it. */
function toQueued({ id: entry, fields }: StreamEntry): readonly Queued[] {
  const payload = fields[1] ?? Buffer.alloc(0);
  const task = taskIdOf(payload);
  if (task === undefined) return [];
  try {
    return [{ entry, task, deadline: decodeTask(payload).deadline }];
  } catch {
    return [{ entry, task, deadline: Number.POSITIVE_INFINITY }];
  }
}

async function abandonedAmong(
  connection: Connection,
  keys: Keys,
  entries: readonly StreamEntry[],
  now: number,
): Promise<readonly Queued[]> {
  const queued = entries.flatMap(toQueued);
  const tags = new Set(queued.map(({ task }) => tagOf(task)));
  const alive = await gatewaysAlive(connection, keys, [...tags]);
  return queued.filter(({ task, deadline }) => deadline <= now || !alive.has(tagOf(task)));
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
