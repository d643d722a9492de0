import assert from "node:assert/strict";
import test from "node:test";
import type { Backend } from "../../src/backends/backend.ts";
import { systemAmbient } from "../../src/core/ambient.ts";
import { ensureGroup } from "../../src/redis/task-stream.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { Acknowledger } from "../../src/worker/acknowledger.ts";
import { Claimer } from "../../src/worker/claimer.ts";
import { Station } from "../../src/worker/station.ts";
import { until } from "../journey/until.ts";
import { forAllTests } from "./lease-rig.ts";
import type { LeaseRig } from "./lease-rig.ts";
import { TINY_CARD } from "./station-rig.ts";

let rig: LeaseRig;
forAllTests((opened) => {
  rig = opened;
});

const log = openLog({ level: "error", format: "json" });

test("a task that was handed back is run as soon as time alone gives its cold model the place", async (t) => {
  let shift = 0;
  const mono = (): number => systemAmbient.mono() + shift;
  const backend: Backend = {
    name: "two",
    kind: "ollama",
    url: "",
    loadsOnDemand: true,
    inspect: () => Promise.reject(new Error("nobody looks")),
    run: () => Promise.reject(new Error("nothing was to be run")),
    close: () => Promise.resolve(),
  };
  const placement = { swapWaitMs: 60_000, swapResidencyMs: 1, modelsLoaded: 0, mono };
  const station = new Station(backend, 4, { placement });
  const cold = { ...TINY_CARD, resident: false };
  station.update({ models: [{ ...cold, key: "other", name: "other" }, cold], slots: 4 });
  const other = station.occupy("other");
  shift += 1000;
  station.begun(other);
  await rig.silent("g.9");
  const { keys, connection: bells } = rig.redis;
  await ensureGroup(bells, keys, "other");
  const claimer = new Claimer({
    station,
    connection: await rig.redis.connect(),
    bells,
    farewell: keys.farewell("w1.0"),
    keys,
    consumer: "w1",
    leaseMs: 60_000,
    log,
    mono,
    random: () => 0.5,
    acknowledger: new Acknowledger({ connection: bells, keys, mono }),
    trust: { look: () => Promise.resolve(true) },
    onLost: () => {},
    run: () => {},
  });
  t.after(() => claimer.stop());
  const ran: string[] = [];
  const sweeper = rig.sweeperOf("cold", ran, { station });
  claimer.start();
  await sweeper.sweepModel("tiny");
  assert.deepEqual(ran, [], "the loaded model runs");
  station.release(other);
  assert.equal(station.roomFor("tiny"), 0, "it has only just become idle");
  await until("a run", () => ran.length > 0);
});
