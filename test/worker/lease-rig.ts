import { after, before, beforeEach } from "node:test";
import assert from "node:assert/strict";
import { systemAmbient } from "../../src/core/ambient.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Argument, Connection } from "../../src/redis/connection/connection.ts";
import { openStores } from "../../src/redis/stores.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { Acknowledger } from "../../src/worker/acknowledger.ts";
import { AttemptNumbers } from "../../src/worker/attempt.ts";
import type { Attempt, Delivery } from "../../src/worker/attempt.ts";
import { FailoverGuard } from "../../src/worker/failover-guard.ts";
import { GatewayLiveness } from "../../src/worker/gateway-liveness.ts";
import { LeaseRenewer } from "../../src/worker/lease-renewer.ts";
import { ReclaimHandler } from "../../src/worker/reclaim-handler.ts";
import type { ReclaimHandlerOptions } from "../../src/worker/reclaim-handler.ts";
import { Cooldowns } from "../../src/worker/cooldowns.ts";
import { AttemptRegistry } from "../../src/worker/attempt-registry.ts";
import type { BackendSlots } from "../../src/worker/backend-slots.ts";
import { Sweeper } from "../../src/worker/sweeper.ts";
import { TakeOver } from "../../src/worker/take-over.ts";
import { LeaseJudge } from "../../src/worker/lease-judge.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";
import { queuedRecord } from "../rig/redis/queued-record.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";
import { fallSilent } from "../rig/redis/silence.ts";
import { idleBackendSlots } from "./idle-backend.ts";

export const LEASE_MS = 60_000;

/** Differences of the worker of a test from one with four free slots and no attempts. */
export interface Plan {
  readonly backendSlots?: BackendSlots;
  /** For so long after the start no lease is judged. */
  readonly sweepDelayMs?: number;
  readonly cooldowns?: Cooldowns;
  readonly connection?: Connection;
  readonly leaseMs?: number;
  readonly inHand?: readonly Attempt[];
  readonly onRun?: (delivery: Delivery) => void;
  readonly onRegistry?: (attemptRegistry: AttemptRegistry) => void;
}

/** A real Redis with a queue for the model `tiny`, and the parts of workers that hold its tasks. */
export class LeaseRig {
  readonly redis: RedisRig;

  private constructor(redis: RedisRig) {
    this.redis = redis;
  }

  static async open(): Promise<LeaseRig> {
    return new LeaseRig(await openRedisRig());
  }

  async close(): Promise<void> {
    await this.redis.close();
  }

  /** The queue is gone. */
  async clear(): Promise<void> {
    await this.redis.stores.queue.drop("tiny");
  }

  /** Returns the sweeper of a worker. @param ran the tasks that it was to run: each ends at once */
  sweeperOf(worker: string, ran: string[], plan: Plan = {}): Sweeper {
    return this.partsOf(worker, ran, plan).sweeper;
  }

  /** As {@link sweeperOf}, and what keeps the leases of the same worker. */
  partsOf(
    worker: string,
    ran: string[],
    plan: Plan = {},
  ): { readonly leaseRenewer: LeaseRenewer; readonly sweeper: Sweeper } {
    const {
      backendSlots = idleBackendSlots(4),
      sweepDelayMs = 0,
      cooldowns = noCooldowns(),
      leaseMs = LEASE_MS,
    } = plan;
    const { keys } = this.redis;
    const { connection = this.redis.connection } = plan;
    const ambient = systemAmbient;
    const log = openLog({ level: "error", format: "json" });
    const leaseJudge = new LeaseJudge({ connection, ambient, leaseMs, delayMs: sweepDelayMs, log });
    const stores = openStores(connection, keys);
    const acknowledger = new Acknowledger({ connection, stores, ambient });
    const attemptRegistry = new AttemptRegistry({ acknowledger, ambient });
    for (const attempt of plan.inHand ?? []) attemptRegistry.add(attempt);
    plan.onRegistry?.(attemptRegistry);
    const link = { connection, stores };
    const common = { ...link, link, worker, attemptRegistry, leaseJudge, leaseMs, ambient, log };
    const failoverGuard = new FailoverGuard({ ...common, acknowledger });
    failoverGuard.watch(connection);
    const reclaims = new ReclaimHandler({
      ...common,
      runner: noting(ran, plan),
      rejecter: REJECTER,
      failoverGuard,
      numbers: new AttemptNumbers(leaseJudge, ambient),
      deliveryLimit: 3,
    });
    const allBackendSlots = [backendSlots];
    const metrics = { reclaimed: () => {} };
    const takeOver = new TakeOver({ ...common, allBackendSlots, cooldowns, reclaims, metrics });
    const sweeper = new Sweeper({ ...common, allBackendSlots, failoverGuard, takeOver });
    const gateways = new GatewayLiveness(common);
    return { leaseRenewer: new LeaseRenewer({ ...common, gateways }), sweeper };
  }

