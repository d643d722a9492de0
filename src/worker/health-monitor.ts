import type { BackendState } from "../backends/backend.ts";
import { queuesOf, queueLabel } from "../core/ability.ts";
import type { Ambient } from "../core/ambient.ts";
import { toFault } from "../core/fault.ts";
import type { CircuitState } from "../core/fleet.ts";
import type { Connection } from "../redis/connection/connection.ts";
import type { Log } from "../telemetry/log.ts";
import { processStalls } from "../telemetry/stall-detector.ts";
import type { StallDetector } from "../telemetry/stall-detector.ts";
import type { WorkerMetrics } from "../telemetry/worker-metrics.ts";
import type { WorkerAnnouncer } from "./announcer.ts";
import type { BackendSlots } from "./backend-slots.ts";
import { boundState } from "./model-bound.ts";
import type { QueueGroups } from "./queue-groups.ts";

/** Interval of the health checks of a healthy and an unhealthy backend, and the limit of one check (ms). */
const CHECK_MS = 5000;
const CHECK_AGAIN_MS = 1000;
const CHECK_LIMIT_MS = 5000;

const CIRCUIT_TEXTS: Readonly<Record<CircuitState, string>> = {
  closed: "backend serves the model as it should again",
  busy: "backend is busy and gets fewer tasks of the model",
  open: "backend fails again and again and gets no tasks of the model for a while",
  "half-open": "backend gets one task of the model as a probe",
  paced:
    "backend fails again and again, and too few others have the model: it gets single tasks of it, with pauses",
};

export interface HealthMonitorOptions {
  readonly connection: Pick<Connection, "onReconnect">;
  readonly log: Log;
  readonly allBackendSlots: readonly BackendSlots[];
  readonly announcer: Pick<WorkerAnnouncer, "announce" | "answered">;
  readonly groups: Pick<QueueGroups, "clear" | "ensure">;
  readonly metrics: Pick<WorkerMetrics, "loaded" | "circuitChanged">;
  readonly ambient: Pick<Ambient, "mono">;
  /** Knows when this process stood still; the meter of this process when absent. */
  readonly stalls?: Pick<StallDetector, "since" | "signal">;
}

/** Checks the backends of this worker, and announces what they offer. */
export class HealthMonitor {
  readonly #options: HealthMonitorOptions;
  readonly #stalls: Pick<StallDetector, "since" | "signal">;
  readonly #timers = new Map<BackendSlots, NodeJS.Timeout>();
  /** Number of the last check that began, and by backend of the latest that ended well. */
  #begun = 0;
  readonly #latest = new Map<BackendSlots, number>();
  /** Backends that answered the last check: an attempt may find one unreachable before a check does. */
  readonly #reachable = new Set<BackendSlots>();
  /** Count of models of a backend that were left out at the last check. */
  readonly #leftOut = new Map<BackendSlots, number>();
  /** The models of each backend that cannot be served, as they were logged last. */
  readonly #unserved = new Map<string, string>();
  #onModel: (model: string) => void = () => {};
  #stopped = false;

