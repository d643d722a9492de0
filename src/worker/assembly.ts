import type { Backend } from "../backends/backend.ts";
import type { LocalServerSearch } from "../backends/open.ts";
import type { Settings } from "../config/settings.ts";
import { productBuild, productVersion } from "../config/version.ts";
import { systemAmbient } from "../core/ambient.ts";
import type { Ambient } from "../core/ambient.ts";
import type { Connection } from "../redis/connection/connection.ts";
import { Keys } from "../redis/keys.ts";
import { MetricsReports } from "../redis/inspect/metrics-reports.ts";
import { MetricsReporter } from "../redis/inspect/metrics-reporter.ts";
import type { Log } from "../telemetry/log.ts";
import { reportStalls } from "../telemetry/stall-report.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import { openWorkerMetrics } from "../telemetry/worker-metrics.ts";
import type { WorkerMetrics } from "../telemetry/worker-metrics.ts";
import { BackendRegistration } from "./backend-registration.ts";
import type { BackendSlots } from "./backend-slots.ts";
import { buildBackends } from "./backend-assembly.ts";
import type { BackendParts } from "./backend-assembly.ts";
import { Claimer } from "./claimer.ts";
import { linkTo, openWorkerLinks } from "./links.ts";
import type { Link, WorkerLinks, OpenConnection } from "./links.ts";
import { buildTasks } from "./task-assembly.ts";
import type { TaskParts } from "./task-assembly.ts";

/** Options of a worker. */
export interface WorkerOptions {
  readonly settings: Settings;
  readonly log: Log;
  readonly backends: readonly Backend[];
  /** Finds backends that come later; absent when they are all known. */
  readonly watch?: LocalServerSearch | undefined;
  /** Its id, where it was announced before; a new one when absent. */
  readonly id?: string;
  /** Absent when no spans are collected. */
  readonly tracing?: Tracing | undefined;
}

/** The identity and the surroundings of one worker, which most of its parts need. */
export interface WorkerBase {
  readonly worker: string;
  readonly settings: Settings;
  readonly log: Log;
  readonly tracing: Tracing | undefined;
  readonly metrics: WorkerMetrics;
  readonly links: WorkerLinks;
  readonly ambient: Ambient;
}

/** The parts of a worker, none of which has begun. */
export interface Assembly {
  readonly base: WorkerBase;
  readonly backends: BackendParts;
  readonly tasks: TaskParts;
  readonly registration: BackendRegistration;
  readonly reporter: MetricsReporter;
  /** Ends the reports of this process's own stalls. */
  readonly forgetStalls: () => void;
}

/**
 * Makes the parts of a worker and connects them. Rejects with `redis_down`, and with `internal` when Redis cannot be
 * used.
 */
export async function buildWorker(
  options: WorkerOptions,
  worker: string,
  openConnection: OpenConnection,
): Promise<Assembly> {
  const { settings, log, tracing } = options;
  const metrics = openWorkerMetrics({ version: productVersion(), build: productBuild() });
  const open = async (role: string): Promise<Connection> => {
    const connection = await openConnection(role);
    connection.onDown(metrics.redisFailed);
    return connection;
  };
  const keys = new Keys(settings.prefix);
  const links = await openWorkerLinks(open, keys);
  const base = { worker, settings, log, tracing, metrics, links, ambient: systemAmbient };
  const backends = buildBackends(base, options);
  const tasks = await buildTasks(base, backends);
  const { allBackendSlots, slotsOf, healthMonitor } = backends;
  const claimerOf = claimerMaker(base, tasks, async (role) => linkTo(await open(role), keys));
  const registration = new BackendRegistration({ allBackendSlots, slotsOf, claimerOf, healthMonitor });
  await registration.open();
  const reports = MetricsReports.ofWorkers(links.leases.connection, keys);
  const reporter = new MetricsReporter({ reports, id: worker, metrics });
  return { base, backends, tasks, registration, reporter, forgetStalls: reportStalls(log, metrics) };
}

/** Returns the maker of claimers. A claimer blocks its connection, so each has one of its own. */
function claimerMaker(
  { worker, settings, log, links, ambient }: WorkerBase,
  { failoverGuard, sweeper, deliveries }: TaskParts,
  open: (role: string) => Promise<Link>,
): (backendSlots: BackendSlots) => Promise<Claimer> {
  const { doorbells } = links.leases.stores;
  const { leaseMs } = settings;
  let count = 0;
  return async (backendSlots) => {
    const name = `${worker}.${count++}`;
    const link = { ...(await open("claims")), doorbells, name, worker };
    return new Claimer({ backendSlots, link, log, leaseMs, failoverGuard, sweeper, deliveries, ambient });
  };
}
