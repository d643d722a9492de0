import type { Ambient } from "../core/ambient.ts";
import { IdTable } from "../core/id-table.ts";
import { append } from "../core/long-lists.ts";
import type { Connection } from "../redis/connection/connection.ts";
import type { Stores } from "../redis/stores.ts";
import type { EndedTask } from "../redis/task-queue.ts";

export interface AcknowledgerOptions {
  readonly connection: Connection;
  readonly stores: Pick<Stores, "queue">;
  readonly ambient: Pick<Ambient, "mono">;
  /** Returns monotonic time without the time in which this process stood still (ms); absent: `ambient.mono`. */
  readonly awake?: () => number;
}

/**
 * Acknowledges ended tasks. The tasks of one event-loop turn go together (1.4 instead of 3 us of Redis each).
 *
 * After a failover, or a restart of Redis, the tasks of the last seconds may be queued again: they are searched for, and
 * acknowledged again. Redis may also have given the entry ids of earlier tasks to others. So a task that was claimed
 * before is acknowledged only where its entry still is that task.
 */
export class Acknowledger {
  readonly #options: AcknowledgerOptions;
  readonly #recent: RecentlyEnded;
  #waiting: Waiting = new Map();
  /** Tasks that Redis did not take. They are remembered already. */
  #unsent: Waiting = new Map();
  /** Tasks of the time before a failover: acknowledged where the entry still is that task. */
  #unchecked: Waiting = new Map();
  /** Mono ms of the failover. */
  #movedAt = Number.NEGATIVE_INFINITY;
  #scheduled = false;

  constructor(options: AcknowledgerOptions) {
    this.#options = options;
    this.#recent = new RecentlyEnded({ mono: options.awake ?? options.ambient.mono });
    options.connection.onDown(() => {
      this.#recent.away();
    });
    options.connection.onReconnect((moved) => {
      if (moved) this.#moved();
      this.#recent.back();
      this.#schedule();
    });
  }