  constructor(options: HealthMonitorOptions) {
    this.#options = options;
    this.#stalls = options.stalls ?? processStalls;
    options.connection.onReconnect(() => void this.#reconnected());
  }

  /** Sets the listener for a model that a backend serves (again): tasks may be waiting for it. */
  onModel(listener: (model: string) => void): void {
    this.#onModel = listener;
  }

  /** Resolves after the first check of every backend. */
  async start(): Promise<void> {
    await Promise.all(this.#options.allBackendSlots.map(async (backendSlots) => this.check(backendSlots)));
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  /** Checks one backend now, and resolves when its present offer is announced. */
  async checkAndAnnounce(backendSlots: BackendSlots): Promise<void> {
    await this.check(backendSlots);
    // Another check may have found the change first, and be about to announce it.
    await this.#options.announcer.announce(true);
  }

  /** An attempt could not reach a backend: it counts as down until a check, which begins now. */
  unreachable(backendSlots: BackendSlots): void {
    backendSlots.failed();
    void this.check(backendSlots);
  }

  /** Checks one backend now and plans its next check. Never rejects. */
  async check(backendSlots: BackendSlots): Promise<void> {
    clearTimeout(this.#timers.get(backendSlots));
    const { pieces = 0 } = backendSlots.backend;
    const checkedAt = this.#options.ambient.mono();
    const number = ++this.#begun;
    try {
      const given = await backendSlots.backend.inspect(this.#stalls.signal(CHECK_LIMIT_MS));
      const state = this.#bounded(backendSlots, given);
      // A later check has ended, and has planned the next one.
      if (this.#stopped || this.#isOutdated(backendSlots, number)) return;
      await this.#update(backendSlots, state, checkedAt);
    } catch (error) {
      // A check in which this very process stood still says nothing of the backend: the next one does.
      if (this.#stalls.since(checkedAt) === 0) await this.#checkFailed(backendSlots, { error, pieces });
    }
    if (!this.#stopped) this.#planCheck(backendSlots);
  }

  /** Logs, counts and announces the change of a circuit. */
  circuitChanged({ backend }: BackendSlots, model: string, state: CircuitState): void {
    const level = state === "open" || state === "paced" ? "warn" : "info";
    const words = queueLabel(model);
    this.#options.metrics.circuitChanged(backend.name, words, state);
    this.#options.log[level](CIRCUIT_TEXTS[state], { backend: backend.name, model: words });
    void this.#options.announcer.announce(true);
  }

  async #update(backendSlots: BackendSlots, state: BackendState, checkedAt: number): Promise<void> {
    await this.#options.groups.ensure(state.models.flatMap(queuesOf));
    this.#reachable.add(backendSlots);
    this.#warnOfUnserved(backendSlots, state.unserved ?? []);
    const before = backendSlots.resident;
    const known = queueNames(backendSlots);
    const changed = backendSlots.update(state, checkedAt);
    this.#countLoads(backendSlots, before);
    if (!changed) return;
    // Each swap changes the models in memory: no task waits for that.
    if (queueNames(backendSlots) === known) await this.#options.announcer.announce(true);
    else await this.#modelsChanged(backendSlots);
  }

  /** Returns the models to serve, of the models that a backend lists. Logs once when some are left out. */
  #bounded(backendSlots: BackendSlots, given: BackendState): BackendState {
    const { log, allBackendSlots } = this.#options;
    const { state, left } = boundState(given, allBackendSlots.length);
    if (left.length > 0 && this.#leftOut.get(backendSlots) !== left.length) {
      log.warn("backend lists more models than are served: the last ones are left out", {
        backend: backendSlots.backend.name,
        served: state.models.length,
        leftOut: left.length,
        first: left[0],
      });
    }
    this.#leftOut.set(backendSlots, left.length);
    return state;
  }

  /** Logs once, and again when others cannot be served. */
  #warnOfUnserved({ backend }: BackendSlots, unserved: readonly string[]): void {
    const models = unserved.join("; ");
    if (models !== "" && models !== this.#unserved.get(backend.name)) {
      this.#options.log.warn("models of this backend are not served: their names cannot be used", {
        backend: backend.name,
        models,
      });
    }
    this.#unserved.set(backend.name, models);
  }

  /** Checks overlap. One that began before another that has ended may have read an older state. */
  #isOutdated(backendSlots: BackendSlots, number: number): boolean {
    if (number < (this.#latest.get(backendSlots) ?? 0)) return true;
    this.#latest.set(backendSlots, number);
    this.#options.announcer.answered(backendSlots);
    return false;
  }

  /** Counts loads between two checks. A model that came and went in between is not seen. */
  #countLoads(backendSlots: BackendSlots, before: ReadonlySet<string>): void {
    if (!backendSlots.announced) return;
    const { metrics } = this.#options;
    for (const model of backendSlots.resident) {
      if (!before.has(model)) metrics.loaded(backendSlots.backend.name, model);
    }
  }

  /** A Redis that lost its data has no groups, and no announcement. */
  async #reconnected(): Promise<void> {
    const { groups, allBackendSlots, announcer } = this.#options;
    groups.clear();
    try {
      await groups.ensure(allBackendSlots.flatMap(({ queues }) => queues.map(({ key }) => key)));
      await announcer.announce(true);
    } catch {
      // Redis went away again: the next reconnect starts over.
    }
  }

  #planCheck(backendSlots: BackendSlots): void {
    // Checks may overlap, since each attempt that fails brings one: one of them goes on.
    clearTimeout(this.#timers.get(backendSlots));
    const delay = backendSlots.healthy ? CHECK_MS : CHECK_AGAIN_MS;
    const timer = setTimeout(() => {
      void this.check(backendSlots);
    }, delay);
    this.#timers.set(backendSlots, timer);
  }

  /** @param check the error of the check, and the pieces of answers that had come when it began */
  async #checkFailed(
    backendSlots: BackendSlots,
    check: { readonly error: unknown; readonly pieces: number },
  ): Promise<void> {
    const { code, message: reason } = toFault(check.error);
    const { pieces = 0 } = backendSlots.backend;
    // Too busy for the check, and at work: it is there, and its circuits follow what it takes.
    if (pieces > check.pieces || (code === "backend_busy" && backendSlots.busy > 0)) return;
    const isNews = backendSlots.failed() || this.#reachable.has(backendSlots);
    this.#reachable.delete(backendSlots);
    if (!isNews) return;
    this.#options.log.warn("backend is not available", { backend: backendSlots.backend.name, reason });
    await this.#options.announcer.announce(true);
  }

  async #modelsChanged(backendSlots: BackendSlots): Promise<void> {
    const { log, announcer } = this.#options;
    const level = backendSlots.announced ? "info" : "debug";
    log[level]("backend is ready", {
      backend: backendSlots.backend.name,
      models: backendSlots.models.map((model) => model.key).join(" "),
      slots: backendSlots.slots,
    });
    await announcer.announce(true);
    for (const { key } of backendSlots.queues) this.#onModel(key);
  }
}

/** The queues that are read for a backend; empty when it is not healthy. */
function queueNames({ queues }: BackendSlots): string {
  return queues.map(({ key, name }) => `${key}\n${name}`).join("\n");
}
