import { hostname } from "node:os";
import type { Ambient } from "../core/ambient.ts";
import type { WorkerAnnouncement } from "../core/fleet.ts";
import { ANNOUNCE_MS } from "../redis/registry.ts";
import type { Stores } from "../redis/stores.ts";

export interface StartingNoticeOptions {
  readonly stores: Pick<Stores, "registry">;
  /** The id that the worker will have. */
  readonly worker: string;
  readonly version: string;
  readonly ambient: Pick<Ambient, "mono" | "now">;
  /** Longest time that the worker may take to get ready (ms). After it the notice ends. */
  readonly startupMs: number;
}

/**
 * Announces a worker that is starting, before it has a backend. Gateways then answer "not yet" for a model that no
 * worker offers, and not "there is none". A model may have to be fetched and loaded first.
 */
export class StartingNotice {
  readonly #options: StartingNoticeOptions;
  readonly #announcement: WorkerAnnouncement;
  readonly #endsAt: number;
  readonly #timer: NodeJS.Timeout;
  /** The latest announcement on its way. */
  #sent: Promise<void> = Promise.resolve();

  constructor(options: StartingNoticeOptions) {
    const { worker: id, version, ambient, startupMs } = options;
    this.#options = options;
    this.#endsAt = ambient.mono() + startupMs;
    const about = { host: hostname(), pid: process.pid, startedAt: ambient.now(), seenAt: ambient.now() };
    this.#announcement = { id, version, ...about, draining: false, starting: true, backends: [] };
    this.#timer = setInterval(() => {
      this.#announce(false);
    }, ANNOUNCE_MS);
    this.#announce(true);
  }

  /** Ends the notice. The last one stays until the worker announces itself, or until it expires. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sent;
  }

  /** The worker does not come. */
  async withdraw(): Promise<void> {
    await this.stop();
    const { stores, worker } = this.#options;
    await stores.registry.forgetWorker(worker).catch(() => undefined);
  }

  /** With Redis away the next one comes through. */
  #announce(news: boolean): void {
    const { stores, ambient } = this.#options;
    if (ambient.mono() >= this.#endsAt) return;
    const announcement = { ...this.#announcement, seenAt: ambient.now() };
    this.#sent = stores.registry.announceWorker(announcement, news).catch(() => undefined);
  }
}
