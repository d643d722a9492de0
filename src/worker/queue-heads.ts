import type { Ambient } from "../core/ambient.ts";
import type { QueueHead } from "../redis/placed-consumer.ts";

interface Head {
  readonly entry: string | undefined;
  /** Mono ms; undefined when none waits. */
  readonly since: number | undefined;
  readonly delivered: string;
  /** Mono ms at which another worker was last seen to claim. */
  readonly movedAt: number;
}

/** The tasks that wait for one backend: the heads of its models' queues, and requeued tasks that found no room. */
export class QueueHeads {
  readonly #ambient: Pick<Ambient, "mono">;
  readonly #heads = new Map<string, Head>();
  /** Models of which a requeued task waits, and since when (mono ms). */
  readonly #wanted = new Map<string, number>();

  constructor(ambient: Pick<Ambient, "mono">) {
    this.#ambient = ambient;
  }

  /** Mono ms since which a task of a model waits; undefined when none is known to. */
  waitingSince(model: string): number | undefined {
    const since = this.#heads.get(model)?.since;
    const wanted = this.#wanted.get(model);
    return since === undefined || wanted === undefined ? (since ?? wanted) : Math.min(since, wanted);
  }

  /** Mono ms at which another worker was last seen to claim from a queue; -Infinity for never. */
  movedAt(model: string): number {
    return this.#heads.get(model)?.movedAt ?? -Infinity;
  }

  /** True when a task in the queue waits that can be claimed. */
  isQueued(model: string): boolean {
    return this.#heads.get(model)?.since !== undefined;
  }

  /** Records heads as Redis returned them. @param isLoaded true for a model that is loaded here: its queue moves anyway */
  record(heads: readonly QueueHead[], isLoaded: (model: string) => boolean): void {
    const now = this.#ambient.mono();
    for (const { model, entry, ageMs, delivered } of heads) {
      const before = this.#heads.get(model);
      const isSame = before !== undefined && before.entry === entry;
      const age = entry === undefined ? undefined : now - ageMs;
      const moved = before !== undefined && before.delivered !== delivered && !isLoaded(model);
      this.#heads.set(model, {
        entry,
        // A clock of Redis that steps does not make it older.
        since: isSame ? before.since : age,
        delivered,
        // Other workers serve it: it does not starve, however long its queue is.
        movedAt: moved ? now : (before?.movedAt ?? -Infinity),
      });
    }
  }

  /** Records whether a requeued task of the model waits for room here. Returns true when that is a change. */
  want(model: string, wanted: boolean): boolean {
    if (this.#wanted.has(model) === wanted) return false;
    if (wanted) this.#wanted.set(model, this.#ambient.mono());
    else this.#wanted.delete(model);
    return true;
  }

  /** Forgets the heads of queues that are not read now: other workers may serve them. @param open keys that are read */
  keepOpen(open: ReadonlySet<string>): void {
    for (const [key, head] of this.#heads) {
      if (head.entry !== undefined && !open.has(key)) {
        this.#heads.set(key, { ...head, entry: undefined, since: undefined });
      }
    }
  }

  /** Forgets all heads: they grow old where none is read any more. */
  clear(): void {
    this.#heads.clear();
  }

  /** Forgets models that the filter does not pass. */
  keep(isKept: (model: string) => boolean): void {
    for (const table of [this.#heads, this.#wanted]) {
      for (const key of table.keys()) if (!isKept(key)) table.delete(key);
    }
  }
}
