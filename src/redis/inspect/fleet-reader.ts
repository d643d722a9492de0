import type { GatewayAnnouncement, QueueReading, WorkerAnnouncement } from "../../core/fleet.ts";
import { offersOf } from "../../core/offers.ts";
import type { Connection } from "../connection/connection.ts";
import { DeadLetters } from "../dead-letters.ts";
import type { Keys } from "../keys.ts";
import { QueueReadings } from "./queue-readings.ts";
import { Registry } from "../registry.ts";

/** The state of the fleet, as Redis has it. */
export interface FleetStatus {
  readonly gateways: readonly GatewayAnnouncement[];
  readonly workers: readonly WorkerAnnouncement[];
  readonly models: readonly ModelStatus[];
}

export interface ModelStatus extends QueueReading {
  /** Workers that take its tasks. */
  readonly workers: number;
  /** Slots of the backends that take its tasks. A slot serves all models of its backend. */
  readonly slots: number;
}

function modelStatus(reading: QueueReading, workers: readonly WorkerAnnouncement[]): ModelStatus {
  const offers = offersOf(workers, reading.model);
  const slots = offers.reduce((sum, offer) => sum + offer.slots, 0);
  return { ...reading, workers: new Set(offers.map(({ worker }) => worker.id)).size, slots };
}

/** Reads the state of the whole fleet. */
export class FleetReader {
  readonly #registry: Registry;
  readonly #letters: DeadLetters;
  readonly #queues: QueueReadings;

  constructor(connection: Connection, keys: Keys) {
    this.#registry = new Registry(connection, keys);
    this.#letters = new DeadLetters(connection, keys);
    this.#queues = new QueueReadings(connection, keys);
  }

  /**
   * Reads the fleet, with each model that a worker served at or after `since` (ms since 1970).
   * Models with dead letters are included.
   */
  async read(since: number): Promise<FleetStatus> {
    const [gateways, workers, remembered, dead] = await Promise.all([
      this.#registry.listGateways(),
      this.#registry.listWorkers(),
      this.#registry.rememberedModels(since),
      this.#letters.models(),
    ]);
    const readings = await this.#queues.read([...new Set([...remembered, ...dead])].toSorted());
    return { gateways, workers, models: readings.map((reading) => modelStatus(reading, workers)) };
  }
}
