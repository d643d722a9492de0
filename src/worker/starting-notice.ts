import { hostname } from "node:os";
import type { WorkerAnnouncement } from "../core/fleet.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { ANNOUNCE_MS, announceWorker, forgetWorker } from "../redis/registry.ts";

export interface StartingNoticeOptions {
  readonly connection: Connection;
  readonly keys: Keys;
  /** The id that the worker will have. */
  readonly worker: string;
  readonly version: string;
  /** Wall clock, ms since 1970, and ms, monotonic. */
  readonly now: () => number;
  readonly mono: () => number;
  /** How long the worker may take to get ready; later it says nothing more. */
  readonly startupMs: number;
}

/**
 * Tells the fleet that a worker is getting ready, before it has a backend: gateways then say "not yet" of a model that
 * no worker offers, and not "there is none". A model may have to be fetched and loaded first.
 */
export class StartingNotice {
  readonly #options: StartingNoticeOptions;
  readonly #announcement: WorkerAnnouncement;
  readonly #endsAt: number;
  readonly #timer: NodeJS.Timeout;
  /** The latest announcement on its way. */
  #told: Promise<void> = Promise.resolve();

  constructor(options: StartingNoticeOptions) {
    const { worker: id, version, now, mono, startupMs } = options;
    this.#options = options;
    this.#endsAt = mono() + startupMs;
    const about = { host: hostname(), pid: process.pid, startedAt: now(), seenAt: now() };
    this.#announcement = { id, version, ...about, draining: false, starting: true, backends: [] };
    this.#timer = setInterval(() => {
      this.#tell(false);
    }, ANNOUNCE_MS);
    this.#tell(true);
  }

  /** Says nothing more; what was said stays until the worker itself announces itself, or for as long as it is valid. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#told;
  }

  /** The worker does not come. */
  async withdraw(): Promise<void> {
    await this.stop();
    const { connection, keys, worker } = this.#options;
    await forgetWorker(connection, keys, worker).catch(() => undefined);
  }

  /** With Redis away the next one tells. */
  #tell(news: boolean): void {
    const { connection, keys, now, mono } = this.#options;
    if (mono() >= this.#endsAt) return;
    const announcement = { ...this.#announcement, seenAt: now() };
    this.#told = announceWorker(connection, keys, announcement, news).catch(() => undefined);
  }
}
