import { modelOf, queueWords, servesQueue } from "../core/ability.ts";
import type { Endpoint } from "../core/task.ts";
import type { Log } from "../telemetry/log.ts";
import { ownStalls } from "../telemetry/stall-meter.ts";
import type { WorkerMetrics } from "../telemetry/worker-metrics.ts";
import { askOwn, pause } from "./own-request.ts";
import type { OwnAnswer } from "./own-request.ts";
import type { Peers } from "./peers.ts";
import type { Judgement, Station, Visit } from "./station.ts";

/** The circuit of a model that cannot be asked for closes after so many good looks at its backend, so far apart; ms. */
const QUIET_LOOKS = 3;
const QUIET_MS = 1000;
const LOOK_LIMIT_MS = 5000;

export interface ProberOptions {
  readonly log: Log;
  readonly peers: Pick<Peers, "mayEject">;
  readonly metrics: Pick<WorkerMetrics, "probed">;
}

/**
 * Asks backends itself: when failures may be one client's doing, and when an open circuit may be probed. So no client can
 * shut a backend for others, none has to be the probe, and a circuit closes without any traffic.
 *
 * A probe never loads a model: where that could be, and no client asks for the model, a circuit closes after a few good
 * looks at the backend. In doubt it may: others have asked for the model just then.
 */
export class Prober implements Judgement {
  readonly #options: ProberOptions;
  readonly #stop = new AbortController();
  /** Circuits that are being looked at, or asked. */
  readonly #recovering = new Map<Station, Set<string>>();

  constructor(options: ProberOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#stop.abort();
  }

  mayEject(station: Station, model: string): boolean {
    return this.#options.peers.mayEject(model, station);
  }

  doubt(station: Station, model: string, endpoint: Endpoint | undefined): void {
    void this.#ask(station, model, endpoint);
  }

  probe(station: Station, model: string, endpoint: Endpoint | undefined): void {
    const isPaced = station.gateOf(model).state === "paced";
    if (isPaced || !mayAsk(station, model)) void this.#recover(station, model, endpoint);
    // An answer may leave open whether the backend is well.
    else void this.#ask(station, model, endpoint).then(async () => this.#recover(station, model, endpoint));
  }

  /** The visit begins at once: the slot is that of the attempt that failed, or the only one of an open circuit. */
  async #ask(station: Station, model: string, endpoint: Endpoint | undefined): Promise<void> {
    const visit = station.occupy(model);
    try {
      const answer = await askOwn(station, visit, endpoint, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      this.#options.metrics.probed(station.backend.name, answer);
      this.#options.log.info("the worker asked the backend itself", {
        backend: station.backend.name,
        model: queueWords(model),
        answer,
      });
      tell(visit, station, answer);
    } finally {
      station.release(visit);
    }
  }

  /** Sees to a circuit until it is closed: one watch for each. */
  async #recover(station: Station, model: string, endpoint: Endpoint | undefined): Promise<void> {
    const models = this.#recovering.get(station) ?? new Set<string>();
    this.#recovering.set(station, models);
    if (models.has(model)) return;
    models.add(model);
    try {
      await this.#watch(station, model, endpoint);
    } finally {
      models.delete(model);
    }
  }

  /**
   * Asks once in each era of the gate where that loads nothing, and else looks at the backend now and then. A look needs
   * no slot: others may have all of them for hours, with other models.
   */
  async #watch(station: Station, model: string, endpoint: Endpoint | undefined): Promise<void> {
    const gate = station.gateOf(model);
    let { era } = gate;
    let good = 0;
    let isAsked = false;
    while (gate.probing) {
      if (!(await pause(QUIET_MS, this.#stop.signal))) return;
      if (gate.era !== era) {
        ({ era } = gate);
        good = 0;
        isAsked = false;
      }
      if (gate.room === 0) {
        // It is shut, or a task is on its way through: what becomes of that tells more.
        good = 0;
      } else if (!isAsked && mayAsk(station, model)) {
        isAsked = true;
        await this.#ask(station, model, endpoint);
      } else {
        good = (await this.#looksWell(station, model)) ? good + 1 : 0;
        if (good >= QUIET_LOOKS) gate.settle(era);
      }
    }
  }

  async #looksWell(station: Station, model: string): Promise<boolean> {
    if (station.nameOf(model) === undefined) return false;
    const ends = AbortSignal.any([this.#stop.signal, ownStalls.signal(LOOK_LIMIT_MS)]);
    try {
      const { models } = await station.backend.inspect(ends);
      return station.healthy && models.some((card) => servesQueue(card, model));
    } catch {
      return false;
    }
  }
}

function tell(visit: Visit, station: Station, answer: OwnAnswer): void {
  const { gate, era } = visit;
  switch (answer) {
    case "works":
      gate.ownWorked(era, station.slots);
      break;
    case "fails":
      station.broke(visit);
      gate.failed(era, { strength: "own" });
      break;
    case "busy":
      gate.ownUnclear();
      gate.busy(era, 0);
      break;
    case "unclear":
      gate.ownUnclear();
      break;
  }
}

/** True when a slot is free, and asking for the model loads nothing. */
function mayAsk(station: Station, model: string): boolean {
  return station.roomFor(model) > 0 && station.resident.has(modelOf(model));
}
