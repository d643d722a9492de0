import { INLINE_BYTES } from "../../redis/body-store.ts";
import type { Connection } from "../../redis/connection/connection.ts";
import type { EndedTask } from "../../redis/task-queue.ts";
import type { Stores } from "../../redis/stores.ts";
import type { Exchange } from "./exchange.ts";

/** Reply streams of answered tasks gather for this long and are unlinked together, ms. */
const UNLINK_MS = 20;

/** Pause before work that Redis did not take is tried again, ms. The reconnect tries it too. */
const RETRY_MS = 1000;

/**
 * Removals of this last time (ms) are repeated after a reconnect: a new master may lack them. Time in which this process
 * stood still does not count: it learns of an outage only when it goes on.
 */
const MEMORY_MS = 10_000;

export interface CleanerOptions {
  readonly connection: Pick<Connection, "onDown" | "onReconnect">;
  readonly stores: Pick<Stores, "bodies" | "control" | "queue" | "replies">;
  readonly mono: () => number;
  /** Returns monotonic time without the time in which this process stood still (ms). */
  readonly awake: () => number;
}

/**
 * Removes the remains of ended tasks from Redis. While Redis is away removals wait for its return: else a worker would
 * go on for a client that was gone during the outage.
 */
export class Cleaner {
  readonly #stores: CleanerOptions["stores"];
  #answered: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #stopped = false;
  /** Work that Redis has not confirmed, by name. */
  readonly #retries = new Map<string, () => Promise<unknown>>();
  readonly #mono: () => number;
  readonly #awake: () => number;
  /** The latest removals, the oldest first. */
  readonly #removals: { readonly at: number; readonly name: string; readonly remove: () => Promise<void> }[] =
    [];
  #count = 0;
  /** Awake ms since when Redis has been away. Removals shortly before it are remembered until it is back. */
  #awaySince: number | undefined;
  /** Mono ms when another master took over, or Redis was started again. */
  #movedAt = Number.NEGATIVE_INFINITY;
  /** The repeated removals of the latest reconnect. */
  #repeating: Promise<void> | undefined;
  #onRetried: (() => void) | undefined;

  constructor(options: CleanerOptions) {
    this.#stores = options.stores;
    this.#mono = options.mono;
    this.#awake = options.awake;
    options.connection.onDown(() => {
      this.#awaySince ??= this.#awake();
    });
    options.connection.onReconnect((moved) => {
      if (moved) this.#movedAt = this.#mono();
      this.#repeating = this.#repeat();
      this.#awaySince = undefined;
    });
  }

  /** Resolves when Redis has all removals that were made before the latest reconnect. */
  async settled(): Promise<void> {
    await this.#repeating;
    while (this.#retries.size > 0) {
      const retried = Promise.withResolvers<void>();
      this.#onRetried = retried.resolve;
      await retried.promise;
    }
  }

  /** Sends the removals that have gathered. Keys that Redis does not remove any more expire by themselves. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#retry);
    if (this.#answered.length > 0) void this.#unlinkAnswered();
  }

  /** The client has its answer, and the worker is done. */
  answered(exchange: Exchange): void {
    this.#answered.push(exchange.task.id);
    this.#timer ??= setTimeout(() => {
      void this.#unlinkAnswered();
    }, UNLINK_MS);
    if (hasBody(exchange)) {
      const { id } = exchange.task;
      void this.#do(`${id} body`, () => this.#removeBody(id));
    }
  }

  /** No client waits any more: removes the queue entry and tells the worker to stop. Redis refuses its later frames. */
  abandoned(exchange: Exchange): void {
    void this.#do(exchange.task.id, () => this.#abandon(exchange));
  }

  async #abandon(exchange: Exchange): Promise<void> {
    const { id } = exchange.task;
    const { entry, queue } = exchange;
    const worker = exchange.isRequeued ? undefined : exchange.worker;
    const work = [this.#removeReplies([id]), this.#stores.control.cancel(id, worker)];
    if (hasBody(exchange)) work.push(this.#removeBody(id));
    if (entry !== undefined && worker === undefined)
      work.push(this.#withdraw(queue, { entry, task: id }, exchange.startedAt));
    await Promise.all(work);
  }

  async #unlinkAnswered(): Promise<void> {
    const tasks = this.#answered;
    this.#answered = [];
    this.#timer = undefined;
    await this.#do(`${tasks[0]} answered`, () => this.#removeReplies(tasks));
  }

  async #removeReplies(tasks: readonly string[]): Promise<void> {
    return this.#remove(async () => this.#stores.replies.drop(tasks));
  }

  async #removeBody(task: string): Promise<void> {
    return this.#remove(async () => this.#stores.bodies.drop(task));
  }

  /** Where another master has taken over since the task came, its entry may be another task's. */
  async #withdraw(queue: string, ended: EndedTask, since: number): Promise<void> {
    const again = async (): Promise<void> => this.#stores.queue.withdrawAgain(queue, ended);
    const first = async (): Promise<void> => this.#stores.queue.withdraw(queue, ended.entry);
    await this.#remove(since > this.#movedAt ? first : again, again);
  }

  /** @param again the repetition, where a new master may have another task's entry in its place */
  async #remove(remove: () => Promise<void>, again: () => Promise<void> = remove): Promise<void> {
    await remove();
    this.#forgetRemovals();
    this.#count += 1;
    this.#removals.push({ at: this.#awake(), name: `again ${this.#count}`, remove: again });
  }

  #forgetRemovals(): void {
    const since = (this.#awaySince ?? this.#awake()) - MEMORY_MS;
    const young = this.#removals.findIndex(({ at }) => at >= since);
    this.#removals.splice(0, young === -1 ? this.#removals.length : young);
  }

  async #repeat(): Promise<void> {
    this.#forgetRemovals();
    const again = this.#removals.map(async ({ name, remove }) => this.#do(name, remove));
    if (this.#answered.length > 0) {
      clearTimeout(this.#timer);
      again.push(this.#unlinkAnswered());
    }
    await Promise.all([...again, this.#retryFailed()]);
  }

  async #do(name: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch {
      if (this.#stopped) return;
      this.#retries.set(name, work);
      // Redis may have refused without a cut, for instance while it loads its data: then no reconnect follows.
      this.#retry ??= setTimeout(() => void this.#retryFailed(), RETRY_MS);
    }
  }

  async #retryFailed(): Promise<void> {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    const failed = [...this.#retries];
    this.#retries.clear();
    await Promise.all(failed.map(async ([name, work]) => this.#do(name, work)));
    if (this.#retries.size === 0) this.#onRetried?.();
  }
}

/** True when the body of the request lies under its own key. */
function hasBody(exchange: Exchange): boolean {
  return exchange.bodyBytes > INLINE_BYTES;
}
