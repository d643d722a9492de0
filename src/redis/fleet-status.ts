import type { GatewayAnnouncement, QueueReading, WorkerAnnouncement } from "../core/fleet.ts";
import { offersOf } from "../core/offers.ts";
import type { Connection } from "./connection.ts";
import { modelsWithLetters } from "./dead-letters.ts";
import type { Keys } from "./keys.ts";
import { readQueues } from "./queue-readings.ts";
import { listGateways, listWorkers, rememberedModels } from "./registry.ts";

/** A picture of the fleet, as Redis knows it. */
export interface FleetStatus {
  readonly gateways: readonly GatewayAnnouncement[];
  readonly workers: readonly WorkerAnnouncement[];
  readonly models: readonly ModelStatus[];
}

export interface ModelStatus extends QueueReading {
  /** Workers that take its tasks. */
  readonly workers: number;
  /** Slots of the backends that take its tasks; a slot serves all models of its backend. */
  readonly slots: number;
}

/**
 * Reads the fleet. Models are those that a worker serves or served at or after `since` (ms since 1970), and those that
 * have dead letters.
 */
export async function readFleet(connection: Connection, keys: Keys, since: number): Promise<FleetStatus> {
  const [gateways, workers, remembered, dead] = await Promise.all([
    listGateways(connection, keys),
    listWorkers(connection, keys),
    rememberedModels(connection, keys, since),
    modelsWithLetters(connection, keys),
  ]);
  const readings = await readQueues(connection, keys, [...new Set([...remembered, ...dead])].toSorted());
  return { gateways, workers, models: readings.map((reading) => modelStatus(reading, workers)) };
}

function modelStatus(reading: QueueReading, workers: readonly WorkerAnnouncement[]): ModelStatus {
  const offers = offersOf(workers, reading.model);
  const slots = offers.reduce((sum, offer) => sum + offer.slots, 0);
  return { ...reading, workers: new Set(offers.map(({ worker }) => worker.id)).size, slots };
}
