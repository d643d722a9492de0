import { randomBytes } from "node:crypto";
import type { Backend } from "../backends/backend.ts";
import type { Settings } from "../config/settings.ts";
import { productBuild, productVersion } from "../config/version.ts";
import { systemAmbient } from "../core/ambient.ts";
import { accessOf } from "../redis/access.ts";
import { connect } from "../redis/connect.ts";
import type { Connection } from "../redis/connection.ts";
import { onControl } from "../redis/control.ts";
import { Keys } from "../redis/keys.ts";
import { MetricsReporter } from "../redis/metrics-reporter.ts";
import { OutageLog } from "../redis/outage-log.ts";
import { requireSupported, uptimeMs } from "../redis/server.ts";
import { dropConsumer, dropQueue, keepQueues } from "../redis/task-stream.ts";
import type { Log } from "../telemetry/log.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import { openWorkerMetrics } from "../telemetry/worker-metrics.ts";
import type { WorkerMetrics } from "../telemetry/worker-metrics.ts";
import { Acknowledger } from "./acknowledger.ts";
import { Claimer } from "./claimer.ts";
import type { ClaimerOptions } from "./claimer.ts";
import { ErrandDesk } from "./errand-desk.ts";
import { Emitter } from "./emitter.ts";
import { Keeper } from "./keeper.ts";
import { Peers } from "./peers.ts";
import { PhaseWatch } from "./phase-watch.ts";
import { Presence } from "./presence.ts";
import { Resting } from "./resting.ts";
import { Returner } from "./returner.ts";
import { Roll } from "./roll.ts";
import { Runner } from "./runner.ts";
import { Station } from "./station.ts";
import type { StationOptions } from "./station.ts";
import { Sweeper } from "./sweeper.ts";
import { Trust } from "./trust.ts";

/** A running worker. */
export interface WorkerHandle {
  readonly id: string;
  /**
   * Stops: claims nothing more, lets running tasks finish for up to the drain time, hands back what has not begun,
   * ends the rest with a fault, frees everything. Idempotent.
   */
  stop(): Promise<void>;
}

export interface WorkerOptions {
  readonly settings: Settings;
  readonly log: Log;
  readonly backends: readonly Backend[];
  /** Absent when nobody collects spans. */
  readonly tracing?: Tracing | undefined;
}

/** What is left of the queues of a worker that was killed, ms. */
const ERRAND_QUEUE_MS = 60_000;

/** Frames and acknowledgements of the last tasks get this long to reach Redis, ms. */
const FAREWELL_MS = 2000;

/**
 * Starts a worker for the given backends, which it closes when it stops. It only dials out.
 * @throws Fault `redis_down` when Redis cannot be reached
 */
export async function startWorker(options: WorkerOptions): Promise<WorkerHandle> {
  // Unique per incarnation: two processes with one consumer name would take each other's tasks for their own.
  const id = `w${randomBytes(6).toString("hex")}`;
  const { settings, log } = options;
  const connections: Connection[] = [];
  const outages = new OutageLog(log);
  const open = async (role: string): Promise<Connection> => {
    const connection = await connect(settings.redisUrl, `sgnet-worker-${role}`, accessOf(settings));
    outages.watch(connection);
    connections.push(connection);
    return connection;
  };
  try {
    return await assemble(options, id, { open, connections });
  } catch (error) {
    for (const connection of connections) connection.close();
    throw error;
  }
}

interface Connections {
  readonly open: (role: string) => Promise<Connection>;
  readonly connections: readonly Connection[];
}

async function assemble(options: WorkerOptions, worker: string, redis: Connections): Promise<WorkerHandle> {
  const crew = await recruit(options, worker, redis);
  const { presence, keeper, sweeper, claimers, log } = crew;
  const watch = new PhaseWatch(crew.roll, mono);
  let stopping: Promise<void> | undefined;
  await onControl(crew.control, crew.keys, worker, {
    cancel: (task) => {
      crew.roll.cancel(task);
    },
    pause: (task) => {
      crew.roll.pause(task);
    },
    resume: (task) => {
      crew.roll.resume(task);
    },
    sweep: (model) => {
      void sweeper.sweepModel(model);
    },
    drain: () => {
      if (stopping === undefined) holdBack(crew, true);
    },
    undrain: () => {
      if (stopping === undefined) holdBack(crew, false);
    },
  });
  await presence.start();
  keeper.start();
  sweeper.start();
  watch.start();
  crew.reporter.start();
  for (const claimer of claimers) claimer.start();
  log.info("worker is ready", { worker, backends: options.backends.length });
  return {
    id: worker,
    stop: async () => {
      stopping ??= stop(options, crew, redis.connections).finally(() => {
        watch.stop();
      });
      return stopping;
    },
  };
}

