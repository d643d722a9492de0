import type { QueueReading } from "../../core/fleet.ts";
import { abilityOf, modelOf } from "../../core/ability.ts";
import { greatest } from "../../core/long-lists.ts";
import { unlessMistyped } from "../connection/connection.ts";
import type { Connection } from "../connection/connection.ts";
import { GROUP } from "../keys.ts";
import type { Keys } from "../keys.ts";
import { toPending } from "../pending.ts";
import { asArray, asEntries, asText } from "../connection/resp.ts";

/** Most pending entries read per model, the oldest first. Bounds the reply of Redis to about 100 kB. */
const MOST_PENDING = "1000";

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

/** Measures the queues: waiting and claimed tasks, their ages, and dead letters. */
export class QueueReadings {
  readonly #connection: Connection;
  readonly #keys: Keys;

  constructor(connection: Connection, keys: Keys) {
    this.#connection = connection;
    this.#keys = keys;
  }

  /**
   * Measures queues. Returns one reading for each model: its ability queues are added to it.
   * Ages are measured by Redis's clock alone.
   * @param queues names of queues
   */
  async read(queues: readonly string[]): Promise<QueueReading[]> {
    const readings = await Promise.all(queues.map(async (queue) => this.#readQueue(queue)));
    const byModel = Map.groupBy(readings, ({ model }) => modelOf(model));
    return [...byModel].map(([model, own]) => togetherAs(model, own));
  }

  async #readQueue(model: string): Promise<QueueReading> {
    const queue = this.#keys.queue(model);
    const [length, groups, pending, letters] = await Promise.all([
      unlessMistyped(this.#connection.command("XLEN", queue)),
      // A missing queue is an error for these two.
      this.#connection.command("XINFO", "GROUPS", queue).catch(() => []),
      this.#connection.command("XPENDING", queue, GROUP, "-", "+", MOST_PENDING).catch(() => []),
      unlessMistyped(this.#connection.command("XLEN", this.#keys.dead(model))),
    ]);
    const group = asArray(groups)
      .map(toGroup)
      .find(({ name }) => name === GROUP);
    const held = asArray(pending).map(toPending);
    // Requeued tasks wait like tasks that were never claimed.
    const requeued = held.filter((one) => one.requeued).map(({ entry }) => entry);
    const claimed = Math.max(0, (group?.pending ?? 0) - requeued.length);
    const waiting = Math.max(0, Number(length ?? 0) - claimed);
    return {
      model,
      waiting,
      oldestWaitMs:
        waiting === 0
          ? 0
          : await this.#oldestWait(queue, { lastDelivered: group?.lastDelivered ?? "0-0", requeued }),
      claimed,
      oldestIdleMs: Math.max(0, greatest(held.map(({ idleMs }) => idleMs))),
      deadLetters: Number(letters ?? 0),
    };
  }

  /**
   * Age of the oldest waiting entry, ms. Entries after the last delivered one wait, and so do requeued ones.
   * The id of an entry begins with the time it was added.
   * @param requeued entries, the oldest first
   */
  async #oldestWait(
    queue: string,
    { lastDelivered, requeued }: { readonly lastDelivered: string; readonly requeued: readonly string[] },
  ): Promise<number> {
    const [first, time] = await Promise.all([
      this.#connection.command("XRANGE", queue, `(${lastDelivered}`, "+", "COUNT", "1"),
      this.#connection.command("TIME"),
    ]);
    // A delivered entry is older than one that was never delivered.
    const entry = requeued[0] ?? asEntries(first)[0]?.id;
    if (entry === undefined) return 0;
    const [seconds, micros] = asArray(time).map((part) => Number(asText(part)));
    const now = (seconds ?? 0) * 1000 + (micros ?? 0) / 1000;
    return Math.max(0, now - Number(entry.split("-")[0]));
  }
}
