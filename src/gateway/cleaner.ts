import { dropBody, INLINE_BYTES } from "../redis/body.ts";
import type { Connection } from "../redis/connection.ts";
import { publishCancel } from "../redis/control.ts";
import type { Keys } from "../redis/keys.ts";
import { dropReplies } from "../redis/reply-stream.ts";
import { withdraw, withdrawAgain } from "../redis/task-stream.ts";
import type { EndedTask } from "../redis/task-stream.ts";
import type { Exchange } from "./exchange.ts";

/** Reply streams of answered tasks are unlinked together, this often (ms). */
const UNLINK_MS = 20;

/** What Redis did not take is tried again this often (ms), and at the reconnect. */
const RETRY_MS = 1000;

/** What was removed so lately, ms, is removed again after a reconnect: a new master may not have heard of it. */
const MEMORY_MS = 10_000;

/**
 * Removes from Redis what is left of ended tasks. What cannot be removed because Redis is away is removed when it is
 * back: else a worker would go on for a client that left during the outage.
 */
export class Cleaner {
  readonly #connection: Connection;
  readonly #keys: Keys;
  #answered: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #stopped = false;
  /** Work that Redis has not confirmed, by task. */
  readonly #owed = new Map<string, () => Promise<unknown>>();
  readonly #mono: () => number;
  /** The latest removals, the oldest first. */
  readonly #removals: { readonly at: number; readonly name: string; readonly remove: () => Promise<void> }[] =
    [];
  #count = 0;
  /** Mono ms since when Redis has been away: what it was told last is remembered until it is back. */
  #awaySince: number | undefined;
  /** Mono ms when another master took over, or Redis was started again. */
  #movedAt = Number.NEGATIVE_INFINITY;
  /** What the latest reconnect began. */
  #repeating: Promise<void> | undefined;
  #onPaid: (() => void) | undefined;

  constructor(options: { connection: Connection; keys: Keys; mono: () => number }) {
    this.#connection = options.connection;
    this.#keys = options.keys;
    this.#mono = options.mono;
    options.connection.onDown(() => {
      this.#awaySince ??= this.#mono();
    });
    options.connection.onReconnect((moved) => {
      if (moved) this.#movedAt = this.#mono();
      this.#repeating = this.#repeat();
      this.#awaySince = undefined;
    });
  }

  /** After a reconnect: resolves when Redis knows all that was removed before it, for good if that takes long. */
  async settled(): Promise<void> {
    await this.#repeating;
    while (this.#owed.size > 0) {
      const paid = Promise.withResolvers<void>();
      this.#onPaid = paid.resolve;
      await paid.promise;
    }
  }

  /** Sends what has gathered. What Redis does not take any more expires by itself. */
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

  /** Nobody waits any more: the queue entry goes, the worker is told, and what it still emits is refused. */
  abandoned(exchange: Exchange): void {
    void this.#do(exchange.task.id, () => this.#abandon(exchange));
  }

  async #abandon(exchange: Exchange): Promise<void> {
    const { id } = exchange.task;
    const { entry, queue } = exchange;
    const worker = exchange.requeued ? undefined : exchange.worker;
    const connection = this.#connection;
    const keys = this.#keys;
    const work = [this.#removeReplies([id]), publishCancel(connection, keys, id, worker)];
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
    return this.#remove(async () => dropReplies(this.#connection, this.#keys, tasks));
  }

  async #removeBody(task: string): Promise<void> {
    return this.#remove(async () => dropBody(this.#connection, this.#keys, task));
  }

  /** Where another master has taken over since the task came, its entry may be another task's. */
  async #withdraw(queue: string, ended: EndedTask, since: number): Promise<void> {
    const connection = this.#connection;
    const keys = this.#keys;
    const again = async (): Promise<void> => withdrawAgain(connection, keys, queue, ended);
    const first = async (): Promise<void> => withdraw(connection, keys, queue, ended.entry);
    await this.#remove(since > this.#movedAt ? first : again, again);
  }

  /** @param again how it is repeated, where a new master may have something else in its place */
  async #remove(remove: () => Promise<void>, again: () => Promise<void> = remove): Promise<void> {
    await remove();
    this.#forgetRemovals();
    this.#count += 1;
    this.#removals.push({ at: this.#mono(), name: `again ${this.#count}`, remove: again });
  }

  #forgetRemovals(): void {
    const since = (this.#awaySince ?? this.#mono()) - MEMORY_MS;
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
    await Promise.all([...again, this.#pay()]);
  }

  async #do(name: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch {
      if (this.#stopped) return;
      this.#owed.set(name, work);
      // Redis may have refused (it loads its data, say) without a cut: then no reconnect follows.
      this.#retry ??= setTimeout(() => void this.#pay(), RETRY_MS);
    }
  }

  async #pay(): Promise<void> {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    const owed = [...this.#owed];
    this.#owed.clear();
    await Promise.all(owed.map(async ([name, work]) => this.#do(name, work)));
    if (this.#owed.size === 0) this.#onPaid?.();
  }
}

/** True when the body of the request lies under its own key. */
function hasBody(exchange: Exchange): boolean {
  return exchange.bodyBytes > INLINE_BYTES;
}