/** Takes no more tasks, or takes them again; errands for its servers are still done. */
function holdBack(crew: Crew, isHeld: boolean): void {
  const { sweeper, presence, stations, claimers, log } = crew;
  log.info(isHeld ? "draining: told to take no more tasks" : "undrained: told to take tasks again");
  if (isHeld) sweeper.drain();
  else sweeper.undrain();
  for (const station of stations) if (station.announced) station.hold(isHeld);
  if (isHeld) for (const claimer of claimers) void claimer.interrupt();
  void (isHeld ? presence.drain() : presence.undrain());
}

interface Links {
  readonly writes: Connection;
  readonly leases: Connection;
  readonly control: Connection;
}

interface Crew extends Links {
  readonly keys: Keys;
  readonly worker: string;
  readonly log: Log;
  readonly stations: readonly Station[];
  readonly acknowledger: Acknowledger;
  readonly emitter: Emitter;
  readonly roll: Roll;
  readonly keeper: Keeper;
  readonly sweeper: Sweeper;
  readonly resting: Resting;
  readonly presence: Presence;
  readonly reporter: MetricsReporter;
  readonly claimers: readonly Claimer[];
}

const { mono, random } = systemAmbient;

async function recruit(options: WorkerOptions, worker: string, redis: Connections): Promise<Crew> {
  const { settings, log, tracing } = options;
  const { leaseMs, deliveryLimit, busyLimit } = settings;
  const keys = new Keys(settings.prefix);
  const links = { ...(await openLinks(redis)), keys };
  const stations = recruitStations(options, worker, {
    ...links,
    onChanged: (station) => {
      void presence.look(station);
    },
    onGate: (station, model, state) => {
      presence.gateChanged(station, model, state);
    },
  });
  const metrics = openWorkerMetrics({ version: productVersion(), build: productBuild() });
  const acknowledger = new Acknowledger({ connection: links.writes, keys, mono });
  const emitter = recruitEmitter(links, metrics);
  const delayMs = Math.max(0, 1.5 * leaseMs - (await uptimeMs(links.leases)));
  const trust = new Trust({ connection: links.leases, mono, leaseMs, delayMs, log });
  // What later looks are compared with.
  await trust.look();
  const roll = new Roll({ connection: links.leases, keys, mono, trust });
  const common = { ...systemAmbient, keys, worker, log, roll, acknowledger, leaseMs, deliveryLimit, tracing };
  const onUnreachable = (station: Station): void => {
    station.failed();
    void presence.look(station);
  };
  const sweep = (model: string): void => {
    void sweeper.sweepModel(model);
  };
  const resting = new Resting({ mono, onOver: sweep });
  const reading = { ...common, connection: links.leases, stations };
  const writing = { ...common, connection: links.writes, metrics };
  const returner = new Returner({ ...writing, busyLimit, peers: new Peers(reading), resting });
  const runner = new Runner({ ...writing, emitter, returner, trust, onUnreachable });
  const keeper = new Keeper({ ...reading, trust });
  const sweeper = new Sweeper({ ...reading, runner, resting, trust, onReclaimed: metrics.reclaimed });
  const offer = { version: productVersion(), stations, metrics, onModel: sweep };
  const presence = new Presence({ ...common, ...offer, connection: links.leases });
  const run = runnerOfFirst({ sweeper, runner, metrics });
  const onLost = sweeper.lookForOrphans;
  const claims = { ...common, trust, consumer: worker, bells: links.leases, onLost, run };
  const claimers = await recruitClaimers(stations, redis, claims);
  for (const connection of redis.connections) connection.onDown(metrics.redisFailed);
  return {
    ...links,
    worker,
    log,
    stations,
    acknowledger,
    emitter,
    roll,
    keeper,
    sweeper,
    resting,
    presence,
    reporter: new MetricsReporter({ connection: links.leases, key: keys.workerMetrics(worker), metrics }),
    claimers,
  };
}

