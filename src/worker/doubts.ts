import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { openAmong } from "../redis/reply-stream.ts";
import type { QueuedTask } from "../redis/task-stream.ts";
import { taskIdOf } from "../wire/task-codec.ts";
import type { Acknowledger } from "./acknowledger.ts";

/**
 * Those that find another master, or a server that was started again, do so within this of each other, as a rule, ms:
 * no pause between attempts to connect is longer than 625.
 */
const SETTLE_MS = 750;

/** What is claimed so long after it took over is looked at, ms. */
const DOUBT_MS = 10_000;

export interface DoubtsOptions {
  /** The one that claims. */
  readonly connection: Connection;
  readonly keys: Keys;
  readonly mono: () => number;
  readonly acknowledger: Pick<Acknowledger, "add" | "hasEnded">;
}

/**
 * Keeps tasks from backends that are over, though Redis does not know it: a master that has just taken over never heard
 * of their last removals, a server that lost its power forgot them. Whoever removed them does so again when it is back.
 */
export class Doubts {
  readonly #options: DoubtsOptions;
  #movedAt = Number.NEGATIVE_INFINITY;

  constructor(options: DoubtsOptions) {
    this.#options = options;
    options.connection.onReconnect((moved) => {
      if (moved) this.#movedAt = options.mono();
    });
  }

  /** For so long nothing should be claimed, ms; 0 as a rule. */
  get settleMs(): number {
    return Math.max(0, this.#movedAt + SETTLE_MS - this.#options.mono());
  }

  /** Those of the tasks just claimed that may run; the others are acknowledged. Never rejects. */
  async sift(tasks: readonly QueuedTask[]): Promise<readonly QueuedTask[]> {
    const { mono, acknowledger } = this.#options;
    if (tasks.length === 0 || mono() > this.#movedAt + DOUBT_MS) return tasks;
    const claimed = tasks.map((queued) => ({ queued, task: taskIdOf(queued.payload) ?? "" }));
    const open = await this.#open(claimed.map(({ task }) => task));
    const over = claimed.filter(
      ({ queued: { entry }, task }) =>
        task !== "" && (!open.has(task) || acknowledger.hasEnded({ task, entry })),
    );
    for (const { queued, task } of over) acknowledger.add(queued.model, queued.entry, task);
    const dropped = new Set(over.map(({ queued }) => queued));
    return tasks.filter((queued) => !dropped.has(queued));
  }

  /**
   * Of the tasks, those that somebody waits for. A reply is opened before its task is queued, so where both are on one
   * server a reply that is missing was unlinked; on a cluster it may be about to be opened again.
   */
  async #open(tasks: readonly string[]): Promise<ReadonlySet<string>> {
    const { connection, keys } = this.#options;
    if (connection.sharded) return new Set(tasks);
    return openAmong(connection, keys, tasks).catch(() => new Set(tasks));
  }
}
