import type { EndedTask } from "../redis/task-stream.ts";

/** What ended so lately, ms, is remembered. */
const MEMORY_MS = 10_000;

/** More than these, some MB, are not remembered. */
const MOST = 20_000;

/** The tasks that this worker ended lately, the oldest first: a new master may not have heard of it. */
export class RecentlyEnded {
  readonly #mono: () => number;
  readonly #ends = new Map<string, EndedTask & { readonly model: string; readonly at: number }>();

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
    const at = this.#mono();
    for (const { task, entry } of ended) {
      // One that ended before, as another delivery, becomes the youngest.
      this.#ends.delete(task);
      this.#ends.set(task, { task, entry, model, at });
    }
    this.#forget();
  }

  /** True when this very delivery of the task ended here. */
  has({ task, entry }: EndedTask): boolean {
    return this.#ends.get(task)?.entry === entry;
  }

  byModel(): Map<string, EndedTask[]> {
    this.#forget();
    return Map.groupBy(this.#ends.values(), ({ model }) => model);
  }

  #forget(): void {
    const before = (this.#awaySince ?? this.#mono()) - MEMORY_MS;
    for (const [task, { at }] of this.#ends) {
      if (at >= before && this.#ends.size <= MOST) break;
      this.#ends.delete(task);
    }
  }
}