  /** Puts a task into the queue, which a worker claims. Resolves with its entry. */
  async claimed(task: string, consumer: string): Promise<string> {
    const { keys, stores } = this.redis;
    await stores.queue.ensureGroup("tiny");
    await stores.replies.open([{ id: task, life: 60_000 }]);
    const entry = await stores.queue.add("tiny", queuedRecord(task));
    const blocking = await this.redis.connect();
    const options = { models: ["tiny"], consumer, credits: 9, waitMs: 10 };
    assert.equal((await openStores(blocking, keys).consumer.take(options)).length, 1);
    return entry;
  }

  /** A task in hand looks as if its worker had been silent for a lease. */
  async fallSilent(entry: string, consumer: string): Promise<void> {
    const { connection, keys } = this.redis;
    await fallSilent(connection, keys, { model: "tiny", entry, consumer, idleMs: LEASE_MS });
  }

  /** A task whose worker was lost a lease ago. */
  async silent(task: string): Promise<void> {
    await this.fallSilent(await this.claimed(task, "lost"), "lost");
  }

  /** A task that its worker requeued. */
  async returned(task: string, consumer = "gone"): Promise<string> {
    const entry = await this.claimed(task, consumer);
    await this.requeue(entry, consumer);
    return entry;
  }

  async requeue(entry: string, consumer: string): Promise<void> {
    const { stores } = this.redis;
    assert.equal(await stores.leases.requeue({ model: "tiny", entry, consumer }), true);
  }

  /** Redis answers in order: by the end of this, whatever was claimed has run. */
  async inOrder(): Promise<void> {
    for (let n = 0; n < 3; n += 1) await this.redis.connection.command("PING");
  }
}

/** No task has a cooldown. */
function noCooldowns(): Cooldowns {
  return new Cooldowns(systemAmbient);
}

const REJECTER: ReclaimHandlerOptions["rejecter"] = {
  reject: () => Promise.reject(new Error("nothing was to be rejected")),
  rejectUnreadable: () => assert.fail("nothing was to be rejected"),
  discard: () => assert.fail("nothing was to be discarded"),
};

/** Runs nothing. */
function noting(ran: string[], { onRun }: Plan): ReclaimHandlerOptions["runner"] {
  return {
    run: (lease, { envelope, delivery }) => {
      ran.push(envelope.id);
      onRun?.(delivery);
      // It ends at once.
      lease.release();
    },
  };
}

/** The real Redis, to which a worker's connection can be cut. */
export class PassingConnection extends FakeConnection {
  readonly #rig: LeaseRig;

  constructor(rig: LeaseRig) {
    super();
    this.#rig = rig;
  }

  override async command(...args: Argument[]): Promise<unknown> {
    if (!this.ready) throw new Fault("redis_down", "cut");
    return this.pass(args);
  }

  protected async pass(args: readonly Argument[]): Promise<unknown> {
    this.arrived.push(args.join(" "));
    return this.#rig.redis.connection.command(...args);
  }

  /** Count of a command that arrived. */
  times(name: string): number {
    return this.arrived.filter((text) => text.startsWith(name)).length;
  }
}

/** A Redis Cluster one of whose masters is away: all keys of the model `gone` lie there. */
export class HalfConnection extends PassingConnection {
  override ready = false;
  override sharded = true;
  override async command(...args: Argument[]): Promise<unknown> {
    if (args.join(" ").includes("{gone}")) throw new Fault("redis_down", "its master is away");
    return this.pass(args);
  }
}

/** The real Redis, whose answer to the first take-over is held back. */
export class LateConnection extends PassingConnection {
  readonly late: PromiseWithResolvers<void> = Promise.withResolvers();
  taken = 0;
  override async command(...args: Argument[]): Promise<unknown> {
    const reply = await super.command(...args);
    if (args[0] !== "XCLAIM") return reply;
    this.taken += 1;
    if (this.taken === 1) await this.late.promise;
    return reply;
  }
}

/** Opens a rig for the tests of a file, with an empty Redis before each. */
export function forAllTests(use: (rig: LeaseRig) => void): void {
  let rig: LeaseRig | undefined;
  before(async () => {
    rig = await LeaseRig.open();
    use(rig);
  });
  after(async () => {
    await rig?.close();
  });
  beforeEach(async () => {
    await rig?.clear();
  });
}
