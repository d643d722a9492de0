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

/** The tasks that this worker ended lately, the oldest first: a new master may not have heard of it. */
export class RecentlyEnded {
  readonly #mono: () => number;
  readonly #groups: Group[] = [];
  /** How many of the groups are forgotten and still there. */
  #forgotten = 0;
  /** Tasks in the others. */
  #size = 0;

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

  add(model: string, ended: readonly EndedTask[]): void {
    this.#groups.push({ model, ended, at: this.#mono() });
    this.#size += ended.length;
    this.#forget();
  }

  /** True when this very delivery of the task ended here. */
  has({ task, entry }: EndedTask): boolean {
    return this.#remembered().some(({ ended }) =>
      ended.some((one) => one.task === task && one.entry === entry),
    );
  }

  byModel(): Map<string, EndedTask[]> {
    const models = Map.groupBy(this.#remembered(), ({ model }) => model);
    return new Map([...models].map(([model, groups]) => [model, groups.flatMap(({ ended }) => ended)]));
  }

  #remembered(): readonly Group[] {
    this.#forget();
    return this.#groups.slice(this.#forgotten);
  }

  #forget(): void {
    const before = (this.#awaySince ?? this.#mono()) - MEMORY_MS;
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
    const ended = oldest.ended.slice(count);
    this.#size -= oldest.ended.length - ended.length;
    if (ended.length > 0) this.#groups[this.#forgotten] = { ...oldest, ended };
    else this.#forgotten += 1;
  }
}
