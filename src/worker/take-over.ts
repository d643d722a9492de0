import { REQUEUED_MS } from "../redis/pending.ts";
import type { PendingEntry } from "../redis/pending.ts";
import type { QueuedTask } from "../redis/task-queue.ts";
import type { Stores } from "../redis/stores.ts";
import type { WorkerMetrics } from "../telemetry/worker-metrics.ts";
import type { AttemptRegistry } from "./attempt-registry.ts";
import type { BackendSlots } from "./backend-slots.ts";
import type { Cooldowns } from "./cooldowns.ts";
import type { LeaseJudge } from "./lease-judge.ts";
import type { Past, ReclaimHandler } from "./reclaim-handler.ts";
import type { SlotLease } from "./slot-lease.ts";

export interface TakeOverOptions {
  readonly stores: Pick<Stores, "leases">;
  readonly worker: string;
  readonly attemptRegistry: Pick<AttemptRegistry, "has" | "reclaim" | "reclaims">;
  readonly allBackendSlots: readonly BackendSlots[];
  readonly cooldowns: Pick<Cooldowns, "has">;
  readonly leaseJudge: Pick<LeaseJudge, "check" | "stopwatch">;
  readonly reclaims: Pick<ReclaimHandler, "resume">;
  readonly metrics: Pick<WorkerMetrics, "reclaimed">;
}

/** Selects the tasks to take over. */
export interface Search {
  readonly model: string;
  /** Shortest silence of their worker (ms). */
  readonly idleMs: number;
  /** True for the tasks of this worker only. */
  readonly isOwn?: boolean;
}

/** Takes over the tasks that a search finds: each gets a slot first, is then claimed, and goes on from there. */
export class TakeOver {
  readonly #options: TakeOverOptions;
  /** Models of which a task waits for a slot. */
  readonly #waiting = new Set<string>();
  #onRoom: (search: Search) => Promise<void> = async () => {};

  constructor(options: TakeOverOptions) {
    this.#options = options;
  }

  /** Sets the listener for room for a task that a search found without a slot. */
  onRoom(listener: (search: Search) => Promise<void>): void {
    this.#onRoom = listener;
  }

  /** Does nothing where no backend has the model. Rejects with `redis_down`. */
  async search(search: Search): Promise<void> {
    if (this.#ableTo(search.model).length === 0) return;
    const { stores, worker, leaseJudge, attemptRegistry } = this.#options;
    const { model, idleMs, isOwn = false } = search;
    const wasSlow = leaseJudge.stopwatch();
    const silent = await stores.leases.silent({ model, idleMs, ...(isOwn ? { consumer: worker } : {}) });
    const isSlow = wasSlow();
    // A Redis that answers slowly makes a task look silent that another search is just taking over.
    const free = silent.filter(
      ({ entry }) => !attemptRegistry.has(model, entry) && !attemptRegistry.reclaims(model, entry),
    );
    // At once: a slot that is free for a moment is lent, or claimed for, and another search would lease it, too.
    const { leased, short } = this.#lease(search, free);
    const done = attemptRegistry.reclaim(model, leased.keys());
    this.#reserve(short, search);
    try {
      if (leased.size > 0) await this.#takeLeased(search, leased, isSlow);
    } finally {
      done();
      for (const { lease } of leased.values()) lease.release();
    }
  }

  /** Claims and handles the tasks that have a slot. A task that runs is no longer among the `leased` at the end. */
  async #takeLeased(search: Search, leased: Leases["leased"], isSlow: boolean): Promise<void> {
    const { stores, worker: consumer, leaseJudge, attemptRegistry, metrics } = this.#options;
    const { model } = search;
    // No clock judges this worker's own tasks, nor the requeued ones.
    const needsJudge = search.isOwn !== true && [...leased.values()].some(({ past }) => !past.requeued);
    const isJudged = !needsJudge || (!isSlow && (await leaseJudge.check()));
    const idleMs = isJudged ? search.idleMs : REQUEUED_MS;
    const entries = [...leased].flatMap(([entry, { past }]) =>
      (isJudged || past.requeued) && !attemptRegistry.has(model, entry) ? [entry] : [],
    );
    if (entries.length === 0) return;
    const claim = { model, consumer, idleMs, entries };
    const countOf = (entry: string): number => leased.get(entry)?.past.deliveries ?? 1;
    const tasks =
      search.isOwn === true
        ? await stores.leases.takeBack(claim, countOf)
        : await stores.leases.takeOver(claim);
    metrics.reclaimed(tasks.length);
    // All at once: their leases are not renewed before they run.
    const resumed = await Promise.allSettled(tasks.map(async (task) => this.#resume(task, leased)));
    const failed = resumed.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  async #resume(task: QueuedTask, leased: Leases["leased"]): Promise<void> {
    const one = leased.get(task.entry);
    // It counted as an orphan while its delivery was on the way, and runs by now.
    if (one === undefined || this.#options.attemptRegistry.has(task.model, task.entry)) return;
    if (await this.#options.reclaims.resume(one.lease, task, one.past)) leased.delete(task.entry);
  }

  /** Takes a slot for each task at a backend with room that has no cooldown for it, the roomiest first. */
  #lease({ model, isOwn }: Search, tasks: readonly PendingEntry[]): Leases {
    const allBackendSlots = this.#ableTo(model);
    const roomOf = (backendSlots: BackendSlots): number => backendSlots.roomFor(model);
    const leased: Leases["leased"] = new Map();
    let short: BackendSlots | undefined;
    for (const { entry, deliveries, requeued, worker } of tasks) {
      const candidates = allBackendSlots.filter(
        (backendSlots) => !this.#options.cooldowns.has({ model, entry }, backendSlots),
      );
      const [backendSlots] = candidates.toSorted((a, b) => roomOf(b) - roomOf(a));
      if (backendSlots === undefined) continue;
      if (roomOf(backendSlots) > 0) {
        // A task that was requeued without having counted has 0.
        const counted = isOwn === true ? Math.max(1, deliveries) : deliveries + 1;
        const lost = requeued || worker === this.#options.worker ? undefined : worker;
        const past = { deliveries: counted, requeued, lost };
        leased.set(entry, { lease: backendSlots.occupy(model), past });
      } else short ??= backendSlots;
    }
    return { leased, short };
  }

  /** Keeps the next free slot for a task that has none, and searches again when there is one. */
  #reserve(backendSlots: BackendSlots | undefined, search: Search): void {
    const { model } = search;
    for (const one of this.#options.allBackendSlots) {
      one.reserve(model, one === backendSlots);
      one.want(model, one === backendSlots);
    }
    if (backendSlots === undefined || this.#waiting.has(model)) return;
    this.#waiting.add(model);
    void this.#room(backendSlots, model).then(() => {
      this.#waiting.delete(model);
      return this.#onRoom(search);
    });
  }

  /** Resolves at a change of a backend that may have room for a model then, or has lost it. */
  async #room(backendSlots: BackendSlots, model: string): Promise<void> {
    do await backendSlots.changed();
    while (
      backendSlots.plan() !== undefined &&
      backendSlots.serves(model) &&
      backendSlots.roomFor(model) === 0
    );
  }

  #ableTo(model: string): readonly BackendSlots[] {
    return this.#options.allBackendSlots.filter((backendSlots) => backendSlots.nameOf(model) !== undefined);
  }
}

interface Leases {
  /** By queue entry. */
  readonly leased: Map<string, { readonly lease: SlotLease; readonly past: Past }>;
  /** A backend whose slots another task waits for. */
  readonly short: BackendSlots | undefined;
}
