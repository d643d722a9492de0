import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import type { BackendState } from "../../src/backends/backend.ts";
import { Fault } from "../../src/core/fault.ts";
import { Keys } from "../../src/redis/keys.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { Presence } from "../../src/worker/presence.ts";
import type { Station, Visit } from "../../src/worker/station.ts";
import { FakeConnection } from "../redis/fake-connection.ts";
import { idleStation, TINY_CARD } from "./station-rig.ts";

let presence: Presence | undefined;

afterEach(async () => {
  await presence?.stop();
});

let sleptMs = 0;

/** What was logged and metered. */
let told: string[] = [];

function loads(): string[] {
  return told.filter((line) => line.startsWith("loaded "));
}

function watch(station: Station, connection: FakeConnection = new FakeConnection(), startupMs = 0): Presence {
  told = [];
  presence = new Presence({
    connection,
    keys: new Keys("test"),
    worker: "w1",
    version: "1",
    log: openLog({ level: "info", format: "pretty", write: (line) => told.push(line) }),
    stations: [station],
    now: () => 0,
    startupMs,
    mono: () => sleptMs,
    stalls: { since: (mono) => sleptMs - mono, signal: (ms) => AbortSignal.timeout(ms) },
    metrics: {
      loaded: (_backend, model) => told.push(`loaded ${model}`),
      gateChanged: (...change) => told.push(change.join(" ")),
      redisAnswered: () => {},
    },
    onModel: (model) => told.push(`sweep ${model}`),
  });
  return presence;
}

/** Looks at a station whose backend answers the look with this fault. */
async function look(station: Station, fault: Fault): Promise<void> {
  station.backend.inspect = () => Promise.reject(fault);
  await watch(station).look(station);
}

const LATE = new Fault("backend_unreachable", "no answer in time");
const BUSY = new Fault("backend_busy", "full");

