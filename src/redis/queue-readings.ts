import type { QueueReading } from "../core/fleet.ts";
import type { Connection } from "./connection.ts";
import { GROUP } from "./keys.ts";
import type { Keys } from "./keys.ts";
import { asArray, asEntries, asText } from "./replies.ts";

/** Pending entries looked at per model, the oldest first: bounds the answer of Redis to some 100 kB. */
const PENDING_LOOKED_AT = "1000";

/** How full the queues of models are, and since when. Ages are by Redis's clock alone. */
export async function readQueues(
  connection: Connection,
  keys: Keys,
  models: readonly string[],
): Promise<QueueReading[]> {
  return Promise.all(models.map(async (model) => readQueue(connection, keys, model)));
}

async function readQueue(connection: Connection, keys: Keys, model: string): Promise<QueueReading> {
  const queue = keys.queue(model);
  const [length, groups, pending, letters] = await Promise.all([
    connection.command("XLEN", queue),
    // A queue that nobody made yet is an error for these two.
    connection.command("XINFO", "GROUPS", queue).catch(() => []),
    connection.command("XPENDING", queue, GROUP, "-", "+", PENDING_LOOKED_AT).catch(() => []),
    connection.command("XLEN", keys.dead(model)),
  ]);
  const group = asArray(groups)
    .map(toGroup)
    .find(({ name }) => name === GROUP);
  const claimed = group?.pending ?? 0;
  const waiting = Math.max(0, Number(length) - claimed);
  const idle = asArray(pending).map((item) => Number(asArray(item)[2]));
  return {
    model,
    waiting,
    oldestWaitMs: waiting === 0 ? 0 : await oldestWait(connection, queue, group?.lastDelivered ?? "0-0"),
    claimed,
    oldestIdleMs: Math.max(0, ...idle),
    deadLetters: Number(letters),
  };
}

/** Entries after the last delivered one wait; the id of an entry begins with the time it was added. */
async function oldestWait(connection: Connection, queue: string, lastDelivered: string): Promise<number> {
  const [first, time] = await Promise.all([
    connection.command("XRANGE", queue, `(${lastDelivered}`, "+", "COUNT", "1"),
    connection.command("TIME"),
  ]);
  const [entry] = asEntries(first);
  if (entry === undefined) return 0;
  const [seconds, micros] = asArray(time).map((part) => Number(asText(part)));
  const now = (seconds ?? 0) * 1000 + (micros ?? 0) / 1000;
  return Math.max(0, now - Number(entry.id.split("-")[0]));
}

interface Group {
  readonly name: string;
  readonly pending: number;
  readonly lastDelivered: string;
}

/** @param item alternating names and values */
function toGroup(item: unknown): Group {
  const parts = asArray(item);
  const field = (name: string): unknown => parts[parts.findIndex((part) => asText(part) === name) + 1];
  return {
    name: asText(field("name")),
    pending: Number(field("pending")),
    lastDelivered: asText(field("last-delivered-id")),
  };
}
