import { dropAbandoned } from "../redis/abandoned.ts";
import { readClocks } from "../redis/clock.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { gatewaysAlive, rememberedModels, tidyRegistry } from "../redis/registry.ts";
import { least } from "../core/long-lists.ts";

export interface TidierOptions {
  readonly connection: Connection;
  readonly keys: Keys;
  /** This gateway's own. */
  readonly tag: string;
  readonly now: () => number;
  /** How long a model without workers is still known. */
  readonly memoryMs: number;
}

/** Who was silent at a look. */
interface Silence {
  /** Names of queues without a worker. */
  readonly models: ReadonlySet<string>;
  /** Tags of gateways with something in the queues of such models. */
  readonly tags: Set<string>;
}

/**
 * Removes from Redis what fell silent, and what waits for nobody in queues that no worker reads.
 *
 * Announcements expire by Redis's clock while those who renew them are well: when it is put forward, after an outage,
 * or while Redis refuses what is written. So nobody is taken for gone who was not gone at the last look, too, nor as
 * long as this gateway's own announcement is missing.
 */
export class Tidier {
  readonly #options: TidierOptions;
  #before: Silence = { models: new Set(), tags: new Set() };

  constructor(options: TidierOptions) {
    this.#options = options;
  }

  /**
   * To be called now and then, longer apart than anybody takes to announce himself again. Rejects with `redis_down`.
   * @param served names of the queues that workers read now
   */
  async tidy(served: ReadonlySet<string>): Promise<void> {
    const { connection, keys, tag: own, memoryMs } = this.#options;
    const now = this.#options.now();
    const before = this.#before;
    // Whatever fails from here on: what was not looked at now was not seen to be silent.
    const silence = { models: new Set<string>(), tags: new Set<string>() };
    this.#before = silence;
    const clock = least(await readClocks(connection));
    for (const model of (await rememberedModels(connection, keys, 0)).difference(served)) {
      silence.models.add(model);
      const gone = async (tags: readonly string[]): Promise<ReadonlySet<string>> => {
        const seen = await this.#missing(tags);
        for (const tag of seen) silence.tags.add(tag);
        return before.models.has(model) ? seen.intersection(before.tags) : new Set();
      };
      await dropAbandoned(connection, keys, model, { own, now, clock, gone });
    }
    await tidyRegistry(connection, keys, now - memoryMs);
  }

  /** Of these tags of gateways those without an announcement. */
  async #missing(tags: readonly string[]): Promise<ReadonlySet<string>> {
    const { connection, keys, tag: own } = this.#options;
    const alive = await gatewaysAlive(connection, keys, [own, ...tags]);
    return alive.has(own) ? new Set(tags).difference(alive) : new Set();
  }
}
