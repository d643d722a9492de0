import type { Connection } from "./connection.ts";
import { GROUP } from "./keys.ts";
import { asArray, asText } from "./replies.ts";
import { replyErrorCode } from "./reply-error.ts";

/**
 * HAND_BACK writes that an entry was last heard of when 1970 began; what seems so old, ms (31 years), was handed back. No
 * worker is ever silent for so long, whatever is done to Redis's clock, as long as that has once been set.
 */
export const HANDED_BACK_MS = 1e12;

/** An entry of a queue that was claimed, as XPENDING tells. */
export interface PendingEntry {
  readonly entry: string;
  /** Who claimed it last. */
  readonly worker: string;
  /** Ms since it was claimed, or its lease renewed; 0 when it was handed back. */
  readonly idleMs: number;
  readonly deliveries: number;
  /** True when its worker gave it up for others: nobody has it. */
  readonly handedBack: boolean;
}

/** Reads a line of XPENDING. */
export function toPending(item: unknown): PendingEntry {
  const [entry, worker, idle, deliveries] = asArray(item);
  const handedBack = Number(idle) >= HANDED_BACK_MS;
  return {
    entry: asText(entry),
    worker: asText(worker),
    idleMs: handedBack ? 0 : Number(idle),
    deliveries: Number(deliveries),
    handedBack,
  };
}

/** Who has an entry of the queue `key`, or had it last; undefined while nobody ever claimed it. */
export async function pendingEntry(
  connection: Connection,
  key: string,
  entry: string,
): Promise<PendingEntry | undefined> {
  try {
    const reply = await connection.command("XPENDING", key, GROUP, entry, entry, "1");
    return asArray(reply).map(toPending)[0];
  } catch (error) {
    // A queue without a group was never read, or lost what it had.
    if (replyErrorCode(error) === "NOGROUP") return undefined;
    throw error;
  }
}

/** Pending entries read by one command: 1000 take Redis about 0.3 ms. */
const PENDING_PER_READ = 1000;

/** All entries of the queue `key` that were claimed and not acknowledged, by id: no more than workers have slots. */
export async function pendingEntries(
  connection: Connection,
  key: string,
): Promise<ReadonlyMap<string, PendingEntry>> {
  const found = new Map<string, PendingEntry>();
  const count = String(PENDING_PER_READ);
  for (let from = "-"; ;) {
    const some = asArray(await connection.command("XPENDING", key, GROUP, from, "+", count)).map(toPending);
    for (const one of some) found.set(one.entry, one);
    const last = some.at(-1);
    if (last === undefined || some.length < PENDING_PER_READ) return found;
    from = `(${last.entry}`;
  }
}
