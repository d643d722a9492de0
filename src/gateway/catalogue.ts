import type { WorkerAnnouncement } from "../core/fleet.ts";
import { abilityOf, queuesOf } from "../core/ability.ts";
import { offeredModels } from "../core/offers.ts";
import { modelKey } from "../core/model.ts";
import type { ModelCard } from "../core/model.ts";
import { greatest } from "../core/long-lists.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { ANNOUNCE_MS, listWorkers, rememberedModels } from "../redis/registry.ts";
import { Tidier } from "./tidier.ts";
import type { TidierOptions } from "./tidier.ts";

/** How often what fell silent is removed from Redis, ms. */
const TIDY_MS = 60_000;

/**
 * So long the ability queue of a model counts as read after its last worker has left, while others serve the model, ms: a worker
 * that starts again is back by then.
 */
const READER_MEMORY_MS = 60_000;

/** What the fleet offers, as this gateway last saw it. */
export class Catalogue {
  readonly #connection: Connection;
  readonly #keys: Keys;
  readonly #now: () => number;
  readonly #memoryMs: number;
  readonly #tidier: Tidier;
  #workers: readonly WorkerAnnouncement[] = [];
  #cards = new Map<string, ModelCard[]>();
  #offered: ReadonlySet<string> = new Set();
  #remembered = new Set<string>();
  /** Model key -> wall clock ms when this gateway last saw it served: a Redis that lost its data remembers nothing. */
  readonly #seen = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #tidying: NodeJS.Timeout | undefined;
  #refreshing: Promise<void> | undefined;
  readonly #onRefresh: (() => void)[] = [];

  constructor(options: TidierOptions) {
    this.#connection = options.connection;
    this.#keys = options.keys;
    this.#now = options.now;
    this.#memoryMs = options.memoryMs;
    this.#tidier = new Tidier(options);
  }

  /** Loads once, then keeps itself fresh; `channel` is a connection for subscriptions. Rejects with `redis_down` when the first load fails. */
  async start(channel: Connection): Promise<void> {
    await channel.subscribe(this.#keys.fleet(), () => {
      this.#refreshSoon();
    });
    await this.refresh();
    this.#timer = setInterval(() => {
      this.#refreshSoon();
    }, ANNOUNCE_MS);
    this.#tidying = setInterval(() => {
      // While Redis is away nothing needs to be removed.
      this.tidy().catch(() => undefined);
    }, TIDY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    clearInterval(this.#tidying);
  }

  /** Reads the fleet now; a refresh under way is shared. */
  async refresh(): Promise<void> {
    this.#refreshing ??= this.#load().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** Reads the fleet in a look that begins now: it has all that was announced before. */
  async refreshAnew(): Promise<void> {
    await this.#refreshing?.catch(() => undefined);
    return this.refresh();
  }

  /** Removes what fell silent from Redis, and what waits for nobody in queues that no worker reads. */
  async tidy(): Promise<void> {
    await this.refresh();
    await this.#tidier.tidy(new Set(this.queues));
  }

  get workers(): readonly WorkerAnnouncement[] {
    return this.#workers;
  }

  /** Model keys that some worker has now, whether it takes tasks or drains. */
  get served(): readonly string[] {
    return [...this.#cards.keys()];
  }

  /** Names of the queues that some worker reads now: those of models, and of their ability queues. */
  get queues(): readonly string[] {
    return [...this.#cards.values()].flat().flatMap(queuesOf);
  }

  /** Model keys of which some backend takes tasks now: one of a worker that drains takes none. */
  get offered(): ReadonlySet<string> {
    return this.#offered;
  }

  /** Names of queues that some worker reads, or read a while ago. */
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

  /** The cards of a model, one for each backend that has it; those where it is loaded come first. */
  cardsOf(key: string): readonly ModelCard[] {
    return this.#cards.get(key) ?? [];
  }

  /** True when some worker was seen to read this queue a moment ago. */
  remembers(queue: string): boolean {
    return this.#now() - (this.#seen.get(queue) ?? Number.NEGATIVE_INFINITY) < READER_MEMORY_MS;
  }

  /** Every card of every backend. */
  get cards(): readonly ModelCard[] {
    return [...this.#cards.values()].flat();
  }

  /** Calls after each look at the fleet. */
  onRefresh(callback: () => void): void {
    this.#onRefresh.push(callback);
  }

  /** The queue a request for this model goes to; undefined when nobody has served it for a while. */
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
      listWorkers(this.#connection, this.#keys),
      rememberedModels(this.#connection, this.#keys, this.#now() - this.#memoryMs),
    ]);
    const cards = new Map<string, ModelCard[]>();
    for (const card of workers.flatMap((worker) => worker.backends.flatMap((backend) => backend.models))) {
      const list = cards.get(card.key) ?? [];
      // Cards of resident models first: they tell most.
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

/** One card for all that a model has: what the first tells, the date of the newest, and the endpoints of all. */
function merged([first, ...others]: readonly ModelCard[]): ModelCard | undefined {
  if (first === undefined || others.length === 0) return first;
  const endpoints = new Set([first, ...others].flatMap((card) => card.endpoints ?? []));
  return {
    ...first,
    modifiedAt: Math.max(first.modifiedAt, greatest(others.map((card) => card.modifiedAt))),
    ...(endpoints.size === 0 ? {} : { endpoints: [...endpoints] }),
  };
}
