import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import type { BackendState } from "../../src/backends/backend.ts";
import { Fault } from "../../src/core/fault.ts";
import { Keys } from "../../src/redis/keys.ts";
import { openStores } from "../../src/redis/stores.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { WorkerAnnouncer } from "../../src/worker/announcer.ts";
import { HealthMonitor } from "../../src/worker/health-monitor.ts";
import { QueueGroups } from "../../src/worker/queue-groups.ts";
import type { BackendSlots } from "../../src/worker/backend-slots.ts";
import type { SlotLease } from "../../src/worker/slot-lease.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";
import { idleBackendSlots, TINY_CARD } from "./idle-backend.ts";

let monitor: HealthMonitor | undefined;
let announcer: WorkerAnnouncer | undefined;

afterEach(async () => {
  monitor?.stop();
  await announcer?.stop();
});

let sleptMs = 0;

/** The lines of the log and the metrics. */
let lines: string[] = [];

function loads(): string[] {
  return lines.filter((line) => line.startsWith("loaded "));
}

function watch(
  backendSlots: BackendSlots,
  connection: FakeConnection = new FakeConnection(),
  startupMs = 0,
): HealthMonitor {
  lines = [];
  const stores = openStores(connection, new Keys("test"));
  const allBackendSlots = [backendSlots];
  const ambient = { now: () => 0, mono: () => sleptMs };
  const metrics = {
    loaded: (_backend: string, model: string) => void lines.push(`loaded ${model}`),
    circuitChanged: (...change: string[]) => void lines.push(change.join(" ")),
    redisAnswered: () => {},
  };
  const about = { worker: "w1", version: "1", startupMs };
  announcer = new WorkerAnnouncer({ stores, ...about, allBackendSlots, metrics, ambient });
  monitor = new HealthMonitor({
    connection,
    log: openLog({ level: "info", format: "pretty", write: (line) => lines.push(line) }),
    allBackendSlots,
    announcer,
    groups: new QueueGroups(stores),
    metrics,
    ambient,
    stalls: { since: (mono) => sleptMs - mono, signal: (ms) => AbortSignal.timeout(ms) },
  });
  monitor.onModel((model) => lines.push(`sweep ${model}`));
  return monitor;
}

/** Checks a backend that answers the check with this fault. */
async function checkOnce(backendSlots: BackendSlots, fault: Fault): Promise<void> {
  backendSlots.backend.inspect = () => Promise.reject(fault);
  await watch(backendSlots).check(backendSlots);
}

const LATE = new Fault("backend_unreachable", "no answer in time");
const BUSY = new Fault("backend_busy", "full");

describe("a health check of a backend", () => {
  it("that this process slept through does not take the backend for down", async () => {
    const backendSlots = idleBackendSlots(2);
    backendSlots.backend.inspect = () => {
      sleptMs += 60_000;
      return Promise.reject(LATE);
    };
    await watch(backendSlots).check(backendSlots);
    assert.equal(backendSlots.healthy, true);
    assert.deepEqual(lines, []);
  });

  it("that is too busy for it, and at work for us, does not take it for down", async () => {
    const backendSlots = idleBackendSlots(2);
    backendSlots.occupy("tiny");
    await checkOnce(backendSlots, BUSY);
    assert.equal(backendSlots.healthy, true);
  });

  it("that runs into its limit while the backend answers tasks does not count it as down", async () => {
    const backendSlots = idleBackendSlots(2);
    const backend: { pieces?: number; inspect: unknown } = backendSlots.backend;
    backend.pieces = 7;
    backend.inspect = () => {
      backend.pieces = 8;
      return Promise.reject(LATE);
    };
    const watching = watch(backendSlots);
    await watching.check(backendSlots);
    assert.equal(backendSlots.healthy, true);
    backend.inspect = () => Promise.reject(LATE);
    await watching.check(backendSlots);
    assert.equal(backendSlots.healthy, false);
  });

  it("that began before a later one and ends after it is outdated: it may have seen what was before", async () => {
    const backendSlots = idleBackendSlots(2);
    const watching = watch(backendSlots);
    const [early, late] = [Promise.withResolvers<BackendState>(), Promise.withResolvers<BackendState>()];
    const answers = [early.promise, late.promise];
    backendSlots.backend.inspect = () => answers.shift() ?? Promise.reject(LATE);
    const checks = [watching.check(backendSlots), watching.checkAndAnnounce(backendSlots)];
    late.resolve({ models: [{ ...TINY_CARD, key: "new", name: "new" }], slots: 2 });
    await checks[1];
    early.resolve({ models: [TINY_CARD], slots: 2 });
    await checks[0];
    assert.deepEqual(
      backendSlots.models.map(({ key }) => key),
      ["new"],
    );
  });

  it("that is outdated does not put off the next check", async (context) => {
    const backendSlots = idleBackendSlots(2);
    const watching = watch(backendSlots);
    context.mock.timers.enable({ apis: ["setTimeout"] });
    const [early, late] = [Promise.withResolvers<BackendState>(), Promise.withResolvers<BackendState>()];
    const answers = [early.promise, late.promise];
    let inspections = 0;
    backendSlots.backend.inspect = () => {
      inspections += 1;
      return answers.shift() ?? Promise.reject(BUSY);
    };
    const checks = [watching.check(backendSlots), watching.check(backendSlots)];
    late.resolve({ models: [TINY_CARD], slots: 2 });
    await checks[1];
    context.mock.timers.tick(4900);
    early.resolve({ models: [TINY_CARD], slots: 2 });
    await checks[0];
    context.mock.timers.tick(200);
    assert.equal(inspections, 3);
  });

  it("that finds other models in memory, and no others listed, is no news but for the fleet", async () => {
    const backendSlots = idleBackendSlots(2);
    const connection = new FakeConnection();
    const watching = watch(backendSlots, connection);
    const cold = { ...TINY_CARD, resident: false };
    backendSlots.backend.inspect = () => Promise.resolve({ models: [cold], slots: 2 });
    await watching.check(backendSlots);
    assert.deepEqual(lines, []);
    assert.ok(
      connection.arrived.some((command) => command.startsWith("PUBLISH ")),
      "gateways are notified",
    );
    backendSlots.backend.inspect = () =>
      Promise.resolve({ models: [cold, { ...cold, key: "new" }], slots: 2 });
    await watching.check(backendSlots);
    assert.deepEqual(lines.slice(1), ["sweep tiny", "sweep new"]);
  });

  it("that is not ready and does nothing for us takes it for down", async () => {
    const backendSlots = idleBackendSlots(2);
    await checkOnce(backendSlots, BUSY);
    assert.equal(backendSlots.healthy, false);
  });

  it("goes on as one check, however many begin at once", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const backendSlots = idleBackendSlots(2);
    await checkOnce(backendSlots, BUSY);
    const inspected = t.mock.method(backendSlots.backend, "inspect");
    await Promise.all([1, 2, 3].map(async () => monitor?.check(backendSlots)));
    assert.equal(inspected.mock.callCount(), 3);
    t.mock.timers.tick(1000);
    assert.equal(inspected.mock.callCount(), 4);
  });

  it("counts a model that came into memory, and not the backend's return with what it had", async () => {
    const backendSlots = idleBackendSlots(2);
    const holding = async (...resident: string[]): Promise<void> => {
      const models = [
        { ...TINY_CARD, resident: resident.includes("tiny") },
        { ...TINY_CARD, key: "small", resident: resident.includes("small") },
      ];
      backendSlots.backend.inspect = async () => ({ models, slots: 1 });
      await monitor?.check(backendSlots);
    };
    await checkOnce(backendSlots, new Fault("backend_unreachable", "gone"));
    await holding("tiny");
    assert.deepEqual(loads(), []);
    await holding("small");
    await holding("tiny", "small");
    assert.deepEqual(loads(), ["loaded small", "loaded tiny"]);
  });

  it("reports that it is down, also when a task found out first, and that once", async () => {
    const backendSlots = idleBackendSlots(2);
    const watching = watch(backendSlots);
    await watching.check(backendSlots);
    backendSlots.backend.inspect = () => Promise.reject(new Fault("backend_unreachable", "gone"));
    backendSlots.failed();
    await watching.check(backendSlots);
    await watching.check(backendSlots);
    assert.equal(lines.filter((line) => line.includes("backend is not available")).length, 1);
  });

  it("that cannot be reached takes it for down, whatever it ran", async () => {
    const backendSlots = idleBackendSlots(2);
    backendSlots.occupy("tiny");
    await checkOnce(backendSlots, new Fault("backend_unreachable", "gone"));
    assert.equal(backendSlots.healthy, false);
  });
});

