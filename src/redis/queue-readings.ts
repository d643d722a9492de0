import type { QueueReading } from "../core/fleet.ts";
import { abilityOf, modelOf } from "../core/ability.ts";
import { greatest } from "../core/long-lists.ts";
import { unlessMistyped } from "./connection.ts";
import type { Connection } from "./connection.ts";
import { GROUP } from "./keys.ts";
import type { Keys } from "./keys.ts";
import { toPending } from "./pending.ts";
import { asArray, asEntries, asText } from "./replies.ts";

/** Pending entries looked at per model, the oldest first: bounds the answer of Redis to some 100 kB. */
const PENDING_LOOKED_AT = "1000";

/**
 * How full the queues of models are, and since when: one reading for each model, its ability queues counted in. Ages are by
 * Redis's clock alone.
 * @param queues names of queues
 */
export async function readQueues(
  connection: Connection,
  keys: Keys,
  queues: readonly string[],
): Promise<QueueReading[]> {
  const readings = await Promise.all(queues.map(async (queue) => readQueue(connection, keys, queue)));
  const byModel = Map.groupBy(readings, ({ model }) => modelOf(model));
  return [...byModel].map(([model, own]) => togetherAs(model, own));
}

function togetherAs(model: string, readings: readonly QueueReading[]): QueueReading {
  const [first] = readings;
  if (first?.model === model && readings.length === 1) return first;
  const sum = (of: (reading: QueueReading) => number): number =>
    readings.reduce((total, reading) => total + of(reading), 0);
  const most = (of: (reading: QueueReading) => number): number => greatest(readings.map(of));
  const abilities = readings.filter((it) => it.model !== model && it.waiting + it.claimed > 0);
  return {
    model,
    waiting: sum(({ waiting }) => waiting),
    oldestWaitMs: most(({ oldestWaitMs }) => oldestWaitMs),
    claimed: sum(({ claimed }) => claimed),
    oldestIdleMs: most(({ oldestIdleMs }) => oldestIdleMs),
    // The letters of a model lie together.
    deadLetters: most(({ deadLetters }) => deadLetters),
    ...(abilities.length === 0 ? {} : { abilities: abilities.map((it) => abilityOf(it.model) ?? "") }),
  };
}

async function readQueue(connection: Connection, keys: Keys, model: string): Promise<QueueReading> {
  const queue = keys.queue(model);
  const [length, groups, pending, letters] = await Promise.all([
    unlessMistyped(connection.command("XLEN", queue)),
    // A queue that nobody made yet is an error for these two.
    connection.command("XINFO", "GROUPS", queue).catch(() => []),
    connection.command("XPENDING", queue, GROUP, "-", "+", PENDING_LOOKED_AT).catch(() => []),
    unlessMistyped(connection.command("XLEN", keys.dead(model))),
  ]);
  const group = asArray(groups)
    .map(toGroup)
    .find(({ name }) => name === GROUP);
  const held = asArray(pending).map(toPending);
  // In nobody's hands: they wait like those that were never claimed.
  const back = held.filter(({ handedBack }) => handedBack).map(({ entry }) => entry);
  const claimed = Math.max(0, (group?.pending ?? 0) - back.length);
  const waiting = Math.max(0, Number(length ?? 0) - claimed);
  return {
    model,
    waiting,
    oldestWaitMs:
      waiting === 0
        ? 0
        : await oldestWait(connection, queue, { lastDelivered: group?.lastDelivered ?? "0-0", back }),
    claimed,
    oldestIdleMs: Math.max(0, greatest(held.map(({ idleMs }) => idleMs))),
    deadLetters: Number(letters ?? 0),
  };
}

/**
 * Entries after the last delivered one wait, and those that were handed back, the oldest first; the id of an entry begins
 * with the time it was added.
 */
async function oldestWait(
  connection: Connection,
  queue: string,
  { lastDelivered, back }: { readonly lastDelivered: string; readonly back: readonly string[] },
): Promise<number> {
  const [first, time] = await Promise.all([
    connection.command("XRANGE", queue, `(${lastDelivered}`, "+", "COUNT", "1"),
    connection.command("TIME"),
  ]);
  // Whatever was delivered is older than what was not.
  const entry = back[0] ?? asEntries(first)[0]?.id;
  if (entry === undefined) return 0;
  const [seconds, micros] = asArray(time).map((part) => Number(asText(part)));
  const now = (seconds ?? 0) * 1000 + (micros ?? 0) / 1000;
  return Math.max(0, now - Number(entry.split("-")[0]));
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
