import type { Connection } from "./connection/connection.ts";
import { replyErrorCode } from "./connection/reply-error.ts";
import { asArray, asEntries, asText } from "./connection/resp.ts";
import { GROUP } from "./keys.ts";
import type { Keys } from "./keys.ts";
import { toPending } from "./pending.ts";
import type { PendingEntry } from "./pending.ts";
import { toTasks } from "./task-queue.ts";
import type { QueuedTask } from "./task-queue.ts";
import { HAND_BACK, run, runInOrder, TIDY } from "./scripts.ts";

/** Silent tasks, and the consumer that takes them over. */
interface TakeOver {
  readonly model: string;
  readonly consumer: string;
  readonly idleMs: number;
  readonly entries: readonly string[];
}

/** Pending entries read by one command. 1,000 take Redis about 0.3 ms. */
const PENDING_PER_READ = 1000;

/** Leases of claimed tasks: the pending entries of the consumer group of a queue. */
export class TaskLeases {
  readonly #connection: Connection;
  readonly #keys: Keys;

  constructor(connection: Connection, keys: Keys) {
    this.#connection = connection;
    this.#keys = keys;
  }

  /** The lease of an entry, whether it still runs or not; undefined for an entry that was never claimed. */
  async pending(queue: string, entry: string): Promise<PendingEntry | undefined> {
    try {
      const reply = await this.#connection.command(
        "XPENDING",
        this.#keys.queue(queue),
        GROUP,
        entry,
        entry,
        "1",
      );
      return asArray(reply).map(toPending)[0];
    } catch (error) {
      // No worker has read this queue since it was created or lost its data.
      if (replyErrorCode(error) === "NOGROUP") return undefined;
      throw error;
    }
  }

  /** All entries that were claimed and not acknowledged, by id. They are no more than workers have slots. */
  async allPending(queue: string): Promise<ReadonlyMap<string, PendingEntry>> {
    const key = this.#keys.queue(queue);
    const found = new Map<string, PendingEntry>();
    const count = String(PENDING_PER_READ);
    for (let from = "-"; ;) {
      const some = asArray(await this.#connection.command("XPENDING", key, GROUP, from, "+", count)).map(
        toPending,
      );
      for (const one of some) found.set(one.entry, one);
      const last = some.at(-1);
      if (last === undefined || some.length < PENDING_PER_READ) return found;
      from = `(${last.entry}`;
    }
  }

  /** Renews the leases of tasks: their idle time starts again, their delivery count stays. */
  async renew(lease: {
    readonly model: string;
    readonly consumer: string;
    readonly entries: readonly string[];
  }): Promise<void> {
    const key = this.#keys.queue(lease.model);
    await this.#connection.command("XCLAIM", key, GROUP, lease.consumer, "0", ...lease.entries, "JUSTID");
  }

  /** Entries that one consumer holds, also after an outage longer than its leases. */
  async heldBy(search: {
    readonly model: string;
    readonly consumer: string;
    readonly count: number;
  }): Promise<Set<string>> {
    const { model, consumer } = search;
    const count = String(search.count);
    const args = [this.#keys.queue(model), GROUP, "-", "+", count, consumer];
    const reply = await this.#connection.command("XPENDING", ...args);
    return new Set(asArray(reply).map((item) => asText(asArray(item)[0])));
  }

  /**
   * Tasks whose lease was not renewed for `idleMs`, of all workers or of one. Each takes Redis 0.08 us.
   * Requeued tasks count as silent for {@link REQUEUED_MS}.
   */
  async silent(search: {
    readonly model: string;
    readonly idleMs: number;
    readonly consumer?: string;
  }): Promise<PendingEntry[]> {
    const { model, idleMs, consumer } = search;
    const range = ["IDLE", String(idleMs), "-", "+", "100", ...(consumer === undefined ? [] : [consumer])];
    const reply = await this.#connection.command("XPENDING", this.#keys.queue(model), GROUP, ...range);
    return asArray(reply).map(toPending);
  }

  /** Takes silent tasks over. Tasks that ended, or that another worker took first, are left out. */
  async takeOver(claim: TakeOver): Promise<QueuedTask[]> {
    return this.#claimSilent(claim, []);
  }

  /**
   * Takes tasks that Redis gave to this consumer in an answer that was lost. That counts as no delivery.
   * @param countOf delivery count that is left to an entry
   */
  async takeBack(claim: TakeOver, countOf: (entry: string) => number): Promise<QueuedTask[]> {
    const taken = [...Map.groupBy(claim.entries, countOf)].map(async ([count, entries]) =>
      this.#claimSilent({ ...claim, entries }, ["RETRYCOUNT", String(count)]),
    );
    return (await Promise.all(taken)).flat();
  }

  async #claimSilent(
    { model, consumer, idleMs, entries }: TakeOver,
    options: readonly string[],
  ): Promise<QueuedTask[]> {
    const args = [GROUP, consumer, String(idleMs), ...entries, ...options];
    return toTasks(
      model,
      asEntries(await this.#connection.command("XCLAIM", this.#keys.queue(model), ...args)),
    );
  }

  /**
   * Requeues a task: the next sweep of any worker takes it.
   * Resolves with false when the consumer no longer holds it. Nothing changes then.
   * @param lease.deliveries delivery count that is left to it; unchanged when absent
   */
  async requeue(lease: {
    readonly model: string;
    readonly entry: string;
    readonly consumer: string;
    readonly deliveries?: number;
  }): Promise<boolean> {
    const { model, entry, consumer, deliveries } = lease;
    const count = deliveries === undefined ? [] : [String(deliveries)];
    const args = [GROUP, consumer, entry, ...count];
    return (await runInOrder(this.#connection, HAND_BACK, [this.#keys.queue(model)], args)) === 1;
  }

  /** Removes a consumer that has nothing pending. */
  async dropConsumer(model: string, consumer: string): Promise<void> {
    const held = await this.heldBy({ model, consumer, count: 1 });
    if (held.size === 0)
      await this.#connection.command("XGROUP", "DELCONSUMER", this.#keys.queue(model), GROUP, consumer);
  }

  /** Removes consumers of lost workers: without pending entries, and idle for at least `idleMs`. */
  async dropIdleConsumers(model: string, idleMs: number): Promise<void> {
    await run(this.#connection, TIDY, [this.#keys.queue(model)], [GROUP, String(idleMs)]);
  }
}
