import { readClocks } from "../../redis/inspect/clock.ts";
import type { Connection } from "../../redis/connection/connection.ts";
import type { Stores } from "../../redis/stores.ts";
import { least } from "../../core/long-lists.ts";

export interface JanitorOptions {
  readonly connection: Connection;
  readonly stores: Pick<Stores, "abandoned" | "registry">;
  /** Names this gateway. */
  readonly tag: string;
  readonly now: () => number;
  /** Time in which a model without workers is still known, ms. */
  readonly memoryMs: number;
}

/** The silent workers and gateways of one check. */
interface Silence {
  /** Names of queues without a worker. */
  readonly models: ReadonlySet<string>;
  /** Tags of gateways with something in the queues of such models. */
  readonly tags: Set<string>;
}

/**
 * Removes stale announcements, and abandoned tasks in queues that no worker reads, from Redis.
 *
 * Announcements can expire while their processes are well: when Redis's clock is put forward, after an outage, or while
 * Redis refuses writes. So a process counts as gone only when it was missing at the last check too. No process does
 * while this gateway's own announcement is missing.
 */
export class Janitor {
  readonly #options: JanitorOptions;
  #before: Silence = { models: new Set(), tags: new Set() };

  constructor(options: JanitorOptions) {
    this.#options = options;
  }

  /**
   * Call at intervals longer than one announcement period. Rejects with `redis_down`.
   * @param served names of the queues that workers read now
   */
  async removeStale(served: ReadonlySet<string>): Promise<void> {
    const { connection, stores, tag: own, memoryMs } = this.#options;
    const now = this.#options.now();
    const before = this.#before;
    // If a step below fails, the unchecked names do not count as silent.
    const silence = { models: new Set<string>(), tags: new Set<string>() };
    this.#before = silence;
    const clock = least(await readClocks(connection));
    for (const model of (await stores.registry.rememberedModels(0)).difference(served)) {
      silence.models.add(model);
      const gone = async (tags: readonly string[]): Promise<ReadonlySet<string>> => {
        const seen = await this.#missing(tags);
        for (const tag of seen) silence.tags.add(tag);
        return before.models.has(model) ? seen.intersection(before.tags) : new Set();
      };
      await stores.abandoned.drop(model, { own, now, clock, gone });
    }
    await stores.registry.removeUnserved(now - memoryMs);
  }

  /** Returns the gateway tags that have no announcement. */
  async #missing(tags: readonly string[]): Promise<ReadonlySet<string>> {
    const { stores, tag: own } = this.#options;
    const alive = await stores.registry.gatewaysAlive([own, ...tags]);
    return alive.has(own) ? new Set(tags).difference(alive) : new Set();
  }
}
