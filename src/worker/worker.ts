import { randomBytes } from "node:crypto";
import { systemAmbient } from "../core/ambient.ts";
import { accessOf } from "../redis/access.ts";
import { connect } from "../redis/connect.ts";
import type { Connection } from "../redis/connection.ts";
import { onControl } from "../redis/control.ts";
import { preferFunctions } from "../redis/functions.ts";
import { OutageLog } from "../redis/outage-log.ts";
import { dropConsumer, dropQueue } from "../redis/task-stream.ts";
import { recruit } from "./crew.ts";
import type { Connections, Crew, WorkerOptions } from "./crew.ts";
import { PhaseWatch } from "./phase-watch.ts";
import type { Station } from "./station.ts";

/** A running worker. */
export interface WorkerHandle {
  readonly id: string;
  /**
   * Stops: claims nothing more, lets running tasks finish for up to the drain time, hands back what has not begun,
   * ends the rest with a fault, frees everything. Idempotent.
   */
  stop(): Promise<void>;
}

/** Frames and acknowledgements of the last tasks get this long to reach Redis, ms. */
const FAREWELL_MS = 2000;

/** Unique per incarnation: two processes with one consumer name would take each other's tasks for their own. */
export function newWorkerId(): string {
  return `w${randomBytes(6).toString("hex")}`;
}

/**
 * Starts a worker for the given backends, which it closes when it stops. It only dials out.
 * @throws Fault `redis_down` when Redis cannot be reached
 */
export async function startWorker(options: WorkerOptions): Promise<WorkerHandle> {
  const { settings, log, id = newWorkerId() } = options;
  const connections: Connection[] = [];
  const outages = new OutageLog(log);
  const open = async (role: string): Promise<Connection> => {
    const connection = await connect(settings.redisUrl, `sgnet-worker-${role}`, accessOf(settings));
    outages.watch(connection);
    if (role !== "control") await preferFunctions(connection);
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

async function assemble(options: WorkerOptions, worker: string, redis: Connections): Promise<WorkerHandle> {
  const crew = await recruit(options, worker, redis);
  const { presence, keeper, sweeper, claimers, log } = crew;
  const watch = new PhaseWatch(crew.roll, systemAmbient.mono);
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
  options.watch?.start(async (backend) => crew.hiring.hire(backend));
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
  crew.hiring.hold(isHeld);
  if (isHeld) sweeper.drain();
  else sweeper.undrain();
  for (const station of stations) if (station.announced) station.hold(isHeld);
  if (isHeld) for (const claimer of claimers) void claimer.interrupt();
  void (isHeld ? presence.drain() : presence.undrain());
}

async function stop(options: WorkerOptions, crew: Crew, connections: readonly Connection[]): Promise<void> {
  const { roll, presence, keeper, sweeper, acknowledger, emitter, stations, claimers } = crew;
  await options.watch?.stop();
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
  crew.forgetStalls();
  crew.prober.stop();
  await acknowledger.flush();
  await crew.reporter.stop();
  await presence.stop();
  for (const station of stations) await leaveQueues(crew, station);
  emitter.stop();
  for (const connection of connections) connection.close();
  await Promise.all(crew.backends.map(async (backend) => backend.close()));
}

/** Queues of models stay for other workers; those of errands are this worker's own. */
async function leaveQueues({ leases, keys, worker }: Crew, station: Station): Promise<void> {
  for (const { key } of station.queues) {
    const work = station.announced ? dropConsumer(leases, keys, key, worker) : dropQueue(leases, keys, key);
    await work.catch(() => undefined);
  }
}
