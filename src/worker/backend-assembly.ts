import type { Backend } from "../backends/backend.ts";
import { productVersion } from "../config/version.ts";
import { WorkerAnnouncer } from "./announcer.ts";
import type { WorkerBase, WorkerOptions } from "./assembly.ts";
import { BackendSlots } from "./backend-slots.ts";
import type { BackendSlotsOptions } from "./backend-slots.ts";
import { FleetLookup } from "./fleet-lookup.ts";
import { HealthMonitor } from "./health-monitor.ts";
import { ManagementBackend } from "./management-backend.ts";
import { Prober } from "./prober.ts";
import { QueueGroups } from "./queue-groups.ts";

/** The backends of a worker, and the parts that watch them. */
export interface BackendParts {
  readonly allBackendSlots: BackendSlots[];
  /** Returns slots for a backend of the worker. */
  readonly slotsOf: (backend: Backend) => BackendSlots;
  readonly fleetLookup: FleetLookup;
  readonly prober: Prober;
  readonly announcer: WorkerAnnouncer;
  readonly healthMonitor: HealthMonitor;
}

/** Makes slots for each backend, and for management requests to those that are Ollama servers. */
export function buildBackends(base: WorkerBase, options: WorkerOptions): BackendParts {
  const { worker, settings, log, metrics, links, ambient } = base;
  const { connection, stores } = links.leases;
  const allBackendSlots: BackendSlots[] = [];
  const fleetLookup = new FleetLookup({ stores, worker, allBackendSlots, ambient });
  const prober = new Prober({ log, fleetLookup, metrics });
  const about = { worker, version: productVersion(), startupMs: settings.startupMs };
  const announcer = new WorkerAnnouncer({ stores, ...about, allBackendSlots, metrics, ambient });
  const groups = new QueueGroups(stores);
  const healthMonitor = new HealthMonitor({
    connection,
    log,
    allBackendSlots,
    announcer,
    groups,
    metrics,
    ambient,
  });
  const given = slotsOptions(base, prober, healthMonitor);
  const slotsOf = (backend: Backend): BackendSlots => new BackendSlots(backend, settings.slots, given);
  for (const backend of options.backends) allBackendSlots.push(slotsOf(backend));
  if (needsManagement(options)) {
    const management = new ManagementBackend({ stores, worker, allBackendSlots, healthMonitor });
    allBackendSlots.push(new BackendSlots(management, 0, { announced: false }));
  }
  return { allBackendSlots, slotsOf, fleetLookup, prober, announcer, healthMonitor };
}

/** True when the worker has Ollama servers, or may find some later. */
function needsManagement({ backends, watch }: WorkerOptions): boolean {
  return (
    watch !== undefined || backends.some(({ kind, mayChange }) => kind === "ollama" || mayChange === true)
  );
}

function slotsOptions(
  { settings, log, metrics, ambient }: WorkerBase,
  prober: Prober,
  healthMonitor: HealthMonitor,
): BackendSlotsOptions {
  const options: BackendSlotsOptions = {
    circuits: { failures: settings.circuitFailures, ambient },
    onCircuit: (...change) => healthMonitor.circuitChanged(...change),
    judgeOf: (backendSlots) => prober.judgeOf(backendSlots),
  };
  if (settings.placement === "off") return options;
  const { swapWaitMs, swapResidencyMs, modelsLoaded } = settings;
  return {
    ...options,
    placement: { swapWaitMs, swapResidencyMs, modelsLoaded, ambient },
    onMemory: (backendSlots) => void healthMonitor.check(backendSlots),
    onSwap: ({ backend }, model, waitedMs) => {
      metrics.swapped(backend.name, waitedMs / 1000);
      log.debug("a model makes room for another", { backend: backend.name, model, waitedMs });
    },
  };
}
