import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Fault } from "../../src/core/fault.ts";
import type { FaultOptions } from "../../src/core/fault.ts";
import { Keys } from "../../src/redis/keys.ts";
import { openStores } from "../../src/redis/stores.ts";
import { Attempt } from "../../src/worker/attempt.ts";
import { Outbox } from "../../src/worker/outbox.ts";
import { Cooldowns } from "../../src/worker/cooldowns.ts";
import { Requeuer, requeueReasonOf } from "../../src/worker/requeuer.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";
import { until } from "../rig/until.ts";
import { idleBackendSlots } from "./idle-backend.ts";

const DEADLINE = 100_000;
const backendSlots = idleBackendSlots(4);

let clock = 0;
let connection: FakeConnection;
let cooldowns: Cooldowns;
let others: boolean;
let closed: string[];
let counted: string[];
let requeuer: Requeuer;

beforeEach(() => {
  clock = 0;
  others = true;
  closed = [];
  counted = [];
  connection = new FakeConnection();
  connection.answer = (command) => (command.startsWith("EVAL ") ? 1 : null);
  cooldowns = new Cooldowns({ mono: () => clock });
  requeuer = new Requeuer({
    stores: openStores(connection, new Keys("test")),
    worker: "w1",
    limits: { deliveryLimit: 3, busyLimit: 4 },
    ambient: { mono: () => clock, random: () => 0.5 },
    metrics: { requeued: (_backend, reason) => counted.push(reason) },
    fleetLookup: { serves: () => Promise.resolve(others) },
    cooldowns,
  });
});

afterEach(() => {
  cooldowns.stop();
});

function attemptOf(deliveries = 1, ordinal = 1): Attempt {
  const outbox = new Outbox({
    task: "g.1",
    attempt: 1,
    worker: "w1",
    stream: true,
    ready: () => {},
    ambient: { mono: () => clock },
  });
  outbox.onOver((verdict) => closed.push(verdict));
  const envelope = { id: "g.1" } as ConstructorParameters<typeof Attempt>[0]["envelope"];
  const times = { startedAt: 0, endsAt: DEADLINE };
  const delivery = { deliveries, ordinal, attempt: 1 };
  return new Attempt({ envelope, queued: { model: "tiny", entry: "5-0" }, outbox, times, delivery });
}

/** Time for which the backend leaves the task to others, in steps of 10 ms. */
function cooldownOf(attempt: Attempt): number {
  const from = clock;
  while (cooldowns.has(attempt, backendSlots)) clock += 10;
  return clock - from;
}

function fault(code: ConstructorParameters<typeof Fault>[0], options: FaultOptions = {}): Fault {
  return new Fault(code, "no", options);
}

const BUSY = fault("backend_busy");
const BROKEN = fault("backend_error", { http: 500 });

async function requeuedLine(): Promise<string> {
  await until("a hint to sweep", () => connection.arrived.some((command) => command.startsWith("PUBLISH")));
  return connection.arrived.find((command) => command.startsWith("EVAL ")) ?? "";
}

/** Count of the runs of a task that is requeued as long as it may be. */
function attempts(allowed: (n: number) => boolean): number {
  let n = 1;
  while (allowed(n)) n += 1;
  return n;
}

describe("the reason to run a task again", () => {
  it("is what is no fault of the request", () => {
    const cases: readonly (readonly [Fault, string | undefined])[] = [
      [BUSY, "busy"],
      [fault("backend_busy", { http: 429 }), "busy"],
      [fault("backend_unreachable"), "unreachable"],
      [fault("connect_timeout"), "unreachable"],
      [fault("first_token_timeout"), "timed-out"],
      [fault("idle_timeout"), "timed-out"],
      [fault("backend_lost"), "broken-off"],
      [BROKEN, "failing"],
      [fault("backend_error", { http: 504 }), "failing"],
      [fault("backend_error", { http: 501 }), undefined],
      [fault("backend_error", { http: 400 }), undefined],
      [fault("model_not_found"), undefined],
      [fault("invalid_request"), undefined],
      [fault("internal"), undefined],
    ];
    for (const [met, reason] of cases) assert.equal(requeueReasonOf(met), reason, `${met.code} ${met.http}`);
  });

  it("holds a number of times: few for what the request may cause, more for busy backends", () => {
    const deliveries = (reason: "failing" | "unreachable" | "broken-off" | "timed-out"): number =>
      attempts((n) => requeuer.allows(attemptOf(n, n), reason));
    assert.equal(deliveries("failing"), 2);
    assert.equal(deliveries("broken-off"), 2);
    assert.equal(deliveries("timed-out"), 2);
    assert.equal(deliveries("unreachable"), 3);
    assert.equal(
      attempts((n) => requeuer.allows(attemptOf(1, n), "busy")),
      4,
    );
    assert.ok(requeuer.allows(attemptOf(99, 99), "draining"));
  });
});

