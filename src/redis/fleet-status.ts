import type { GatewayAnnouncement, QueueReading, WorkerAnnouncement } from "../core/fleet.ts";
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
  /** Workers that offer it. */
  readonly workers: number;
  /** Slots of the backends that have it; a slot serves all models of its backend. */
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
  const offers = workers.map(({ backends }) =>
    backends.filter(({ models }) => models.some(({ key }) => key === reading.model)),
  );
  const slots = offers.flat().reduce((sum, backend) => sum + backend.slots, 0);
  return { ...reading, workers: offers.filter((backends) => backends.length > 0).length, slots };
}
