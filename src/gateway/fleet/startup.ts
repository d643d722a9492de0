import { hostname } from "node:os";
import type { Settings } from "../../config/settings.ts";
import { systemAmbient } from "../../core/ambient.ts";
import { Fault } from "../../core/fault.ts";
import type { WorkerAnnouncement } from "../../core/fleet.ts";
import type { Catalogue } from "./catalogue.ts";

export interface StartupOptions {
  /** Longest time that one host may be getting ready, ms. */
  readonly boundMs: number;
  /** Ms, monotonic. */
  readonly mono: () => number;
  /** True when a worker was started beside this gateway: it may not have announced itself yet. */
  readonly expectsWorker: boolean;
  /** Name of this host, as its workers announce it. */
  readonly host: string;
}

/** A worker that was started beside this gateway announces itself within this, ms. */
const FIRST_WORD_MS = 30_000;

/** Seconds after which a request for a model that came too early is worth another try. */
const AGAIN_S = 2;

interface Start {
  /** Mono ms of the first and of the latest refresh that showed a worker of the host getting ready. */
  readonly since: number;
  readonly seenAt: number;
}

/**
 * Knows whether a model that no worker offers may still come, since some worker is getting ready. The time is bounded
 * for each host: a worker that starts again and again counts for no longer than one that hangs.
 */
export class Startup {
  readonly #options: StartupOptions;
  readonly #begunAt: number;
  /** By host. */
  #starts: ReadonlyMap<string, Start> = new Map();
  #starting: readonly string[] = [];
  #expects: boolean;

  constructor(options: StartupOptions) {
    this.#options = options;
    this.#begunAt = options.mono();
    this.#expects = options.expectsWorker;
  }

  /** Call at each refresh of the catalogue. */
  refresh(workers: readonly WorkerAnnouncement[]): void {
    const { mono, boundMs, host: own } = this.#options;
    const now = mono();
    // Workers of other hosts say nothing of the one that was started here.
    if (workers.some(({ host }) => host === own)) this.#expects = false;
    this.#starting = workers.filter(({ starting }) => starting === true).map(({ host }) => host);
    const starts = new Map([...this.#starts].filter(([, { seenAt }]) => now - seenAt <= boundMs));
    for (const host of this.#starting)
      starts.set(host, { since: starts.get(host)?.since ?? now, seenAt: now });
    this.#starts = starts;
  }

  /** True while a model that no worker offers may still come. */
  get pending(): boolean {
    const { mono, boundMs } = this.#options;
    const now = mono();
    if (this.#expects && now - this.#begunAt < Math.min(boundMs, FIRST_WORD_MS)) return true;
    return this.#starting.some((host) => now - (this.#starts.get(host)?.since ?? now) < boundMs);
  }

  /** Returns the fault to send instead of one that says that there is no such model, or no such server. */
  readonly insteadOf = (fault: Fault): Fault => {
    if (!COME_LATER.has(fault.code) || !this.pending) return fault;
    const message = `${fault.message}: not yet, a worker of the fleet is still getting ready`;
    return new Fault("fleet_starting", message, { retryAfter: AGAIN_S });
  };
}

const COME_LATER: ReadonlySet<Fault["code"]> = new Set<Fault["code"]>(["model_not_found", "not_implemented"]);

/** Watches the workers of a catalogue get ready. Returns {@link Startup.insteadOf}. */
export function watchStarts(
  { settings, expectsWorker = false }: { readonly settings: Settings; readonly expectsWorker?: boolean },
  catalogue: Pick<Catalogue, "workers" | "onRefresh">,
): Startup["insteadOf"] {
  const { startupMs: boundMs } = settings;
  const startup = new Startup({ boundMs, mono: systemAmbient.mono, expectsWorker, host: hostname() });
  catalogue.onRefresh(() => {
    startup.refresh(catalogue.workers);
  });
  return startup.insteadOf;
}