describe("a task that is requeued", () => {
  it("is left to others for long after a failure, and the failure counts as a delivery", async () => {
    const attempt = attemptOf();
    assert.equal(await requeuer.requeue(backendSlots, attempt, "failing", BROKEN), true);
    assert.match(await requeuedLine(), / w w1 5-0 1$/);
    assert.equal(cooldownOf(attempt), 20_000);
    assert.deepEqual([closed, counted], [["fenced"], ["failing"]]);
  });

  it("is not run again by the only backend that could, when that failed", async () => {
    others = false;
    assert.equal(await requeuer.requeue(backendSlots, attemptOf(), "failing", BROKEN), false);
    assert.deepEqual([closed, connection.arrived], [[], []]);
  });

  it("is run again by the only backend after a growing cooldown, when that could not be reached", async () => {
    others = false;
    const waits: number[] = [];
    for (const n of [1, 2]) {
      const attempt = attemptOf(n, n);
      assert.equal(
        await requeuer.requeue(backendSlots, attempt, "unreachable", fault("backend_unreachable")),
        true,
      );
      waits.push(cooldownOf(attempt));
    }
    assert.deepEqual(waits, [250, 500]);
  });

  it("has a cooldown of the time that a busy backend asked for, and that counts as no delivery", async () => {
    const attempt = attemptOf();
    const met = fault("backend_busy", { http: 429, retryAfter: 7 });
    assert.equal(await requeuer.requeue(backendSlots, attempt, "busy", met), true);
    assert.match(await requeuedLine(), / w w1 5-0 0$/);
    assert.equal(cooldownOf(attempt), 7000);
  });

  it("is given up when no other backend has its model and its cooldown would outlast its deadline", async () => {
    others = false;
    clock = DEADLINE - 200;
    assert.equal(await requeuer.requeue(backendSlots, attemptOf(), "busy", BUSY), false);
    others = true;
    assert.equal(await requeuer.requeue(backendSlots, attemptOf(), "busy", BUSY), true);
  });

  it("is left alone when it was cancelled meanwhile, and requeued when the worker began to drain", async () => {
    const cancelled = attemptOf();
    cancelled.stop("gone");
    assert.equal(await requeuer.requeue(backendSlots, cancelled, "busy", BUSY), true);
    assert.deepEqual(connection.arrived, []);
    const drained = attemptOf();
    drained.stop("draining");
    assert.equal(await requeuer.requeue(backendSlots, drained, "busy", BUSY), true);
    assert.match(await requeuedLine(), / w w1 5-0 0$/);
  });

  it("does not pay for a worker that stops, nor for a circuit that was shut when it came", async () => {
    requeuer.leave(backendSlots, attemptOf(2, 2));
    assert.match(await requeuedLine(), / w w1 5-0 1$/);
    connection.arrived.length = 0;
    requeuer.turnAway(backendSlots, { model: "tiny", entry: "6-0", deliveries: 1 });
    assert.match(await requeuedLine(), / w w1 6-0 0$/);
    assert.deepEqual(counted, ["draining", "shut"]);
  });

  it("is another worker's when this one was frozen beyond its lease: nothing is sent or counted", async () => {
    connection.answer = () => 0;
    assert.equal(
      await requeuer.requeue(backendSlots, attemptOf(), "timed-out", fault("first_token_timeout")),
      true,
    );
    await new Promise(setImmediate);
    assert.equal(connection.arrived.length, 1, "no hint to sweep");
    assert.deepEqual([closed, counted], [["fenced"], []]);
  });
});
