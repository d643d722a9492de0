import type { Stores } from "../redis/stores.ts";

/** Most queues whose groups are remembered. Beyond that, all groups are created again, which costs a command each. */
const MOST_REMEMBERED = 20_000;

/** Creates the consumer groups of queues, and remembers the ones that exist. */
export class QueueGroups {
  readonly #stores: Pick<Stores, "queue">;
  readonly #known = new Set<string>();

  constructor(stores: Pick<Stores, "queue">) {
    this.#stores = stores;
  }

  /** Rejects with `redis_down`. */
  async ensure(queues: readonly string[]): Promise<void> {
    const fresh = queues.filter((queue) => !this.#known.has(queue));
    // A backend that lists other models at each check must not fill the memory.
    if (this.#known.size > MOST_REMEMBERED) this.#known.clear();
    await Promise.all(fresh.map(async (queue) => this.#stores.queue.ensureGroup(queue)));
    for (const queue of fresh) this.#known.add(queue);
  }

  /** Forgets the groups: a Redis that lost its data has none. */
  clear(): void {
    this.#known.clear();
  }
}
