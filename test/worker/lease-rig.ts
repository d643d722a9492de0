import { after, before, beforeEach } from "node:test";
import assert from "node:assert/strict";
import { systemAmbient } from "../../src/core/ambient.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Argument, Connection } from "../../src/redis/connection.ts";
import { openReplies } from "../../src/redis/reply-stream.ts";
import { take } from "../../src/redis/take.ts";
import { dropQueue, enqueue, ensureGroup, handBack } from "../../src/redis/task-stream.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { Acknowledger } from "../../src/worker/acknowledger.ts";
import type { Attempt, Delivery } from "../../src/worker/attempt.ts";
import { Keeper } from "../../src/worker/keeper.ts";
import type { ResumerOptions } from "../../src/worker/resumer.ts";
import { Resting } from "../../src/worker/resting.ts";
import { Roll } from "../../src/worker/roll.ts";
import type { Station } from "../../src/worker/station.ts";
import { Sweeper } from "../../src/worker/sweeper.ts";
import { Trust } from "../../src/worker/trust.ts";
import type { TaskEnvelope } from "../../src/wire/task-codec.ts";
import { FakeConnection } from "../redis/fake-connection.ts";
import { openRedisRig } from "../redis/rig.ts";
import type { RedisRig } from "../redis/rig.ts";
import { fallSilent } from "../redis/silence.ts";
import { idleStation } from "./station-rig.ts";

export const LEASE_MS = 60_000;

/** How the worker of a test differs from one with four free slots and nothing in hand. */
export interface Plan {
  readonly station?: Station;
  /** For so long after the start no lease is judged. */
  readonly sweepDelayMs?: number;
  readonly resting?: Resting;
  readonly connection?: Connection;
  readonly leaseMs?: number;
  readonly inHand?: readonly Attempt[];
  readonly onRun?: (delivery: Delivery) => void;
  readonly onRoll?: (roll: Roll) => void;
}

/** A real Redis with a queue for the model `tiny`, and the parts of workers that keep its leases and sweep it. */
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
    await dropQueue(this.redis.connection, this.redis.keys, "tiny");
  }

  /** What a worker sweeps with. @param ran the tasks that it was to run: each ends at once */
  sweeperOf(worker: string, ran: string[], plan: Plan = {}): Sweeper {
    return this.partsOf(worker, ran, plan).sweeper;
  }

  /** As {@link sweeperOf}, and what keeps the leases of the same worker. */
  partsOf(
    worker: string,
    ran: string[],
    plan: Plan = {},
  ): { readonly keeper: Keeper; readonly sweeper: Sweeper } {
    const { station = idleStation(4), sweepDelayMs = 0, resting = restless(), leaseMs = LEASE_MS } = plan;
    const { keys } = this.redis;
    const { connection = this.redis.connection } = plan;
    const { mono, random } = systemAmbient;
    const log = openLog({ level: "error", format: "json" });
    const trust = new Trust({ connection, mono, leaseMs, delayMs: sweepDelayMs, log });
    const roll = new Roll({ connection, keys, mono, trust });
    for (const attempt of plan.inHand ?? []) roll.add(attempt);
    plan.onRoll?.(roll);
    const common = { connection, keys, worker, roll, trust, leaseMs, mono };
    const sweeper = new Sweeper({
      ...common,
      log,
      runner: noting(ran, plan),
      refuser: READER,
      acknowledger: new Acknowledger({ connection, keys, mono }),
      stations: [station],
      resting,
      deliveryLimit: 3,
      random,
      onReclaimed: () => {},
    });
    return { keeper: new Keeper(common), sweeper };
  }

  /** Puts a task into the queue, which a worker claims. Resolves with its entry. */
  async claimed(task: string, consumer: string): Promise<string> {
    const { connection, keys } = this.redis;
    await ensureGroup(connection, keys, "tiny");
    await openReplies(connection, keys, [{ id: task, life: 60_000 }]);
    const entry = await enqueue(connection, keys, "tiny", Buffer.from(task));
    const blocking = await this.redis.connect();
    const options = { models: ["tiny"], consumer, credits: 9, waitMs: 10 };
    assert.equal((await take(blocking, keys, options)).length, 1);
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

  /** A task that its worker handed back. */
  async returned(task: string, consumer = "gone"): Promise<string> {
    const entry = await this.claimed(task, consumer);
    await this.handBack(entry, consumer);
    return entry;
  }

  async handBack(entry: string, consumer: string): Promise<void> {
    const { connection, keys } = this.redis;
    assert.equal(await handBack(connection, keys, { model: "tiny", entry, consumer }), true);
  }

  /** Redis answers in order: by the end of this, whatever was claimed has run. */
  async inOrder(): Promise<void> {
    for (let n = 0; n < 3; n += 1) await this.redis.connection.command("PING");
  }
}

/** Nothing rests. */
function restless(): Resting {
  return new Resting({ mono: systemAmbient.mono, onOver: () => {} });
}

/** The payload of a task is its id here. */
const READER: ResumerOptions["refuser"] = {
  read: ({ payload }) => ({ id: payload.toString() }) as TaskEnvelope,
  refuse: () => Promise.reject(new Error("nothing was to be refused")),
};

/** Runs nothing. */
function noting(ran: string[], { onRun }: Plan): ResumerOptions["runner"] {
  return {
    run: (place, { payload }, delivery) => {
      ran.push(payload.toString());
      onRun?.(delivery);
      // It ends at once.
      place.station.release(place.visit);
      return true;
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

  /** How often a command arrived. */
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
