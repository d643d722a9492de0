import type { Settings } from "../config/settings.ts";
import type { GatewayAnnouncement, WorkerAnnouncement } from "../core/fleet.ts";
import { connect } from "../redis/connection.ts";
import type { Connection } from "../redis/connection.ts";
import { Keys } from "../redis/keys.ts";
import { listGateways, listWorkers, queueDepths, rememberedModels } from "../redis/registry.ts";
import type { QueueDepth } from "../redis/registry.ts";
import { shownRedisUrl, withRedis } from "./redis-url.ts";
import { renderTable } from "./table.ts";

/** A picture of the fleet, as Redis knows it. */
export interface FleetStatus {
  readonly gateways: readonly GatewayAnnouncement[];
  readonly workers: readonly WorkerAnnouncement[];
  readonly models: readonly ModelStatus[];
}

export interface ModelStatus extends QueueDepth {
  /** Workers that offer it. */
  readonly workers: number;
  /** Slots of the backends that have it; a slot serves all models of its backend. */
  readonly slots: number;
}

/** Prints the state of the fleet, for people or as JSON. Resolves with the exit code. */
export async function runStatus(given: Settings, json: boolean): Promise<number> {
  const settings = await withRedis(given);
  const connection = await connect(settings.redisUrl, "sgnet-status").catch((cause: unknown) => {
    throw new Error(`There is no Redis at ${shownRedisUrl(settings.redisUrl)}: is sgnet up running?`, {
      cause,
    });
  });
  try {
    const status = await readFleet(connection, settings);
    process.stdout.write(
      json ? `${JSON.stringify(status, undefined, 2)}\n` : renderFleet(status, Date.now()),
    );
    return 0;
  } finally {
    connection.close();
  }
}

/** Models are those that a worker offers or offered within the time they are remembered. */
export async function readFleet(connection: Connection, settings: Settings): Promise<FleetStatus> {
  const keys = new Keys(settings.prefix);
  const [gateways, workers, remembered] = await Promise.all([
    listGateways(connection, keys),
    listWorkers(connection, keys),
    rememberedModels(connection, keys, Date.now() - settings.modelMemoryMs),
  ]);
  const depths = await queueDepths(connection, keys, [...remembered].toSorted());
  return { gateways, workers, models: depths.map((depth) => modelStatus(depth, workers)) };
}

function modelStatus(depth: QueueDepth, workers: readonly WorkerAnnouncement[]): ModelStatus {
  const offers = workers.map(({ backends }) =>
    backends.filter(({ models }) => models.some(({ key }) => key === depth.model)),
  );
  const slots = offers.flat().reduce((sum, backend) => sum + backend.slots, 0);
  return { ...depth, workers: offers.filter((backends) => backends.length > 0).length, slots };
}

/** The status as tables. @param now ms since 1970 */
export function renderFleet({ gateways, workers, models }: FleetStatus, now: number): string {
  const seen = (at: number): string => `${Math.max(0, Math.round((now - at) / 1000))} s ago`;
  const gatewayRows = gateways.map((it) => [it.tag, `${it.host}:${it.port}`, it.open, seen(it.seenAt)]);
  const workerRows = workers.map((it) => [
    it.id,
    it.host,
    it.draining ? "draining" : "running",
    seen(it.seenAt),
  ]);
  const backendRows = workers.flatMap((worker) =>
    worker.backends.map((it) => [
      it.name,
      worker.id,
      it.healthy ? "healthy" : "down",
      `${it.busy}/${it.slots}`,
      it.models.length,
    ]),
  );
  const modelRows = models.map((it) => [it.model, it.workers, it.slots, it.waiting, it.claimed]);
  return [
    renderTable("Gateways", ["tag", "address", "open tasks", "seen"], gatewayRows),
    renderTable("Workers", ["id", "host", "state", "seen"], workerRows),
    renderTable("Backends", ["name", "worker", "state", "busy/slots", "models"], backendRows),
    renderTable("Models", ["model", "workers", "slots", "waiting", "running"], modelRows),
  ].join("\n");
}
