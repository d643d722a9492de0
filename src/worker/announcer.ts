import { hostname } from "node:os";
import type { Ambient } from "../core/ambient.ts";
import type { WorkerAnnouncement } from "../core/fleet.ts";
import { ANNOUNCE_MS } from "../redis/registry.ts";
import type { Stores } from "../redis/stores.ts";
import type { WorkerMetrics } from "../telemetry/worker-metrics.ts";
import { announcementOf } from "./backend-announcement.ts";
import type { BackendSlots } from "./backend-slots.ts";

export interface WorkerAnnouncerOptions {
  readonly stores: Pick<Stores, "registry">;
  readonly worker: string;
  readonly version: string;
  readonly allBackendSlots: readonly BackendSlots[];
  /** Longest time for which a worker counts as starting while a backend has not answered (ms). */
  readonly startupMs: number;
  readonly metrics: Pick<WorkerMetrics, "redisAnswered">;
  readonly ambient: Pick<Ambient, "mono" | "now">;
}

/** Announces this worker and its backends to the fleet. */
export class WorkerAnnouncer {
  readonly #options: WorkerAnnouncerOptions;
  readonly #startedAt: number;
  /** Mono ms from which on the worker counts as ready, even when not all backends have answered. */
  readonly #readyAt: number;
  /** Backends that have answered a health check. */
  readonly #answered = new Set<BackendSlots>();
  #timer: NodeJS.Timeout | undefined;
  #draining = false;
  #stopped = false;

  constructor(options: WorkerAnnouncerOptions) {
    this.#options = options;
    this.#startedAt = options.ambient.now();
    this.#readyAt = options.ambient.mono() + options.startupMs;
  }

  start(): void {
    this.#timer = setInterval(() => {
      void this.announce(false);
    }, ANNOUNCE_MS);
  }

  /** Records that a backend has answered: a worker starts until all have. */
  answered(backendSlots: BackendSlots): void {
    this.#answered.add(backendSlots);
  }

  /** Resolves when gateways know whether this worker takes no more tasks, or takes them again. */
  async drain(isDraining: boolean): Promise<void> {
    this.#draining = isDraining;
    await this.announce(true);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    const { stores, worker } = this.#options;
    await stores.registry.forgetWorker(worker).catch(() => undefined);
  }

  /** Writes the announcement. Never rejects. @param news true notifies all gateways at once */
  async announce(news: boolean): Promise<void> {
    if (this.#stopped) return;
    const { stores, metrics, ambient } = this.#options;
    const from = ambient.mono();
    try {
      await stores.registry.announceWorker(this.#announcement(), news);
      metrics.redisAnswered((ambient.mono() - from) / 1000);
    } catch {
      // Redis is away: the next announcement has it all.
    }
  }

  get #isStarting(): boolean {
    const { allBackendSlots, ambient } = this.#options;
    return (
      ambient.mono() < this.#readyAt &&
      allBackendSlots.some((one) => one.announced && !this.#answered.has(one))
    );
  }

  #announcement(): WorkerAnnouncement {
    const { worker, version, allBackendSlots, ambient } = this.#options;
    return {
      id: worker,
      version,
      host: hostname(),
      pid: process.pid,
      startedAt: this.#startedAt,
      seenAt: ambient.now(),
      draining: this.#draining,
      ...(this.#isStarting ? { starting: true } : {}),
      backends: allBackendSlots.filter((one) => one.announced).map(announcementOf),
    };
  }
}
