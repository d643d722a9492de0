import { hostname } from "node:os";
import type { BackendState } from "../backends/backend.ts";
import { toFault } from "../core/fault.ts";
import type { GateState, WorkerAnnouncement } from "../core/fleet.ts";
import { queuesOf, queueWords } from "../core/ability.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { ANNOUNCE_MS, announceWorker, forgetWorker } from "../redis/registry.ts";
import { ensureGroup } from "../redis/task-stream.ts";
import type { Log } from "../telemetry/log.ts";
import { ownStalls } from "../telemetry/stall-meter.ts";
import type { StallMeter } from "../telemetry/stall-meter.ts";
import type { WorkerMetrics } from "../telemetry/worker-metrics.ts";
import { boundState } from "./model-bound.ts";
import type { Station } from "./station.ts";

/** Models whose groups are known to be there; of more all are made again, which costs a command each. */
const MOST_GROUPED = 20_000;

/** How often a healthy and an unhealthy backend are looked at, and how long one look may take; ms. */
const LOOK_MS = 5000;
const LOOK_AGAIN_MS = 1000;
const LOOK_LIMIT_MS = 5000;

const TOLD: Readonly<Record<GateState, string>> = {
  closed: "backend serves the model as it should again",
  busy: "backend is busy and gets fewer tasks of the model",
  open: "backend fails again and again and gets no tasks of the model for a while",
  "half-open": "backend gets one task of the model as a probe",
  paced:
    "backend fails again and again, and too few others have the model: it gets single tasks of it, with pauses",
};

export interface PresenceOptions {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly worker: string;
  readonly version: string;
  readonly log: Log;
  readonly stations: readonly Station[];
  /** How long it counts as getting ready while a backend has not answered; 0 when absent. */
  readonly startupMs?: number;
  readonly now: () => number;
  readonly metrics: Pick<WorkerMetrics, "loaded" | "gateChanged" | "redisAnswered">;
  readonly mono: () => number;
  /** Knows when this process stood still; that of this process when absent. */
  readonly stalls?: Pick<StallMeter, "since" | "signal">;
  /** A backend with this model has come (back): tasks may be waiting for it. */
  readonly onModel: (model: string) => void;
}

