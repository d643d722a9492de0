import type { WorkerAnnouncement } from "../../core/fleet.ts";
import { abilityOf, queuesOf } from "../../core/ability.ts";
import { offeredModels } from "../../core/offers.ts";
import { modelKey } from "../../core/model.ts";
import type { ModelCard } from "../../core/model.ts";
import { greatest } from "../../core/long-lists.ts";
import { ANNOUNCE_MS } from "../../redis/registry.ts";
import type { Registry } from "../../redis/registry.ts";
import type { Stores } from "../../redis/stores.ts";
import { Janitor } from "./janitor.ts";
import type { JanitorOptions } from "./janitor.ts";

/** Pause between two removals of stale keys from Redis, ms. */
const REMOVE_STALE_MS = 60_000;

/**
 * Time in which the ability queue of a served model counts as read after its last worker has left, ms. A worker that
 * starts again is back by then.
 */
const READER_MEMORY_MS = 60_000;

/** The models of the fleet, as this gateway last saw them. */
export class Catalogue {
  readonly #stores: Pick<Stores, "registry">;
  readonly #now: () => number;
  readonly #memoryMs: number;
  readonly #janitor: Janitor;
  #workers: readonly WorkerAnnouncement[] = [];
  #cards = new Map<string, ModelCard[]>();
  #offered: ReadonlySet<string> = new Set();
  #remembered = new Set<string>();
  /** Model key -> wall clock ms when this gateway last saw it served: a Redis that lost its data remembers nothing. */
  readonly #seen = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #removing: NodeJS.Timeout | undefined;
  #refreshing: Promise<void> | undefined;
  readonly #onRefresh: (() => void)[] = [];

  constructor(options: JanitorOptions) {
    this.#stores = options.stores;
    this.#now = options.now;
    this.#memoryMs = options.memoryMs;
    this.#janitor = new Janitor(options);
  }

  /**
   * Loads once, then keeps itself fresh. Rejects with `redis_down` when the first load fails.
   * @param channel a registry of a connection for subscriptions
   */
  async start(channel: Pick<Registry, "onFleetChange">): Promise<void> {
    await channel.onFleetChange(() => {
      this.#refreshSoon();
    });
    await this.refresh();
    this.#timer = setInterval(() => {
      this.#refreshSoon();
    }, ANNOUNCE_MS);
    this.#removing = setInterval(() => {
      // While Redis is away nothing needs to be removed.
      this.removeStale().catch(() => undefined);
    }, REMOVE_STALE_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    clearInterval(this.#removing);
  }

  /** Reads the fleet now; a refresh under way is shared. */
  async refresh(): Promise<void> {
    this.#refreshing ??= this.#load().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** Reads the fleet in a refresh that begins now: it has all that was announced before. */
  async refreshAnew(): Promise<void> {
    await this.#refreshing?.catch(() => undefined);
    return this.refresh();
  }

  /** Removes stale announcements, and abandoned tasks in queues that no worker reads, from Redis. */
  async removeStale(): Promise<void> {
    await this.refresh();
    await this.#janitor.removeStale(new Set(this.queues));
  }

  get workers(): readonly WorkerAnnouncement[] {
    return this.#workers;
  }

  /** Model keys that some worker has now, whether it takes tasks or drains. */
  get served(): readonly string[] {
    return [...this.#cards.keys()];
  }

  /** Names of the queues that some worker reads now: models' plain queues, and their ability queues. */
  get queues(): readonly string[] {
    return [...this.#cards.values()].flat().flatMap(queuesOf);
  }

  /** Model keys for which some backend takes tasks now. A backend of a draining worker takes none. */
  get offered(): ReadonlySet<string> {
    return this.#offered;
  }

  /** Names of queues that some worker reads now, or read a while ago. */
  get known(): readonly string[] {
    return [...new Set([...this.queues, ...this.#remembered])];
  }

  /** True when there is at least one of {@link known}. */
  get knowsAny(): boolean {
    return this.#cards.size > 0 || this.#remembered.size > 0;
  }

  serves(key: string): boolean {
    return this.#cards.has(key);
  }

  /** One card per model that some worker serves now, newest first. */
  get models(): readonly ModelCard[] {
    const cards = [...this.#cards.values()].flatMap((list) => merged(list) ?? []);
    return cards.toSorted((a, b) => b.modifiedAt - a.modifiedAt);
  }

  /** The cards of a model, one for each backend that has it. Backends where it is loaded come first. */
  cardsOf(key: string): readonly ModelCard[] {
    return this.#cards.get(key) ?? [];
  }

  /** True when some worker read this queue a moment ago. */
  remembers(queue: string): boolean {
    return this.#now() - (this.#seen.get(queue) ?? Number.NEGATIVE_INFINITY) < READER_MEMORY_MS;
  }

  /** Every card of every backend. */
  get cards(): readonly ModelCard[] {
    return [...this.#cards.values()].flat();
  }

  /** Calls after each refresh. */
  onRefresh(callback: () => void): void {
    this.#onRefresh.push(callback);
  }

  /** The key of a requested model; undefined when no worker has served it for a while. */
  find(name: string): string | undefined {
    // Ollama's `:local` says that a model must not come from its cloud: here none does.
    if (abilityOf(name) !== undefined) return undefined;
    const keys = [modelKey(name), modelKey(name.replace(/:local$/, ""))];
    return keys.find((key) => this.#cards.has(key) || this.#remembered.has(key));
  }

  #refreshSoon(): void {
    // While Redis is away the last view stands.
    this.refresh().catch(() => undefined);
  }

  async #load(): Promise<void> {
    const [workers, remembered] = await Promise.all([
      this.#stores.registry.listWorkers(),
      this.#stores.registry.rememberedModels(this.#now() - this.#memoryMs),
    ]);
    const cards = new Map<string, ModelCard[]>();
    for (const card of workers.flatMap((worker) => worker.backends.flatMap((backend) => backend.models))) {
      const list = cards.get(card.key) ?? [];
      // Cards of resident models first: they know most.
      if (card.resident) list.unshift(card);
      else list.push(card);
      cards.set(card.key, list);
    }
    this.#workers = workers;
    this.#cards = cards;
    this.#offered = offeredModels(workers);
    this.#remembered = remembered.union(this.#rememberSeen(this.queues));
    for (const callback of this.#onRefresh) callback();
  }

  #rememberSeen(served: Iterable<string>): ReadonlySet<string> {
    const now = this.#now();
    for (const key of served) this.#seen.set(key, now);
    for (const [key, at] of this.#seen) if (at < now - this.#memoryMs) this.#seen.delete(key);
    return new Set(this.#seen.keys());
  }
}

/** Merges the cards of a model: the values of the first, the date of the newest, the endpoints of all. */
function merged([first, ...others]: readonly ModelCard[]): ModelCard | undefined {
  if (first === undefined || others.length === 0) return first;
  const endpoints = new Set([first, ...others].flatMap((card) => card.endpoints ?? []));
  return {
    ...first,
    modifiedAt: Math.max(first.modifiedAt, greatest(others.map((card) => card.modifiedAt))),
    ...(endpoints.size === 0 ? {} : { endpoints: [...endpoints] }),
  };
}