  /**
   * Acknowledges an entry that is answered, or whose client is gone.
   * @param task its id; empty when it has none
   * @param heldSince mono ms of its claim; absent when that was just now
   */
  add(model: string, entry: string, task: string, heldSince: number = Number.POSITIVE_INFINITY): void {
    const ended = { entry, task };
    if (heldSince > this.#movedAt) put(this.#waiting, model, [ended]);
    else {
      this.#recent.add(model, [ended]);
      put(this.#unchecked, model, [ended]);
    }
    this.#schedule();
  }

  /** True when this delivery of the task ended here a moment ago. */
  hasEnded(delivery: EndedTask): boolean {
    return this.#recent.has(delivery);
  }

  /** Sends what is waiting; resolves when Redis has it or is away. */
  async flush(): Promise<void> {
    this.#scheduled = false;
    const [waiting, unsent, unchecked] = [this.#waiting, this.#unsent, this.#unchecked];
    this.#waiting = new Map();
    this.#unsent = new Map();
    this.#unchecked = new Map();
    for (const [model, ended] of waiting) this.#recent.add(model, ended);
    const sent: Promise<void>[] = [];
    for (const [model, ended] of [...unsent, ...waiting]) sent.push(this.#send(model, ended));
    for (const [model, ended] of unchecked) sent.push(this.#sendChecked(model, ended));
    await Promise.all(sent);
  }

  #schedule(): void {
    const isNone = this.#waiting.size + this.#unsent.size + this.#unchecked.size === 0;
    if (this.#scheduled || isNone) return;
    this.#scheduled = true;
    setImmediate(() => {
      void this.flush();
    });
  }

  async #send(model: string, ended: readonly EndedTask[]): Promise<void> {
    const movedAt = this.#movedAt;
    try {
      await this.#options.stores.queue.acknowledge(
        model,
        ended.map(({ entry }) => entry),
      );
    } catch {
      // Kept for the reconnect. If this process dies first, a sweep finds them answered.
      put(movedAt === this.#movedAt ? this.#unsent : this.#unchecked, model, ended);
    }
  }

  async #sendChecked(model: string, ended: readonly EndedTask[]): Promise<void> {
    try {
      const { queue } = this.#options.stores;
      const queued = await queue.stillQueued(model, ended);
      if (queued.length > 0) await queue.acknowledge(model, queued);
    } catch {
      put(this.#unchecked, model, ended);
    }
  }

  /** Another master has taken over, or Redis was started again. */
  #moved(): void {
    this.#movedAt = this.#options.ambient.mono();
    const unchecked = this.#recent.byModel();
    for (const [model, ended] of [...this.#waiting, ...this.#unsent, ...this.#unchecked]) {
      put(
        unchecked,
        model,
        ended.filter((one) => !this.#recent.has(one)),
      );
    }
    this.#waiting = new Map();
    this.#unsent = new Map();
    this.#unchecked = unchecked;
  }
}

/** Ended tasks by model. */
type Waiting = Map<string, EndedTask[]>;

function put(waiting: Waiting, model: string, ended: readonly EndedTask[]): void {
  const some = waiting.get(model);
  if (some === undefined) waiting.set(model, [...ended]);
  else append(some, ended);
}

/** Time for which an ended task is remembered (ms). */
const MEMORY_MS = 10_000;

/** Most tasks that are remembered: some MB. */
const MOST_REMEMBERED = 20_000;

/** Tasks of one model that ended at once. */
interface Group {
  readonly model: string;
  readonly ended: readonly EndedTask[];
  readonly at: number;
}

/**
 * The tasks that this worker ended lately, the oldest first: a new master may not know of their ends. They are kept in
 * groups, as they ended. An index exists only while it is used: a map of all tasks cost 1.6 us for each.
 */
export class RecentlyEnded {
  readonly #ambient: Pick<Ambient, "mono">;
  readonly #groups: Group[] = [];
  /** Count of the groups that are forgotten and still there. */
  #forgotten = 0;
  /** Tasks in the others. */
  #size = 0;
  /** The latest delivery of each task. */
  #index: IdTable<EndedTask> | undefined;
  /** Mono ms of the last use of the index. */
  #usedAt = 0;

  /** Mono ms since when Redis has been away. */
  #awaySince: number | undefined;

  constructor(ambient: Pick<Ambient, "mono">) {
    this.#ambient = ambient;
  }

  /** Redis is away: the last tasks before that are remembered until it is {@link back}, whatever the time. */
  away(): void {
    this.#awaySince ??= this.#ambient.mono();
  }

  back(): void {
    this.#awaySince = undefined;
  }

  /** To be called once for each end. */
  add(model: string, ended: readonly EndedTask[]): void {
    this.#groups.push({ model, ended, at: this.#ambient.mono() });
    this.#size += ended.length;
    for (const one of ended) this.#index?.set(one.task, one);
    this.#forget();
  }

  /** True when this very delivery of the task ended here. */
  has({ task, entry }: EndedTask): boolean {
    this.#forget();
    this.#usedAt = this.#ambient.mono();
    this.#index ??= this.#indexed();
    return this.#index.get(task)?.entry === entry;
  }

  byModel(): Map<string, EndedTask[]> {
    this.#forget();
    const models = Map.groupBy(this.#groups.slice(this.#forgotten), ({ model }) => model);
    return new Map([...models].map(([model, groups]) => [model, groups.flatMap(({ ended }) => ended)]));
  }

  #indexed(): IdTable<EndedTask> {
    const index = new IdTable<EndedTask>();
    for (const { ended } of this.#groups.slice(this.#forgotten)) {
      for (const one of ended) index.set(one.task, one);
    }
    return index;
  }

  #forget(): void {
    const now = this.#ambient.mono();
    if (this.#index !== undefined && now - this.#usedAt > MEMORY_MS) this.#index = undefined;
    const before = (this.#awaySince ?? now) - MEMORY_MS;
    for (;;) {
      const oldest = this.#groups[this.#forgotten];
      if (oldest === undefined) break;
      const tooMany = oldest.at < before ? Infinity : this.#size - MOST_REMEMBERED;
      if (tooMany <= 0) break;
      this.#forgetSome(oldest, tooMany);
    }
    if (this.#forgotten * 2 <= this.#groups.length) return;
    this.#groups.splice(0, this.#forgotten);
    this.#forgotten = 0;
  }

  #forgetSome(oldest: Group, count: number): void {
    const kept = oldest.ended.slice(count);
    for (const one of this.#index === undefined ? [] : oldest.ended.slice(0, count)) this.#unlist(one);
    this.#size -= oldest.ended.length - kept.length;
    if (kept.length > 0) this.#groups[this.#forgotten] = { ...oldest, ended: kept };
    else this.#forgotten += 1;
  }

  #unlist(ended: EndedTask): void {
    if (this.#index?.get(ended.task) === ended) this.#index.delete(ended.task);
  }
}
