import { AggregatorRegistry, Gauge, Registry } from "prom-client";
import type {
  BackendAnnouncement,
  CircuitState,
  GatewayAnnouncement,
  QueueReading,
  RedisReading,
  WorkerAnnouncement,
} from "../core/fleet.ts";
import { circuitStateOf } from "../core/fleet.ts";
import { offersOf } from "../core/offers.ts";
import { labelledReport } from "./reported-metrics.ts";

/** Readings of the whole fleet. Any gateway can serve them. */
export interface FleetReadings {
  readonly gateways: readonly GatewayAnnouncement[];
  readonly workers: readonly WorkerAnnouncement[];
  readonly queues: readonly QueueReading[];
  readonly redis: RedisReading;
  /** Metrics as each worker reported them, unchecked, by worker id. */
  readonly reports: ReadonlyMap<string, unknown>;
}

/** Gauges of the fleet in Prometheus' text format, then the metrics that workers report, with the label `worker`. */
export async function renderFleetMetrics(readings: FleetReadings): Promise<string> {
  const registry = new Registry();
  addGauges(registry, QUEUE_GAUGES, readings);
  addGauges(registry, WORKER_GAUGES, readings);
  addGauges(registry, BACKEND_GAUGES, readings);
  addGauges(registry, MODEL_GAUGES, readings);
  addGauges(registry, CIRCUIT_GAUGES, readings);
  addGauges(registry, FLEET_GAUGES, readings);
  const reports = [...readings.reports].map(([worker, report]) =>
    // A reported metric must not repeat one of this page's own gauges.
    labelledReport(["worker", worker], report).filter(
      ({ name }) => registry.getSingleMetric(name) === undefined,
    ),
  );
  const workers = AggregatorRegistry.aggregate(reports);
  return `${await registry.metrics()}\n${await workers.metrics()}`;
}

/**
 * Metrics that several processes reported, in Prometheus' text format.
 *
 * @param label name of the label that holds the process id
 * @param reports unchecked reports by process id
 */
export async function renderReports(label: string, reports: ReadonlyMap<string, unknown>): Promise<string> {
  const all = [...reports].map(([id, report]) => labelledReport([label, id], report));
  return AggregatorRegistry.aggregate(all).metrics();
}

/** Gauges with the same labels and the same subjects. */
interface GaugeTable<Subject> {
  readonly labels: readonly string[];
  readonly subjects: (readings: FleetReadings) => readonly Subject[];
  readonly labelsOf: (subject: Subject) => readonly string[];
  readonly gauges: Readonly<Record<string, readonly [help: string, read: (subject: Subject) => number]>>;
}

function addGauges<Subject>(registry: Registry, table: GaugeTable<Subject>, readings: FleetReadings): void {
  const subjects = table.subjects(readings);
  for (const [name, [help, read]] of Object.entries(table.gauges)) {
    const gauge = new Gauge({
      name: `sgnet_${name}`,
      help,
      labelNames: [...table.labels],
      registers: [registry],
    });
    for (const subject of subjects) gauge.labels(...table.labelsOf(subject)).set(read(subject));
  }
}

const QUEUE_GAUGES: GaugeTable<QueueOffer> = {
  labels: ["model"],
  subjects: offers,
  labelsOf: ({ queue }) => [queue.model],
  gauges: {
    queue_waiting_tasks: ["Tasks queued and not claimed", ({ queue }) => queue.waiting],
    queue_oldest_wait_seconds: [
      "Waiting time of the first queued task",
      ({ queue }) => queue.oldestWaitMs / 1000,
    ],
    queue_claimed_tasks: ["Tasks that workers have claimed", ({ queue }) => queue.claimed],
    queue_oldest_idle_seconds: [
      "Longest time since the lease of a claimed task was renewed",
      ({ queue }) => queue.oldestIdleMs / 1000,
    ],
    dead_letters: ["Dead letters kept in Redis", ({ queue }) => queue.deadLetters],
    model_workers: ["Workers that take tasks of the model", ({ workers }) => workers],
    model_slots: ["Slots of the backends that take tasks of the model", ({ slots }) => slots],
  },
};

const WORKER_GAUGES: GaugeTable<WorkerAnnouncement> = {
  labels: ["worker", "host", "version"],
  subjects: ({ workers }) => workers,
  labelsOf: ({ id, host, version }) => [id, host, version],
  gauges: {
    worker_up: ["Always 1: the worker announces itself", () => 1],
    worker_draining: ["1 when the worker takes no more tasks", ({ draining }) => Number(draining)],
    worker_start_time_seconds: [
      "Seconds since 1970 when the worker started",
      ({ startedAt }) => startedAt / 1000,
    ],
  },
};