/** Looks at the backends and tells the fleet what this worker offers. */
export class Presence {
  readonly #options: PresenceOptions;
  readonly #startedAt: number;
  /** Mono ms from which on it is ready, whether or not all backends have answered. */
  readonly #readyAt: number;
  readonly #looks = new Map<Station, NodeJS.Timeout>();
  /** The number of the last look that began, and by station of the latest that ended well. */
  #begun = 0;
  readonly #seen = new Map<Station, number>();
  readonly #grouped = new Set<string>();
  /** Those that answered the last look: an attempt that cannot reach one may take it for down before a look does. */
  readonly #well = new Set<Station>();
  /** How many models of a backend were left out at the last look. */
  readonly #left = new Map<Station, number>();
  /** The models of each backend that cannot be served, as they were told last. */
  readonly #unserved = new Map<string, string>();
  #announcing: NodeJS.Timeout | undefined;
  #draining = false;
  #stopped = false;

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#startedAt = options.now();
    this.#readyAt = options.mono() + (options.startupMs ?? 0);
    options.connection.onReconnect(() => {
      // A Redis that lost its data has no groups any more.
      this.#grouped.clear();
      void this.#prepare();
    });
  }

  /** Resolves after the first look at every backend. */
  async start(): Promise<void> {
    await Promise.all(this.#options.stations.map(async (station) => this.look(station)));
    this.#announcing = setInterval(() => {
      void this.announce(false);
    }, ANNOUNCE_MS);
  }

  /** From now on gateways know that this worker takes nothing more. */
  async drain(): Promise<void> {
    this.#draining = true;
    await this.announce(true);
  }

  /** It takes tasks again, and looks for those that wait. */
  async undrain(): Promise<void> {
    this.#draining = false;
    await this.announce(true);
    for (const station of this.#options.stations) {
      for (const { key } of station.queues) this.#options.onModel(key);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#announcing);
    for (const timer of this.#looks.values()) clearTimeout(timer);
    const { connection, keys, worker } = this.#options;
    await forgetWorker(connection, keys, worker).catch(() => undefined);
  }

  /** Looks at one backend now, and resolves when what it has now is announced. */
  async lookAndTell(station: Station): Promise<void> {
    await this.look(station);
    // Another look may have found the change first, and be about to tell of it.
    await this.announce(true);
  }

  /** Looks at one backend now and plans the next look. */
  async look(station: Station): Promise<void> {
    clearTimeout(this.#looks.get(station));
    const { mono, stalls = ownStalls } = this.#options;
    const { pieces = 0 } = station.backend;
    const askedAt = mono();
    const number = ++this.#begun;
    try {
      const state = this.#bounded(station, await station.backend.inspect(stalls.signal(LOOK_LIMIT_MS)));
      if (this.#stopped || this.#isOutdated(station, number)) return;
      await this.#ensureGroups(state.models.flatMap(queuesOf));
      this.#well.add(station);
      this.#warnOfUnserved(station, state.unserved ?? []);
      const before = station.resident;
      const known = namesOf(station);
      const changed = station.update(state, askedAt);
      this.#countLoads(station, before);
      // Each swap changes the models in memory: no task waits for that.
      if (changed && namesOf(station) === known) await this.announce(true);
      else if (changed) await this.#changed(station);
    } catch (error) {
      // A look in which this very process stood still tells nothing of the backend: the next one does.
      if (stalls.since(askedAt) === 0) await this.#lookFailed(station, { error, pieces });
    }
    if (!this.#stopped) this.#planLook(station);
  }

  /** Returns the models to serve of those that a backend lists. Logs once when some are left out. */
  #bounded(station: Station, given: BackendState): BackendState {
    const { log, stations } = this.#options;
    const { state, left } = boundState(given, stations.length);
    if (left.length > 0 && this.#left.get(station) !== left.length) {
      log.warn("backend lists more models than are served: the last ones are left out", {
        backend: station.backend.name,
        served: state.models.length,
        leftOut: left.length,
        first: left[0],
      });
    }
    this.#left.set(station, left.length);
    return state;
  }

  /** Told once, and again when others are missing. */
  #warnOfUnserved({ backend }: Station, unserved: readonly string[]): void {
    const models = unserved.join("; ");
    if (models !== "" && models !== this.#unserved.get(backend.name)) {
      this.#options.log.warn("models of this backend are not served: their names cannot be used", {
        backend: backend.name,
        models,
      });
    }
    this.#unserved.set(backend.name, models);
  }

  /** A backend serves a model otherwise than before. */
  gateChanged({ backend }: Station, model: string, state: GateState): void {
    const level = state === "open" || state === "paced" ? "warn" : "info";
    const words = queueWords(model);
    this.#options.metrics.gateChanged(backend.name, words, state);
    this.#options.log[level](TOLD[state], { backend: backend.name, model: words });
    void this.announce(true);
  }

  get #isStarting(): boolean {
    const { stations, mono } = this.#options;
    return mono() < this.#readyAt && stations.some((one) => one.announced && !this.#seen.has(one));
  }

  async announce(news: boolean): Promise<void> {
    if (this.#stopped) return;
    const { connection, keys, metrics, mono } = this.#options;
    const from = mono();
    try {
      await announceWorker(connection, keys, this.#announcement(), news);
      metrics.redisAnswered((mono() - from) / 1000);
    } catch {
      // Redis is away: the next announcement tells.
    }
  }

  /** Looks overlap. One that began before another that has ended may have seen what was before. */
  #isOutdated(station: Station, number: number): boolean {
    if (number < (this.#seen.get(station) ?? 0)) return true;
    this.#seen.set(station, number);
    return false;
  }

  /** A model that comes and goes is found between two looks only: loads in between are not seen. */
  #countLoads(station: Station, before: ReadonlySet<string>): void {
    if (!station.announced) return;
    const { metrics } = this.#options;
    for (const model of station.resident) {
      if (!before.has(model)) metrics.loaded(station.backend.name, model);
    }
  }

  #planLook(station: Station): void {
    // Looks may overlap, since a backend that fails is looked at for each attempt: one of them goes on.
    clearTimeout(this.#looks.get(station));
    const delay = station.healthy ? LOOK_MS : LOOK_AGAIN_MS;
    const timer = setTimeout(() => {
      void this.look(station);
    }, delay);
    this.#looks.set(station, timer);
  }

  /** @param look what it ended with, and how many pieces of answers had come when it began */
  async #lookFailed(station: Station, look: { error: unknown; pieces: number }): Promise<void> {
    const { code, message: reason } = toFault(look.error);
    const { pieces = 0 } = station.backend;
    // Too busy for the look, and at work: it is there, and its gates follow what it takes.
    if (pieces > look.pieces || (code === "backend_busy" && station.busy > 0)) return;
    const isNews = station.failed() || this.#well.has(station);
    this.#well.delete(station);
    if (!isNews) return;
    this.#options.log.warn("backend is not available", { backend: station.backend.name, reason });
    await this.announce(true);
  }

  async #changed(station: Station): Promise<void> {
    const models = station.models.map((model) => model.key);
    const { name } = station.backend;
    const level = station.announced ? "info" : "debug";
    this.#options.log[level]("backend is ready", {
      backend: name,
      models: models.join(" "),
      slots: station.slots,
    });
    await this.announce(true);
    for (const { key } of station.queues) this.#options.onModel(key);
  }

  async #prepare(): Promise<void> {
    const models = this.#options.stations.flatMap((station) => station.queues.map(({ key }) => key));
    try {
      await this.#ensureGroups(models);
      await this.announce(true);
    } catch {
      // Redis went away again: the next reconnect starts over.
    }
  }

  async #ensureGroups(models: readonly string[]): Promise<void> {
    const { connection, keys } = this.#options;
    const fresh = models.filter((model) => !this.#grouped.has(model));
    // A backend whose models have other names at each look must not fill the memory.
    if (this.#grouped.size > MOST_GROUPED) this.#grouped.clear();
    await Promise.all(fresh.map(async (model) => ensureGroup(connection, keys, model)));
    for (const model of fresh) this.#grouped.add(model);
  }

  #announcement(): WorkerAnnouncement {
    const { worker, version, stations, now } = this.#options;
    return {
      id: worker,
      version,
      host: hostname(),
      pid: process.pid,
      startedAt: this.#startedAt,
      seenAt: now(),
      draining: this.#draining,
      ...(this.#isStarting ? { starting: true } : {}),
      backends: stations.filter((one) => one.announced).map((one) => one.announcement()),
    };
  }
}

/** The queues that are read for a backend; empty when it is not healthy. */
function namesOf({ queues }: Station): string {
  return queues.map(({ key, name }) => `${key}\n${name}`).join("\n");
}
