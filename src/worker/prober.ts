import { modelOf, queueLabel, servesQueue } from "../core/ability.ts";
import type { Endpoint } from "../core/task.ts";
import type { Log } from "../telemetry/log.ts";
import { processStalls } from "../telemetry/stall-detector.ts";
import type { WorkerMetrics } from "../telemetry/worker-metrics.ts";
import type { CircuitJudge } from "./backend-circuits.ts";
import type { BackendSlots } from "./backend-slots.ts";
import { sendOwnRequest, pause } from "./own-request.ts";
import type { FleetLookup } from "./fleet-lookup.ts";

/** Good health checks that close the circuit of a model without a probe, and their interval (ms). */
const QUIET_CHECKS = 3;
const QUIET_MS = 1000;
const CHECK_LIMIT_MS = 5000;

export interface ProberOptions {
  readonly log: Log;
  readonly fleetLookup: Pick<FleetLookup, "mayOpen">;
  readonly metrics: Pick<WorkerMetrics, "probed">;
}

/**
 * Sends backends own requests: when failures may come from one client, and when an open circuit may be probed. So no
 * client can shut a backend for others, and none has to be the probe. A circuit closes without any traffic.
 *
 * A probe never loads a model. Where it could, and no client asks for the model, a circuit closes after a few good
 * health checks. An own request in doubt may load it: clients have just asked for the model.
 */
export class Prober {
  readonly #options: ProberOptions;
  readonly #stop = new AbortController();
  /** Circuits that are being watched. */
  readonly #watched = new Map<BackendSlots, Set<string>>();

  constructor(options: ProberOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#stop.abort();
  }

  /** Returns the judge for the circuits of one backend. */
  judgeOf(backendSlots: BackendSlots): CircuitJudge {
    return {
      mayOpen: (model) => this.#options.fleetLookup.mayOpen(model, backendSlots),
      testBackend: (model, endpoint) => void this.#sendOwn(backendSlots, model, endpoint),
      probe: (model, endpoint) => void this.#probe(backendSlots, model, endpoint),
    };
  }

  async #probe(backendSlots: BackendSlots, model: string, endpoint: Endpoint | undefined): Promise<void> {
    const isPaced = backendSlots.circuits.of(model).state === "paced";
    // An answer may leave open whether the backend is well.
    if (!isPaced && mayProbe(backendSlots, model)) await this.#sendOwn(backendSlots, model, endpoint);
    await this.#recover(backendSlots, model, endpoint);
  }

  /** Takes its lease at once: the slot of the attempt that failed, or the only permit of an open circuit. */
  async #sendOwn(backendSlots: BackendSlots, model: string, endpoint: Endpoint | undefined): Promise<void> {
    const lease = backendSlots.occupy(model);
    try {
      const answer = await sendOwnRequest(lease, endpoint, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      const backend = backendSlots.backend.name;
      this.#options.metrics.probed(backend, answer);
      this.#options.log.info("the worker asked the backend itself", {
        backend,
        model: queueLabel(model),
        answer,
      });
      lease.probed(answer);
    } finally {
      lease.release();
    }
  }

  /** Watches a circuit until it is closed: one watch for each. */
  async #recover(backendSlots: BackendSlots, model: string, endpoint: Endpoint | undefined): Promise<void> {
    const models = this.#watched.get(backendSlots) ?? new Set<string>();
    this.#watched.set(backendSlots, models);
    if (models.has(model)) return;
    models.add(model);
    try {
      await this.#watch(backendSlots, model, endpoint);
    } finally {
      models.delete(model);
    }
  }

  /**
   * Sends one own request in each generation of the circuit, where that loads nothing. Else it checks the health of the
   * backend. A health check needs no slot: other models may have all slots for hours.
   */
  async #watch(backendSlots: BackendSlots, model: string, endpoint: Endpoint | undefined): Promise<void> {
    const circuit = backendSlots.circuits.of(model);
    let { generation } = circuit;
    let good = 0;
    let isSent = false;
    while (circuit.probing) {
      if (!(await pause(QUIET_MS, this.#stop.signal))) return;
      if (circuit.generation !== generation) {
        ({ generation } = circuit);
        good = 0;
        isSent = false;
      }
      if (circuit.room === 0) {
        // It is shut, or a task is on its way through: the end of that task shows more.
        good = 0;
      } else if (!isSent && mayProbe(backendSlots, model)) {
        isSent = true;
        await this.#sendOwn(backendSlots, model, endpoint);
      } else {
        good = (await this.#isHealthy(backendSlots, model)) ? good + 1 : 0;
        if (good >= QUIET_CHECKS) circuit.settle(generation);
      }
    }
  }

  async #isHealthy(backendSlots: BackendSlots, model: string): Promise<boolean> {
    if (backendSlots.nameOf(model) === undefined) return false;
    const ends = AbortSignal.any([this.#stop.signal, processStalls.signal(CHECK_LIMIT_MS)]);
    try {
      const { models } = await backendSlots.backend.inspect(ends);
      return backendSlots.healthy && models.some((card) => servesQueue(card, model));
    } catch {
      return false;
    }
  }
}

/** True when a slot is free, and a request for the model loads nothing. */
function mayProbe(backendSlots: BackendSlots, model: string): boolean {
  return backendSlots.roomFor(model) > 0 && backendSlots.resident.has(modelOf(model));
}