/** The member of the last announcement. */
function starting({ arrived }: FakeConnection): unknown {
  const text = arrived.findLast((command) => command.startsWith("SET test:wk:w1 ")) ?? "";
  const json = text.slice("SET test:wk:w1 ".length, text.lastIndexOf(" PX "));
  return (JSON.parse(json) as { starting?: boolean }).starting;
}

describe("a worker that starts", () => {
  it("is getting ready until each backend has answered once, and no longer than it may", async () => {
    sleptMs = 0;
    const backendSlots = idleBackendSlots(2);
    const healthy: BackendState = { models: [TINY_CARD], slots: 2 };
    backendSlots.backend.inspect = () => Promise.reject(LATE);
    const connection = new FakeConnection();
    const watching = watch(backendSlots, connection, 1000);
    await watching.check(backendSlots);
    await announcer?.announce(false);
    assert.equal(starting(connection), true);
    sleptMs = 1000;
    await announcer?.announce(false);
    assert.equal(starting(connection), undefined, "its time is over");
    sleptMs = 0;
    backendSlots.backend.inspect = () => Promise.resolve(healthy);
    await watching.check(backendSlots);
    await announcer?.announce(false);
    assert.equal(starting(connection), undefined);
    backendSlots.backend.inspect = () => Promise.reject(LATE);
    await watching.check(backendSlots);
    await announcer?.announce(false);
    assert.equal(starting(connection), undefined, "a backend that was there and is down is no start");
  });
});

describe("a circuit", () => {
  it("is reported in the log and the metrics, each change once", () => {
    let clock = 0;
    const backendSlots = idleBackendSlots(2, {
      circuits: { failures: 1, ambient: { mono: () => clock, random: () => 0.5 } },
      onCircuit: (where, model, state) => monitor?.circuitChanged(where, model, state),
    });
    watch(backendSlots);
    const run = (end: (lease: SlotLease) => void): void => {
      const lease = backendSlots.occupy("tiny");
      end(lease);
      lease.release();
    };
    run((lease) => lease.failed());
    clock = 1001;
    run((lease) => lease.succeeded());
    run((lease) => lease.succeeded());
    const [open = "", halfOpen = "", closed = ""] = lines.filter((line) => line.startsWith("idle "));
    assert.deepEqual([open, halfOpen, closed], ["idle tiny open", "idle tiny half-open", "idle tiny closed"]);
    const logged = lines.filter((line) => !line.startsWith("idle "));
    assert.equal(logged.length, 3);
    assert.match(logged[0] ?? "", /warn.*fails again and again.*model=tiny/);
    assert.match(logged[1] ?? "", /info.*one task of the model as a probe/);
    assert.match(logged[2] ?? "", /info.*as it should again/);
  });
});
