import { IdTable } from "../core/id-table.ts";
import type { EndedTask } from "../redis/task-stream.ts";

/** What ended so lately, ms, is remembered. */
const MEMORY_MS = 10_000;

/** More than these, some MB, are not remembered. */
const MOST = 20_000;

/** Tasks of one model that ended at once. */
interface Group {
  readonly model: string;
  readonly ended: readonly EndedTask[];
  readonly at: number;
}

/**
 * The tasks that this worker ended lately, the oldest first: a new master may not have heard of it. Groups, as they
 * ended, and an index only while somebody asks: a map of tasks took 1.6 us of each.
 */
export class RecentlyEnded {
  readonly #mono: () => number;
  readonly #groups: Group[] = [];
  /** How many of the groups are forgotten and still there. */
  #forgotten = 0;
  /** Tasks in the others. */
  #size = 0;
  /** The latest delivery of each task. */
  #index: IdTable<EndedTask> | undefined;
  /** Mono ms when somebody asked last. */
  #askedAt = 0;

  /** Mono ms since when Redis has been away. */
  #awaySince: number | undefined;

  constructor(mono: () => number) {
    this.#mono = mono;
  }

  /** Redis is away: what it was told last is remembered until it is {@link back}, however long that takes. */
  away(): void {
    this.#awaySince ??= this.#mono();
  }

  back(): void {
    this.#awaySince = undefined;
  }

  /** To be called once for each end. */
  add(model: string, ended: readonly EndedTask[]): void {
    this.#groups.push({ model, ended, at: this.#mono() });
    this.#size += ended.length;
    for (const one of ended) this.#index?.set(one.task, one);
    this.#forget();
  }

  /** True when this very delivery of the task ended here. */
  has({ task, entry }: EndedTask): boolean {
    this.#forget();
    this.#askedAt = this.#mono();
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
    const now = this.#mono();
    if (this.#index !== undefined && now - this.#askedAt > MEMORY_MS) this.#index = undefined;
    const before = (this.#awaySince ?? now) - MEMORY_MS;
    for (;;) {
      const oldest = this.#groups[this.#forgotten];
      if (oldest === undefined) break;
      const tooMany = oldest.at < before ? Infinity : this.#size - MOST;
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
