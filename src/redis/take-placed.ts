import type { Connection } from "./connection.ts";
import { GROUP } from "./keys.ts";
import type { Keys } from "./keys.ts";
import { asArray, asEntries, asText } from "./replies.ts";
import { run, TAKE_PLACED } from "./scripts.ts";
import { listen, takeOne } from "./take.ts";
import { toTasks } from "./task-stream.ts";
import type { QueuedTask } from "./task-stream.ts";
import { append } from "../core/long-lists.ts";

export interface TakePlaced {
  /** Model keys in the order they are to be served; may be empty. */
  readonly claim: readonly string[];
  /** Keys of models whose doorbells end the wait; not empty when there is a wait. */
  readonly listen: readonly string[];
  /** Keys of models whose queue heads are to be told. */
  readonly look: readonly string[];
  readonly consumer: string;
  readonly credits: number;
  /** How long to wait for a doorbell, ms; 0 does not wait. */
  readonly waitMs: number;
  readonly farewell: string;
  /** {@link Taken.paid} of the look before; absent for none. */
  readonly paid?: Paid | undefined;
}

/** A model and how many tokens of it a wait has taken, of whose tasks none was claimed. */
export interface Paid {
  readonly model: string;
  readonly count: number;
}

/** The head of a queue, by Redis's clock alone. */
export interface QueueHead {
  readonly model: string;
  /** The first entry that no worker has claimed yet; undefined when none waits. */
  readonly entry: string | undefined;
  /** How old it is, ms. */
  readonly ageMs: number;
  /** The entry that was delivered last: it moves when anybody claims. */
  readonly delivered: string;
}

/** Tasks that were claimed, and the queue heads after that. */
export interface Taken {
  readonly tasks: readonly QueuedTask[];
  readonly heads: readonly QueueHead[];
  /** True where this user of Redis may not ask who waits. */
  readonly refused: boolean;
  /** For the next look, which takes no token for these tasks again. */
  readonly paid?: Paid | undefined;
}

/**
 * Waits for a doorbell, then claims what is there, and looks who waits: for a backend that must not be given tasks of
 * all its models. Needs a connection of its own, since it blocks.
 */
export async function takePlaced(connection: Connection, keys: Keys, options: TakePlaced): Promise<Taken> {
  const taken = connection.sharded
    ? await takeInSteps(connection, keys, options)
    : await takeAtOnce(connection, keys, options);
  if (options.waitMs === 0) void eatTokens(connection, keys, taken.tasks, options.paid);
  return taken;
}

/** One round trip, as for `take`. */
async function takeAtOnce(connection: Connection, keys: Keys, options: TakePlaced): Promise<Taken> {
  const woken = wait(connection, keys, options);
  const claimed = placed(connection, keys, options, options);
  const [bell, taken] = await Promise.all([
    woken.then(
      (paid) => ({ paid }),
      (error: unknown) => ({ error }),
    ),
    claimed,
  ]);
  if ("paid" in bell) return { ...taken, ...bell };
  // Claimed tasks are in hand. The next look meets the same error, if it is one that lasts.
  if (taken.tasks.length === 0) throw bell.error;
  return taken;
}

/** Each queue lies on a node of its own. */
async function takeInSteps(connection: Connection, keys: Keys, options: TakePlaced): Promise<Taken> {
  const paid = await wait(connection, keys, options);
  const tasks: QueuedTask[] = [];
  try {
    for (const model of options.claim) {
      const count = options.credits - tasks.length;
      if (count > 0) append(tasks, await takeOne(connection, keys, { ...options, model, count }));
    }
    const looks = await Promise.all(
      options.look.map(async (model) => placed(connection, keys, options, { claim: [], look: [model] })),
    );
    return {
      tasks,
      heads: looks.flatMap(({ heads }) => heads),
      refused: looks.some(({ refused }) => refused),
      paid,
    };
  } catch (error) {
    // Tasks claimed before are in hand. The next look meets the same error, if it is one that lasts.
    if (tasks.length === 0) throw error;
    return { tasks, heads: [], refused: false };
  }
}

/** Resolves with the tokens taken for tasks that this look does not claim; undefined for none. */
async function wait(connection: Connection, keys: Keys, options: TakePlaced): Promise<Paid | undefined> {
  if (options.waitMs === 0) return undefined;
  const reply = await listen(connection, keys, { ...options, models: options.listen });
  if (reply === null) return undefined;
  const [bell, tokens] = asArray(reply);
  const model = options.listen.find((one) => keys.doorbell(one) === asText(bell));
  if (model === undefined || options.claim.includes(model)) return undefined;
  return { model, count: asArray(tokens).length };
}

async function placed(
  connection: Connection,
  keys: Keys,
  { consumer, credits }: TakePlaced,
  { claim, look }: Pick<TakePlaced, "claim" | "look">,
): Promise<Taken> {
  const models = [...claim, ...look.filter((model) => !claim.includes(model))];
  const queues = models.map((model) => keys.queue(model));
  const args = [GROUP, consumer, String(credits), String(claim.length)];
  const [taken, heads, time] = asArray(await run(connection, TAKE_PLACED, queues, args));
  const [seconds, micros] = asArray(time).map((part) => Number(asText(part)));
  const now = (seconds ?? 0) * 1000 + (micros ?? 0) / 1000;
  const read = asArray(heads).map((head, index) => toHead(models[index] ?? "", head, now));
  return {
    tasks: asArray(taken).flatMap((item) => {
      const [index, entries] = asArray(item);
      return toTasks(models[Number(index) - 1] ?? "", asEntries(entries));
    }),
    heads: read.filter(({ model }) => look.includes(model)),
    refused: asArray(heads).some((head) => asText(asArray(head)[0]) === "NOPERM"),
  };
}

/** @param now ms by the clock that gave the ids */
function toHead(model: string, head: unknown, now: number): QueueHead {
  const [entry = "", delivered = ""] = asArray(head).map(asText);
  const added = Number.parseInt(entry, 10);
  if (Number.isNaN(added)) return { model, entry: undefined, ageMs: 0, delivered };
  return { model, entry, ageMs: Math.max(0, now - added), delivered };
}

/** Removes the tokens of tasks that were claimed without a wait: each token would wake a worker for nothing. */
async function eatTokens(
  connection: Connection,
  keys: Keys,
  tasks: readonly QueuedTask[],
  paid: Paid | undefined,
): Promise<void> {
  const counts = new Map(paid === undefined ? [] : [[paid.model, -paid.count]]);
  for (const { model } of tasks) counts.set(model, (counts.get(model) ?? 0) + 1);
  const owed = [...counts].filter(([, count]) => count > 0);
  const eaten = owed.map(async ([model, count]) =>
    connection.command("LPOP", keys.doorbell(model), String(count)),
  );
  // A token too many is only a hint too many.
  await Promise.all(eaten).catch(() => undefined);
}