/** Runs what a claimer brings, unless it was taken for an orphan when it was on the way. */
function runnerOfFirst(crew: {
  readonly sweeper: Sweeper;
  readonly runner: Runner;
  readonly metrics: WorkerMetrics;
}): ClaimerOptions["run"] {
  const { sweeper, runner, metrics } = crew;
  const { takeOver } = sweeper;
  return (station, task, askedAt) => {
    metrics.claimed(1);
    if (takeOver.takes(task)) sweeper.lookForOrphans();
    else runner.first(station, task, askedAt);
  };
}

/** One station per backend, and one for errands to those that are Ollama servers. */
function recruitStations(
  { backends, settings }: WorkerOptions,
  worker: string,
  links: Links & {
    readonly keys: Keys;
    readonly onChanged: (station: Station) => void;
    readonly onGate: NonNullable<StationOptions["onGate"]>;
  },
): readonly Station[] {
  const { leases, keys, onChanged, onGate } = links;
  const gates = { failures: settings.circuitFailures, mono, random };
  const stations = backends.map((backend) => new Station(backend, settings.slots, { gates, onGate }));
  if (!backends.some(({ kind }) => kind === "ollama" || kind === "unknown")) return stations;
  const keep = async (queues: readonly string[]): Promise<void> =>
    keepQueues(leases, keys, queues, ERRAND_QUEUE_MS);
  const desk = new ErrandDesk({ worker, stations, keep, onChanged });
  return [...stations, new Station(desk, 0, { announced: false })];
}

/** A claimer blocks its connection, so each has one of its own. */
async function recruitClaimers(
  stations: readonly Station[],
  redis: Connections,
  options: Omit<ClaimerOptions, "station" | "connection" | "farewell">,
): Promise<readonly Claimer[]> {
  const claimers: Claimer[] = [];
  for (const [index, station] of stations.entries()) {
    const connection = await redis.open("claims");
    const farewell = options.keys.farewell(`${options.consumer}.${index}`);
    claimers.push(new Claimer({ ...options, station, connection, farewell }));
  }
  return claimers;
}

/** Frames, heartbeats and subscriptions do not wait for each other. */
async function openLinks(redis: Connections): Promise<Links> {
  const writes = await redis.open("writes");
  await requireSupported(writes);
  return { writes, leases: await redis.open("leases"), control: await redis.open("control") };
}

function recruitEmitter(links: Links & { readonly keys: Keys }, metrics: WorkerMetrics): Emitter {
  return new Emitter({
    connection: links.writes,
    keys: links.keys,
    mono,
    onEmitted: (frames, bytes) => {
      metrics.emitted(frames, bytes);
    },
    onFenced: () => {
      metrics.fenced();
    },
  });
}

async function stop(options: WorkerOptions, crew: Crew, connections: readonly Connection[]): Promise<void> {
  const { roll, presence, keeper, sweeper, acknowledger, emitter, stations, claimers } = crew;
  sweeper.drain();
  for (const station of stations) station.hold(true);
  await presence.drain();
  await Promise.all(claimers.map(async (claimer) => claimer.stop()));
  await roll.empty(options.settings.drainMs);
  roll.stopAll("draining");
  await roll.empty(FAREWELL_MS);
  keeper.stop();
  sweeper.stop();
  crew.resting.stop();
  await acknowledger.flush();
  await crew.reporter.stop();
  await presence.stop();
  for (const station of stations) await leaveQueues(crew, station);
  emitter.stop();
  for (const connection of connections) connection.close();
  await Promise.all(options.backends.map(async (backend) => backend.close()));
}

/** Queues of models stay for other workers; those of errands are this worker's own. */
async function leaveQueues({ leases, keys, worker }: Crew, station: Station): Promise<void> {
  for (const { key } of station.models) {
    const work = station.announced ? dropConsumer(leases, keys, key, worker) : dropQueue(leases, keys, key);
    await work.catch(() => undefined);
  }
}
