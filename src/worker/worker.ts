import { randomBytes } from "node:crypto";
import { accessOf } from "../redis/connection/access.ts";
import { connect } from "../redis/connection/connect.ts";
import type { Connection } from "../redis/connection/connection.ts";
import { preferFunctions } from "../redis/functions.ts";
import { OutageLog } from "../redis/connection/outage-log.ts";
import { processStalls } from "../telemetry/stall-detector.ts";
import { buildWorker } from "./assembly.ts";
import type { Assembly, WorkerBase, WorkerOptions } from "./assembly.ts";
import type { BackendSlots } from "./backend-slots.ts";

/** A running worker. */
export interface WorkerHandle {
  readonly id: string;
  /**
   * Stops. The worker claims nothing more, and lets running tasks finish for up to the drain time. It requeues tasks
   * that have not begun, ends the rest with a fault, and frees everything. Idempotent.
   */
  stop(): Promise<void>;
}

/** Time for the frames and acknowledgements of the last tasks to reach Redis (ms). */
const LAST_FRAMES_MS = 2000;

/** Time for Redis to hear that this worker takes no more tasks, ms. A Redis that stands still must not hold it. */
const NOTICE_MS = 2000;

/** Time for Redis to take the last words of this worker (ms). */
const LAST_WORDS_MS = 2000;

/** Unique per incarnation: two processes with one consumer name would count each other's tasks as their own. */
export function newWorkerId(): string {
  return `w${randomBytes(6).toString("hex")}`;
}

/**
 * Starts a worker for the given backends, which it closes when it stops. It opens no port.
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
    const assembly = await buildWorker(options, id, open);
    return await start(options, assembly, connections);
  } catch (error) {
    for (const connection of connections) connection.close();
    throw error;
  }
}

async function start(
  options: WorkerOptions,
  assembly: Assembly,
  connections: readonly Connection[],
): Promise<WorkerHandle> {
  const { base, backends, tasks, registration } = assembly;
  const { worker, log } = base;
  let stopping: Promise<void> | undefined;
  await listen(assembly, () => stopping !== undefined);
  await backends.healthMonitor.start();
  backends.announcer.start();
  tasks.attempts.leaseRenewer.start();
  tasks.sweeper.start();
  tasks.attempts.timeouts.start();
  assembly.reporter.start();
  registration.start();
  options.watch?.start(async (backend) => registration.add(backend));
  log.info("worker is ready", { worker, backends: options.backends.length });
  return {
    id: worker,
    stop: async () => {
      stopping ??= stop(options, assembly, connections).finally(() => tasks.attempts.timeouts.stop());
      return stopping;
    },
  };
}

/** Follows the control messages for this worker. A worker that stops is no longer drained or undrained. */
async function listen(assembly: Assembly, isStopping: () => boolean): Promise<void> {
  const { worker, links } = assembly.base;
  const { attempts, sweeper } = assembly.tasks;
  const { attemptRegistry } = attempts;
  await links.control.listen(worker, {
    cancel: (task) => attemptRegistry.cancel(task),
    pause: (task) => attemptRegistry.pause(task),
    resume: (task) => attemptRegistry.resume(task),
    sweep: (model) => void sweeper.sweepModel(model),
    drain: () => {
      if (!isStopping()) drain(assembly);
    },
    undrain: () => {
      if (!isStopping()) undrain(assembly);
    },
  });
}

/** Takes no more tasks. Management requests for its servers still run. */
function drain({ base, backends, tasks, registration }: Assembly): void {
  base.log.info("draining: takes no more tasks, as ordered");
  tasks.sweeper.drain();
  registration.hold(true);
  void backends.announcer.drain(true);
}

/** Takes tasks again, and searches for the ones that wait. */
function undrain({ base, backends, tasks, registration }: Assembly): void {
  base.log.info("undrained: takes tasks again, as ordered");
  tasks.sweeper.undrain();
  registration.hold(false);
  void backends.announcer.drain(false).then(() => tasks.sweeper.sweepModels());
}

async function stop(
  options: WorkerOptions,
  assembly: Assembly,
  connections: readonly Connection[],
): Promise<void> {
  const { backends, tasks, registration } = assembly;
  const { attempts, sweeper } = tasks;
  const { attemptRegistry } = attempts;
  const { allBackendSlots } = backends;
  sweeper.drain();
  for (const backendSlots of allBackendSlots) backendSlots.hold(true);
  await processStalls.within(NOTICE_MS, takeNoMore(options, assembly));
  await attemptRegistry.empty(options.settings.drainMs);
  attemptRegistry.stopAll("draining");
  await attemptRegistry.empty(LAST_FRAMES_MS);
  attempts.leaseRenewer.stop();
  sweeper.stop();
  attempts.cooldowns.stop();
  assembly.forgetStalls();
  backends.prober.stop();
  backends.healthMonitor.stop();
  await processStalls.within(LAST_WORDS_MS, lastWords(assembly));
  attempts.emitter.stop();
  for (const connection of connections) connection.close();
  await registration.close();
}

/** Resolves when gateways know that this worker takes no more tasks, and it claims none. */
async function takeNoMore({ watch }: WorkerOptions, { backends, registration }: Assembly): Promise<void> {
  await watch?.stop();
  for (const backendSlots of backends.allBackendSlots) backendSlots.hold(true);
  await backends.announcer.drain(true);
  await registration.stop();
}

/** All tasks are over: Redis hears of their ends, and forgets this worker. */
async function lastWords({ base, backends, tasks, reporter }: Assembly): Promise<void> {
  await tasks.attempts.acknowledger.flush();
  await reporter.stop();
  await backends.announcer.stop();
  for (const backendSlots of backends.allBackendSlots) await leaveQueues(base, backendSlots);
}

/** Queues of models stay for other workers; the queues for management requests are this worker's own. */
async function leaveQueues({ links, worker }: WorkerBase, backendSlots: BackendSlots): Promise<void> {
  const { leases, queue } = links.leases.stores;
  for (const { key } of backendSlots.queues) {
    const work = backendSlots.announced ? leases.dropConsumer(key, worker) : queue.drop(key);
    await work.catch(() => undefined);
  }
}
