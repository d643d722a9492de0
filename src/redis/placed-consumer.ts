import type { Connection } from "./connection/connection.ts";
import { asArray, asEntries, asText } from "./connection/resp.ts";
import { Doorbells } from "./doorbells.ts";
import { GROUP } from "./keys.ts";
import type { Keys } from "./keys.ts";
import { toTasks } from "./task-queue.ts";
import type { QueuedTask } from "./task-queue.ts";
import { run, TAKE_PLACED } from "./scripts.ts";
import { TaskQueue } from "./task-queue.ts";
import { append } from "../core/long-lists.ts";

export interface TakePlaced {
  /** Model keys to claim from in the order of service; may be empty. */
  readonly claim: readonly string[];
  /** Keys of models whose doorbells end the wait; not empty when there is a wait. */
  readonly listen: readonly string[];
  /** Keys of models whose queue heads are read. */
  readonly headsOf: readonly string[];
  readonly consumer: string;
  readonly credits: number;
  /** Longest wait for a doorbell, ms; 0 does not wait. */
  readonly waitMs: number;
  /** Name of the waiting claimer, for {@link Doorbells.interrupt}. */
  readonly claimer: string;
  /** {@link Taken.usedTokens} of the call before; absent for none. */
  readonly usedTokens?: UsedTokens | undefined;
}

/** Tokens that a wait took from a model's doorbell without claiming its tasks. */
export interface UsedTokens {
  readonly model: string;
  readonly count: number;
}

/** The head of a queue, measured by Redis's clock alone. */
export interface QueueHead {
  readonly model: string;
  /** The first entry that no worker has claimed; undefined when none waits. */
  readonly entry: string | undefined;
  /** Age of that entry, ms. */
  readonly ageMs: number;
  /** The entry that was delivered last. It changes with each claim. */
  readonly delivered: string;
}

/** Claimed tasks, and the queue heads after the claim. */
export interface Taken {
  readonly tasks: readonly QueuedTask[];
  readonly heads: readonly QueueHead[];
  /** True where this user of Redis may not read the heads. */
  readonly refused: boolean;
  /** For the next call, which must not take tokens for these tasks again. */
  readonly usedTokens?: UsedTokens | undefined;
}

/** @param now time by the clock that gave the ids, ms */
function toHead(model: string, head: unknown, now: number): QueueHead {
  const [entry = "", delivered = ""] = asArray(head).map(asText);
  const added = Number.parseInt(entry, 10);
  if (Number.isNaN(added)) return { model, entry: undefined, ageMs: 0, delivered };
  return { model, entry, ageMs: Math.max(0, now - added), delivered };
}

/** Claims tasks of some models of a backend, and reads the queue heads of the others. */
export class PlacedConsumer {
  readonly #connection: Connection;
  readonly #keys: Keys;
  readonly #queue: TaskQueue;
  readonly #doorbells: Doorbells;

  constructor(connection: Connection, keys: Keys) {
    this.#connection = connection;
    this.#keys = keys;
    this.#queue = new TaskQueue(connection, keys);
    this.#doorbells = new Doorbells(connection, keys);
  }

  /**
   * Waits for a doorbell, then claims tasks and reads the queue heads.
   * It blocks, so it needs a connection of its own.
   */
  async take(options: TakePlaced): Promise<Taken> {
    const taken = this.#connection.sharded
      ? await this.#takeInSteps(options)
      : await this.#takeAtOnce(options);
    if (options.waitMs === 0) void this.#removeTokens(taken.tasks, options.usedTokens);
    return taken;
  }

  /** One round trip, as in {@link QueueConsumer}. */
  async #takeAtOnce(options: TakePlaced): Promise<Taken> {
    const woken = this.#wait(options);
    const claimed = this.#placed(options, options);
    const [bell, taken] = await Promise.all([
      woken.then(
        (usedTokens) => ({ usedTokens }),
        (error: unknown) => ({ error }),
      ),
      claimed,
    ]);
    if ("usedTokens" in bell) return { ...taken, ...bell };
    // Claimed tasks are returned. The next call meets a lasting error again.
    if (taken.tasks.length === 0) throw bell.error;
    return taken;
  }

  /** On a cluster each queue is on a node of its own. */
  async #takeInSteps(options: TakePlaced): Promise<Taken> {
    const usedTokens = await this.#wait(options);
    const tasks: QueuedTask[] = [];
    try {
      for (const model of options.claim) {
        const count = options.credits - tasks.length;
        if (count > 0) append(tasks, await this.#queue.claim({ ...options, model, count }));
      }
      const answers = await Promise.all(
        options.headsOf.map(async (model) => this.#placed(options, { claim: [], headsOf: [model] })),
      );
      return {
        tasks,
        heads: answers.flatMap(({ heads }) => heads),
        refused: answers.some(({ refused }) => refused),
        usedTokens,
      };
    } catch (error) {
      // Tasks claimed before are returned. The next call meets a lasting error again.
      if (tasks.length === 0) throw error;
      return { tasks, heads: [], refused: false };
    }
  }

  /** Resolves with tokens of a model that this call does not claim; undefined for none. */
  async #wait(options: TakePlaced): Promise<UsedTokens | undefined> {
    if (options.waitMs === 0) return undefined;
    const reply = await this.#doorbells.wait({ ...options, models: options.listen });
    const model = this.#doorbells.rungBy(reply, options.listen);
    if (model === undefined || options.claim.includes(model)) return undefined;
    return { model, count: asArray(asArray(reply)[1]).length };
  }

  async #placed(
    { consumer, credits }: TakePlaced,
    { claim, headsOf }: Pick<TakePlaced, "claim" | "headsOf">,
  ): Promise<Taken> {
    const models = [...claim, ...headsOf.filter((model) => !claim.includes(model))];
    const queues = models.map((model) => this.#keys.queue(model));
    const args = [GROUP, consumer, String(credits), String(claim.length)];
    const [taken, heads, time] = asArray(await run(this.#connection, TAKE_PLACED, queues, args));
    const [seconds, micros] = asArray(time).map((part) => Number(asText(part)));
    const now = (seconds ?? 0) * 1000 + (micros ?? 0) / 1000;
    const read = asArray(heads).map((head, index) => toHead(models[index] ?? "", head, now));
    return {
      tasks: asArray(taken).flatMap((item) => {
        const [index, entries] = asArray(item);
        return toTasks(models[Number(index) - 1] ?? "", asEntries(entries));
      }),
      heads: read.filter(({ model }) => headsOf.includes(model)),
      refused: asArray(heads).some((head) => asText(asArray(head)[0]) === "NOPERM"),
    };
  }

  /** Removes the tokens of tasks that were claimed without a wait: each would wake a worker in vain. */
  async #removeTokens(tasks: readonly QueuedTask[], used: UsedTokens | undefined): Promise<void> {
    const counts = new Map(used === undefined ? [] : [[used.model, -used.count]]);
    for (const { model } of tasks) counts.set(model, (counts.get(model) ?? 0) + 1);
    const surplus = [...counts].filter(([, count]) => count > 0);
    const removed = surplus.map(async ([model, count]) => this.#doorbells.pop(model, count));
    // An extra token is only an extra hint.
    await Promise.all(removed).catch(() => undefined);
  }
}