describe("a look at a backend", () => {
  it("that this process slept through does not take the backend for down", async () => {
    const station = idleStation(2);
    station.backend.inspect = () => {
      sleptMs += 60_000;
      return Promise.reject(LATE);
    };
    await watch(station).look(station);
    assert.equal(station.healthy, true);
    assert.deepEqual(told, []);
  });

  it("that is too busy for it, and at work for us, does not take it for down", async () => {
    const station = idleStation(2);
    station.occupy("tiny");
    await look(station, BUSY);
    assert.equal(station.healthy, true);
  });

  it("that answers tasks but not the look in time does not take it for down, until no task hears of it either", async () => {
    const station = idleStation(2);
    const backend: { pieces?: number; inspect: unknown } = station.backend;
    backend.pieces = 7;
    backend.inspect = () => {
      backend.pieces = 8;
      return Promise.reject(LATE);
    };
    const watching = watch(station);
    await watching.look(station);
    assert.equal(station.healthy, true);
    backend.inspect = () => Promise.reject(LATE);
    await watching.look(station);
    assert.equal(station.healthy, false);
  });

  it("that began before a later one and ends after it is outdated: it may have seen what was before", async () => {
    const station = idleStation(2);
    const watching = watch(station);
    const [early, late] = [Promise.withResolvers<BackendState>(), Promise.withResolvers<BackendState>()];
    const answers = [early.promise, late.promise];
    station.backend.inspect = () => answers.shift() ?? Promise.reject(LATE);
    const looks = [watching.look(station), watching.lookAndTell(station)];
    late.resolve({ models: [{ ...TINY_CARD, key: "new", name: "new" }], slots: 2 });
    await looks[1];
    early.resolve({ models: [TINY_CARD], slots: 2 });
    await looks[0];
    assert.deepEqual(
      station.models.map(({ key }) => key),
      ["new"],
    );
  });

  it("that finds other models in memory, and no others listed, is no news but for the fleet", async () => {
    const station = idleStation(2);
    const connection = new FakeConnection();
    const watching = watch(station, connection);
    const cold = { ...TINY_CARD, resident: false };
    station.backend.inspect = () => Promise.resolve({ models: [cold], slots: 2 });
    await watching.look(station);
    assert.deepEqual(told, []);
    assert.ok(
      connection.arrived.some((command) => command.startsWith("PUBLISH ")),
      "gateways are told",
    );
    station.backend.inspect = () => Promise.resolve({ models: [cold, { ...cold, key: "new" }], slots: 2 });
    await watching.look(station);
    assert.deepEqual(told.slice(1), ["sweep tiny", "sweep new"]);
  });

  it("that is not ready and does nothing for us takes it for down", async () => {
    const station = idleStation(2);
    await look(station, BUSY);
    assert.equal(station.healthy, false);
  });

  it("goes on as one look, however many are asked for at once", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const station = idleStation(2);
    await look(station, BUSY);
    const inspected = t.mock.method(station.backend, "inspect");
    await Promise.all([1, 2, 3].map(async () => presence?.look(station)));
    assert.equal(inspected.mock.callCount(), 3);
    t.mock.timers.tick(1000);
    assert.equal(inspected.mock.callCount(), 4);
  });

  it("counts a model that came into memory, and not the backend's return with what it had", async () => {
    const station = idleStation(2);
    const holding = async (...resident: string[]): Promise<void> => {
      const models = [
        { ...TINY_CARD, resident: resident.includes("tiny") },
        { ...TINY_CARD, key: "small", resident: resident.includes("small") },
      ];
      station.backend.inspect = async () => ({ models, slots: 1 });
      await presence?.look(station);
    };
    await look(station, new Fault("backend_unreachable", "gone"));
    await holding("tiny");
    assert.deepEqual(loads(), []);
    await holding("small");
    await holding("tiny", "small");
    assert.deepEqual(loads(), ["loaded small", "loaded tiny"]);
  });

  it("tells that it is down, also when a task found out first, and that once", async () => {
    const station = idleStation(2);
    const watching = watch(station);
    await watching.look(station);
    station.backend.inspect = () => Promise.reject(new Fault("backend_unreachable", "gone"));
    station.failed();
    await watching.look(station);
    await watching.look(station);
    assert.equal(told.filter((line) => line.includes("backend is not available")).length, 1);
  });

  it("that cannot be reached takes it for down, whatever it ran", async () => {
    const station = idleStation(2);
    station.occupy("tiny");
    await look(station, new Fault("backend_unreachable", "gone"));
    assert.equal(station.healthy, false);
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
    const station = idleStation(2);
    const healthy: BackendState = { models: [TINY_CARD], slots: 2 };
    station.backend.inspect = () => Promise.reject(LATE);
    const connection = new FakeConnection();
    const watching = watch(station, connection, 1000);
    await watching.look(station);
    await watching.announce(false);
    assert.equal(starting(connection), true);
    sleptMs = 1000;
    await watching.announce(false);
    assert.equal(starting(connection), undefined, "its time is over");
    sleptMs = 0;
    station.backend.inspect = () => Promise.resolve(healthy);
    await watching.look(station);
    await watching.announce(false);
    assert.equal(starting(connection), undefined);
    station.backend.inspect = () => Promise.reject(LATE);
    await watching.look(station);
    await watching.announce(false);
    assert.equal(starting(connection), undefined, "a backend that was there and is down is no start");
  });
});

describe("a circuit", () => {
  it("is told in the log and the metrics, each change once", () => {
    let clock = 0;
    const station = idleStation(2, {
      gates: { failures: 1, mono: () => clock, random: () => 0.5 },
      onGate: (where, model, state) => presence?.gateChanged(where, model, state),
    });
    watch(station);
    const run = (end: (visit: Visit) => void): void => {
      const visit = station.occupy("tiny");
      end(visit);
      station.release(visit);
    };
    run(({ gate, era }) => gate.failed(era));
    clock = 1001;
    run(({ gate, era }) => gate.worked(era, 2));
    run(({ gate, era }) => gate.worked(era, 2));
    const [open = "", halfOpen = "", closed = ""] = told.filter((line) => line.startsWith("idle "));
    assert.deepEqual([open, halfOpen, closed], ["idle tiny open", "idle tiny half-open", "idle tiny closed"]);
    const logged = told.filter((line) => !line.startsWith("idle "));
    assert.equal(logged.length, 3);
    assert.match(logged[0] ?? "", /warn.*fails again and again.*model=tiny/);
    assert.match(logged[1] ?? "", /info.*one task of the model as a probe/);
    assert.match(logged[2] ?? "", /info.*as it should again/);
  });
});
