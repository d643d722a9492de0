import { uptimeMs } from "../redis/connection/server.ts";
import { processStalls } from "../telemetry/stall-detector.ts";
import { Acknowledger } from "./acknowledger.ts";
import type { WorkerBase } from "./assembly.ts";
import { AttemptRegistry } from "./attempt-registry.ts";
import { AttemptReporter } from "./attempt-reporter.ts";
import { AttemptTimeouts } from "./attempt-timeouts.ts";
import { AttemptNumbers } from "./attempt.ts";
import type { BackendParts } from "./backend-assembly.ts";
import { Cooldowns } from "./cooldowns.ts";
import { Emitter } from "./emitter.ts";
import { FailoverGuard } from "./failover-guard.ts";
import { FailureHandler } from "./failure-handler.ts";
import { FirstDeliveries } from "./first-deliveries.ts";
import { GatewayLiveness } from "./gateway-liveness.ts";
import { LeaseJudge } from "./lease-judge.ts";
import { LeaseRenewer } from "./lease-renewer.ts";
import { ReclaimHandler } from "./reclaim-handler.ts";
import { Rejecter } from "./rejecter.ts";
import { Requeuer } from "./requeuer.ts";
import { Runner } from "./runner.ts";
import { Sweeper } from "./sweeper.ts";
import { TakeOver } from "./take-over.ts";

/** The parts of a worker that run tasks, from the claim to the acknowledgement. */
export interface TaskParts {
  readonly attempts: AttemptParts;
  readonly deliveries: FirstDeliveries;
  readonly failoverGuard: FailoverGuard;
  readonly sweeper: Sweeper;
}

/** Makes the parts that run tasks. Rejects with `redis_down`. */
export async function buildTasks(base: WorkerBase, backends: BackendParts): Promise<TaskParts> {
  const { worker, settings, log, metrics, links, ambient } = base;
  const { connection, stores } = links.leases;
  const { leaseMs, deliveryLimit } = settings;
  const { allBackendSlots, healthMonitor } = backends;
  const attempts = await buildAttempts(base);
  const { attemptRegistry, acknowledger, cooldowns, leaseJudge } = attempts;
  const running = buildRunner(base, backends, attempts);
  const { runner, rejecter, requeuer, numbers } = running;
  const failoverGuard = new FailoverGuard({ ambient, acknowledger, leaseJudge, leaseMs });
  failoverGuard.watch(connection);
  const search = { link: links.leases, stores, worker, log, ambient, leaseJudge, allBackendSlots };
  const reclaims = new ReclaimHandler({
    ...search,
    runner,
    rejecter,
    failoverGuard,
    numbers,
    deliveryLimit,
  });
  const takeOver = new TakeOver({ ...search, attemptRegistry, cooldowns, reclaims, metrics });
  const sweeper = new Sweeper({ ...search, leaseMs, failoverGuard, takeOver });
  const sweep = (model: string): void => void sweeper.sweepModel(model);
  cooldowns.onOver(sweep);
  healthMonitor.onModel(sweep);
  const deliveries = new FirstDeliveries({
    attemptRegistry,
    sweeper,
    rejecter,
    requeuer,
    runner,
    numbers,
    metrics,
  });
  return { attempts, deliveries, failoverGuard, sweeper };
}

/** The parts that hold tasks for their attempts, and end them. */
export interface AttemptParts {
  readonly leaseJudge: LeaseJudge;
  readonly acknowledger: Acknowledger;
  readonly emitter: Emitter;
  readonly attemptRegistry: AttemptRegistry;
  readonly gateways: GatewayLiveness;
  readonly leaseRenewer: LeaseRenewer;
  readonly timeouts: AttemptTimeouts;
  readonly cooldowns: Cooldowns;
}

async function buildAttempts(base: WorkerBase): Promise<AttemptParts> {
  const { worker, settings, metrics, links, ambient } = base;
  const { writes, leases } = links;
  const leaseJudge = await openLeaseJudge(base);
  const acknowledger = new Acknowledger({ ...writes, ambient, awake: processStalls.awake });
  const emitter = new Emitter({ ...writes, worker, ambient, metrics });
  const attemptRegistry = new AttemptRegistry({ acknowledger, ambient });
  const held = { ...leases, worker, attemptRegistry, leaseJudge, ambient };
  const gateways = new GatewayLiveness(held);
  const leaseRenewer = new LeaseRenewer({ ...held, gateways, leaseMs: settings.leaseMs });
  const timeouts = new AttemptTimeouts(attemptRegistry, ambient);
  const cooldowns = new Cooldowns(ambient);
  return {
    leaseJudge,
    acknowledger,
    emitter,
    attemptRegistry,
    gateways,
    leaseRenewer,
    timeouts,
    cooldowns,
  };
}

/** The parts that run a task, or end it without. */
interface RunParts {
  readonly numbers: AttemptNumbers;
  readonly rejecter: Rejecter;
  readonly requeuer: Requeuer;
  readonly runner: Runner;
}

function buildRunner(base: WorkerBase, backends: BackendParts, attempts: AttemptParts): RunParts {
  const { worker, settings, log, tracing, metrics, links, ambient } = base;
  const { fleetLookup, healthMonitor } = backends;
  const { leaseJudge, acknowledger, emitter, attemptRegistry, gateways, cooldowns } = attempts;
  const common = { ...links.writes, worker, log, metrics, ambient };
  const numbers = new AttemptNumbers(leaseJudge, ambient);
  const requeuer = new Requeuer({ ...common, limits: settings, fleetLookup, cooldowns });
  const rejecter = new Rejecter({ ...common, emitter, acknowledger, numbers });
  const reporter = new AttemptReporter({ ...common, tracing });
  const failures = new FailureHandler({ worker, requeuer, reporter, healthMonitor, ambient });
  const runner = new Runner({
    link: links.writes,
    ambient,
    emitter,
    attemptRegistry,
    gateways,
    rejecter,
    failures,
    reporter,
  });
  return { numbers, rejecter, requeuer, runner };
}

/** After a start of Redis leases are not judged before all can have been renewed. */
async function openLeaseJudge({ settings, log, links, ambient }: WorkerBase): Promise<LeaseJudge> {
  const { connection } = links.leases;
  const { leaseMs } = settings;
  const delayMs = Math.max(0, 1.5 * leaseMs - (await uptimeMs(connection)));
  const leaseJudge = new LeaseJudge({ connection, ambient, leaseMs, delayMs, log });
  // Later checks are compared with this one.
  await leaseJudge.check();
  return leaseJudge;
}