interface WorkerBackend {
  readonly worker: WorkerAnnouncement;
  readonly backend: BackendAnnouncement;
}

const BACKEND_GAUGES: GaugeTable<WorkerBackend> = {
  labels: ["worker", "host", "backend", "kind"],
  subjects: workerBackends,
  labelsOf: ({ worker, backend }) => [worker.id, worker.host, backend.name, backend.kind],
  gauges: {
    backend_up: ["1 when the backend answers its worker", ({ backend }) => Number(backend.healthy)],
    backend_slots: ["Tasks the backend runs at once", ({ backend }) => backend.slots],
    backend_busy_slots: ["Tasks the backend runs", ({ backend }) => backend.busy],
    backend_models: ["Models the backend has", ({ backend }) => backend.models.length],
  },
};

interface Resident {
  readonly post: WorkerBackend;
  readonly model: string;
  readonly bytes: number;
}

const MODEL_GAUGES: GaugeTable<Resident> = {
  labels: ["worker", "host", "backend", "model"],
  subjects: (readings) =>
    workerBackends(readings).flatMap((post) =>
      post.backend.models
        .filter(({ resident }) => resident)
        .map(({ key, load }) => ({ post, model: key, bytes: load?.size ?? 0 })),
    ),
  labelsOf: ({ post, model }) => [post.worker.id, post.worker.host, post.backend.name, model],
  gauges: {
    model_resident: ["Always 1: the model is in the memory of the backend", () => 1],
    model_memory_bytes: [
      "Memory of a resident model; 0 where the backend does not report it",
      ({ bytes }) => bytes,
    ],
  },
};

interface Circuit {
  readonly post: WorkerBackend;
  readonly model: string;
  readonly level: number;
}

const CIRCUIT_LEVELS: ReadonlyMap<string, number> = new Map<CircuitState, number>([
  ["closed", 0],
  ["busy", 0],
  ["half-open", 1],
  ["paced", 1],
  ["open", 2],
]);

const CIRCUIT_GAUGES: GaugeTable<Circuit> = {
  labels: ["worker", "host", "backend", "model"],
  subjects: (readings) => workerBackends(readings).flatMap(circuitsOf),
  labelsOf: ({ post, model }) => [post.worker.id, post.worker.host, post.backend.name, model],
  gauges: {
    model_circuit: [
      "0 closed, 1 half-open or paced, 2 open: no task of the model goes to the backend",
      ({ level }) => level,
    ],
  },
};

/** The states of a backend's circuits. A state that only newer workers know has no level and is left out. */
function circuitsOf(post: WorkerBackend): Circuit[] {
  return post.backend.models.flatMap(({ key }) => {
    const level = CIRCUIT_LEVELS.get(circuitStateOf(post.backend, key));
    return level === undefined ? [] : [{ post, model: key, level }];
  });
}

const FLEET_GAUGES: GaugeTable<FleetReadings> = {
  labels: [],
  subjects: (readings) => [readings],
  labelsOf: () => [],
  gauges: {
    gateways: ["Gateways that announce themselves", ({ gateways }) => gateways.length],
    redis_used_memory_bytes: ["Memory Redis uses for data", ({ redis }) => redis.usedMemoryBytes],
    redis_max_memory_bytes: [
      "Memory limit of Redis; 0 when there is none",
      ({ redis }) => redis.maxMemoryBytes,
    ],
    redis_clients: ["Connections to Redis", ({ redis }) => redis.clients],
    redis_uptime_seconds: ["Uptime of Redis", ({ redis }) => redis.uptimeSeconds],
    redis_persistent: [
      "0 when Redis could not write its data to disk",
      ({ redis }) => Number(redis.persistent),
    ],
    redis_ping_seconds: ["Round trip of a PING", ({ redis }) => redis.roundTripMs / 1000],
  },
};

/** A queue and the capacity that serves it. */
interface QueueOffer {
  readonly queue: QueueReading;
  readonly workers: number;
  readonly slots: number;
}

function offers(readings: FleetReadings): QueueOffer[] {
  return readings.queues.map((queue) => {
    const serving = offersOf(readings.workers, queue.model);
    const slots = serving.reduce((sum, offer) => sum + offer.slots, 0);
    return { queue, workers: new Set(serving.map(({ worker }) => worker.id)).size, slots };
  });
}

function workerBackends({ workers }: FleetReadings): WorkerBackend[] {
  return workers.flatMap((worker) => worker.backends.map((backend) => ({ worker, backend })));
}
