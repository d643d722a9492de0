import { randomBytes } from "node:crypto";
import type { Backend } from "../backends/backend.ts";
import type { Settings } from "../config/settings.ts";
import { productVersion } from "../config/version.ts";
import { systemAmbient } from "../core/ambient.ts";
import { connect } from "../redis/connection.ts";
import type { Connection } from "../redis/connection.ts";
import { onControl } from "../redis/control.ts";
import { Keys } from "../redis/keys.ts";
import { uptimeMs } from "../redis/server.ts";
import { dropConsumer } from "../redis/task-stream.ts";
import type { Log } from "../telemetry/log.ts";
import { openWorkerMetrics } from "../telemetry/metrics.ts";
import { Acknowledger } from "./acknowledger.ts";
import { Claimer } from "./claimer.ts";
import { Emitter } from "./emitter.ts";
import { Keeper } from "./keeper.ts";
import { Presence } from "./presence.ts";
import { Roll } from "./roll.ts";
import { Runner } from "./runner.ts";
import { Station } from "./station.ts";

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
}

/** Frames and acknowledgements of the last tasks get this long to reach Redis, ms. */
const FAREWELL_MS = 2000;

/**
 * Starts a worker for the given backends, which it closes when it stops. It only dials out.
 * @throws Fault `redis_down` when Redis cannot be reached
 */
export async function startWorker(options: WorkerOptions): Promise<WorkerHandle> {
  // Unique per incarnation: two processes with one consumer name would take each other's tasks for their own.
  const id = `w${randomBytes(6).toString("hex")}`;
  const connections: Connection[] = [];
  const open = async (role: string): Promise<Connection> => {
    const connection = await connect(options.settings.redisUrl, `sgnet-worker-${role}`);
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
  const { presence, keeper, claimers, log } = crew;
  await onControl(crew.control, crew.keys, worker, {
    cancel: (task) => {
      crew.roll.cancel(task);
    },
    sweep: (model) => {
      void keeper.sweepModel(model);
    },
  });
  await presence.start();
  keeper.start();
  for (const claimer of claimers) claimer.start();
  log.info("worker is ready", { worker, backends: crew.stations.length });
  let stopping: Promise<void> | undefined;
  return {
    id: worker,
    stop: async () => {
      stopping ??= stop(options, crew, redis.connections);
      return stopping;
    },
  };
}

type Crew = Awaited<ReturnType<typeof recruit>>;

async function recruit(options: WorkerOptions, worker: string, redis: Connections) {
  const { settings, log, backends } = options;
  const { now, mono, random } = systemAmbient;
  const { leaseMs, deliveryLimit } = settings;
  const keys = new Keys(settings.prefix);
  const writes = await redis.open("writes");
  const leases = await redis.open("leases");
  const control = await redis.open("control");
  const metrics = openWorkerMetrics({ version: productVersion() });
  const stations = backends.map((backend) => new Station(backend, settings.slots));
  const acknowledger = new Acknowledger({ connection: writes, keys });
  const emitter = new Emitter({
    connection: writes,
    keys,
    mono,
    onEmitted: (frames, bytes) => {
      metrics.emitted(frames, bytes);
    },
    onFenced: () => {
      metrics.fenced();
    },
  });
  // The roll asks the keeper, which is made after it: both exist before the first question.
  const trust = { trusted: (): boolean => true };
  const roll = new Roll({ connection: leases, keys, mono, trusted: () => trust.trusted() });
  const common = { keys, worker, log, roll, acknowledger, leaseMs, deliveryLimit, now, mono, random };
  const runner = new Runner({
    ...common,
    connection: writes,
    emitter,
    onUnreachable: (station) => {
      station.failed();
      void presence.look(station);
    },
  });
  const keeper = new Keeper({
    ...common,
    connection: leases,
    runner,
    stations,
    sweepDelayMs: Math.max(0, 1.5 * leaseMs - (await uptimeMs(leases))),
    onReclaimed: (count) => {
      metrics.reclaimed(count);
    },
  });
  trust.trusted = keeper.trusted;
  const presence = new Presence({
    connection: leases,
    keys,
    worker,
    version: productVersion(),
    log,
    stations,
    now,
    onModels: (models) => {
      for (const model of models) void keeper.sweepModel(model);
    },
  });
  const claimers: Claimer[] = [];
  for (const station of stations) {
    const connection = await redis.open("claims");
    const run = runner.run;
    claimers.push(new Claimer({ station, connection, keys, consumer: worker, log, random, run }));
  }
  return {
    keys,
    worker,
    control,
    leases,
    stations,
    acknowledger,
    emitter,
    roll,
    keeper,
    presence,
    claimers,
    log,
  };
}

async function stop(options: WorkerOptions, crew: Crew, connections: readonly Connection[]): Promise<void> {
  const { roll, presence, keeper, acknowledger, emitter, stations, claimers } = crew;
  await presence.drain();
  await Promise.all(claimers.map(async (claimer) => claimer.stop()));
  await roll.empty(options.settings.drainMs);
  roll.stopAll("draining");
  await roll.empty(FAREWELL_MS);
  keeper.stop();
  await acknowledger.flush();
  await presence.stop();
  for (const model of new Set(stations.flatMap((one) => one.models.map((card) => card.key)))) {
    await dropConsumer(crew.leases, crew.keys, model, crew.worker).catch(() => undefined);
  }
  emitter.stop();
  for (const connection of connections) connection.close();
  await Promise.all(options.backends.map(async (backend) => backend.close()));
}
