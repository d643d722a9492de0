import type { Settings } from "../config/settings.ts";
import type { GatewayAnnouncement } from "../core/fleet.ts";
import { failingQueues } from "../core/fleet.ts";
import type { BackendAnnouncement, WorkerAnnouncement } from "../core/fleet.ts";
import { backendHealth } from "../core/offers.ts";
import { placementText } from "../gateway/monitor/placement-text.ts";
import type { FleetStatus } from "../redis/inspect/fleet-reader.ts";
import { Keys } from "../redis/keys.ts";
import { FleetReader } from "../redis/inspect/fleet-reader.ts";
import { print, printJson } from "./print.ts";
import { withConnection } from "./redis-discovery.ts";
import { renderTable } from "./table.ts";

/** Prints the state of the fleet, for people or as JSON. Resolves with the exit code. */
export async function runStatus(given: Settings, json: boolean): Promise<number> {
  return withConnection(given, "status", async (connection) => {
    const now = Date.now();
    const status = await new FleetReader(connection, new Keys(given.prefix)).read(now - given.modelMemoryMs);
    if (json) printJson(status);
    else print(renderFleet(status, now));
    return 0;
  });
}

function stateOf(worker: WorkerAnnouncement, backend: BackendAnnouncement, now: number): string {
  const state = backendHealth(worker, backend, now);
  return state === "failing" ? `failing: ${failingQueues(backend).join(" ")}` : state;
}

function memoryOf({ models, placement }: BackendAnnouncement): string {
  const resident = models.filter((model) => model.resident).map(({ key }) => key);
  const words = placementText(placement);
  return [resident.join(", ") || "-", ...(words === "" ? [] : [words])].join("; ");
}

/** The status as tables. @param now ms since 1970 */
export function renderFleet({ gateways, workers, models }: FleetStatus, now: number): string {
  const seen = (at: number): string => `${Math.max(0, Math.round((now - at) / 1000))} s ago`;
  const gatewayRows = gateways.map((it) => [it.tag, it.host, listensOn(it), it.open, seen(it.seenAt)]);
  const workerRows = workers.map((it) => [
    it.id,
    it.host,
    it.draining ? "draining" : it.starting === true ? "starting" : "running",
    seen(it.seenAt),
  ]);
  const backendRows = workers.flatMap((worker) =>
    worker.backends.map((it) => [
      it.name,
      worker.id,
      stateOf(worker, it, now),
      `${it.busy}/${it.slots}`,
      it.models.length,
      memoryOf(it),
    ]),
  );
  const modelRows = models.map((it) => [
    it.model,
    it.workers,
    it.slots,
    it.waiting,
    it.claimed,
    it.deadLetters,
  ]);
  return [
    renderTable("Gateways", ["tag", "host", "listens on", "open tasks", "seen"], gatewayRows),
    renderTable("Workers", ["id", "host", "state", "seen"], workerRows),
    renderTable("Backends", ["name", "worker", "state", "busy/slots", "models", "loaded"], backendRows),
    renderTable("Models", ["model", "workers", "slots", "waiting", "running", "dead letters"], modelRows),
  ].join("\n");
}

function listensOn({ listen = "*", port }: GatewayAnnouncement): string {
  return `${listen.includes(":") ? `[${listen}]` : listen}:${port}`;
}
