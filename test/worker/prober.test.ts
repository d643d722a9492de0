import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import type { Backend, BackendKind } from "../../src/backends/backend.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Task } from "../../src/core/task.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { Prober } from "../../src/worker/prober.ts";
import { Station } from "../../src/worker/station.ts";
import { until } from "../journey/until.ts";
import { TINY_CARD } from "./station-rig.ts";

interface Rig {
  readonly station: Station;
  readonly prober: Prober;
  readonly asked: Task[];
  looks: number;
  broken: boolean;
  /** What the backend fails with. */
  fault: Fault;
}

let prober: Prober | undefined;

afterEach(() => prober?.stop());

const CLOCK = { failures: 5, random: () => 0, mono: () => performance.now() };

function rigOf(options: {
  readonly kind?: BackendKind;
  readonly resident?: boolean;
  readonly eject?: boolean;
  /** Others of its models; of all of them one has a place in memory. */
  readonly others?: readonly string[];
}): Rig {
  const { kind = "ollama", resident = true, eject = true, others = [] } = options;
  const card = { ...TINY_CARD, resident };
  const models = [card, ...others.map((key) => ({ ...TINY_CARD, key, name: key }))];
  const asked: Task[] = [];
  const backend: Backend = {
    name: "sick",
    kind,
    url: "",
    loadsOnDemand: others.length > 0,
    inspect: () => {
      rig.looks += 1;
      return Promise.resolve({ models, slots: 2 });
    },
    run: (task, _model, sink) => {
      asked.push(task);
      if (rig.broken) return Promise.reject(rig.fault);
      sink.pulse.alive();
      sink.write(Buffer.from("x"));
      return Promise.resolve({ usage: undefined });
    },
    close: () => Promise.resolve(),
  };
  prober = new Prober({
    log: openLog({ level: "error", format: "json", write: () => {} }),
    peers: { mayEject: () => eject },
    metrics: { probed: () => {} },
  });
  const placement = { swapWaitMs: 0, swapResidencyMs: 0, modelsLoaded: 1, mono: CLOCK.mono };
  const station = new Station(backend, 2, { gates: CLOCK, judgement: prober, placement });
  station.update({ models, slots: 2 });
  const fault = new Fault("backend_error", "sick", { http: 500 });
  const rig: Rig = { station, prober, asked, looks: 0, broken: true, fault };
  return rig;
}

/** So many failures of one client. */
function fail({ station }: Rig, times: number, endpoint: Task["endpoint"] = "openai-chat"): void {
  for (let n = 0; n < times; n += 1) {
    const visit = station.occupy("tiny");
    visit.gate.failed(visit.era, { strength: "soft", client: "aaaaaa", endpoint });
    station.release(visit);
  }
}

describe("a worker that doubts", () => {
  it("asks for as little as can be of the same kind, and opens the circuit when that fails", async () => {
    const rig = rigOf({});
    fail(rig, 5, "ollama-generate");
    await until("an open circuit", () => rig.station.gateOf("tiny").state === "open");
    assert.deepEqual(JSON.parse(rig.asked[0]?.body.toString() ?? ""), {
      model: "tiny:latest",
      prompt: "Hi",
      max_tokens: 1,
      stream: true,
    });
    assert.equal(rig.station.busy, 0);
  });

  it("believes the backend when its own request is answered", async () => {
    const rig = rigOf({});
    rig.broken = false;
    fail(rig, 5);
    await until("the answer", () => rig.asked.length === 1 && rig.station.busy === 0);
    fail(rig, 40);
    assert.equal(rig.station.gateOf("tiny").state, "closed");
    assert.equal(rig.asked.length, 1, "and asks no more for a while");
  });
});

it("an answered request of the worker's own shows that the model is loaded", async () => {
  const rig = rigOf({ resident: false, others: ["big"] });
  const first = rig.station.occupy("tiny");
  rig.broken = false;
  for (let n = 0; n < 5; n += 1) first.gate.failed(first.era, { strength: "soft", client: "aaaaaa" });
  rig.station.release(first);
  await until("the answer", () => rig.asked.length === 1 && rig.station.busy === 0);
  assert.equal(rig.station.placement?.isLoaded("tiny"), true);
});

describe("an open circuit without traffic", () => {
  it("closes when the backend is mended", async () => {
    const rig = rigOf({});
    fail(rig, 5);
    await until("an open circuit", () => rig.station.gateOf("tiny").state === "open");
    rig.broken = false;
    await until("a closed one", () => rig.station.gateOf("tiny").state === "closed");
    assert.equal(rig.looks, 0, "a loaded model is asked");
  });

  it("closes after good looks when asking would load the model, and one failure is then enough for doubt", async () => {
    const rig = rigOf({ resident: false });
    fail(rig, 5);
    await until("an open circuit", () => rig.station.gateOf("tiny").state === "open");
    const asked = rig.asked.length;
    await until("a closed one", () => rig.station.gateOf("tiny").state === "closed");
    assert.deepEqual([rig.looks, rig.asked.length], [3, asked]);
    fail(rig, 1);
    await until("an open circuit again", () => rig.station.gateOf("tiny").state === "open");
  });

  it("is paced where the model has too few other backends: tasks go there, one at a time, with pauses", async () => {
    const rig = rigOf({ eject: false });
    fail(rig, 5);
    const gate = rig.station.gateOf("tiny");
    await until("a paced circuit", () => gate.state === "paced");
    assert.equal(gate.room, 0);
    await until("room for one", () => gate.room === 1);
    assert.equal(gate.state, "paced");
    rig.broken = false;
    await until("a closed one", () => gate.state === "closed");
  });

  it("closes while other models have the memory, and all slots", async () => {
    const rig = rigOf({ resident: false, others: ["big"] });
    fail(rig, 5);
    await until("an open circuit", () => rig.station.gateOf("tiny").state === "open");
    rig.station.update({
      models: [...(await rig.station.backend.inspect(AbortSignal.abort())).models],
      slots: 2,
    });
    rig.station.occupy("big");
    rig.station.occupy("big");
    await until("a closed one", () => rig.station.gateOf("tiny").state === "closed", 15_000);
  });

  it("closes after good looks when the worker's own request tells nothing", async () => {
    const rig = rigOf({});
    fail(rig, 5);
    await until("an open circuit", () => rig.station.gateOf("tiny").state === "open");
    rig.fault = new Fault("unsupported", "not this kind");
    await until("a closed one", () => rig.station.gateOf("tiny").state === "closed", 15_000);
    assert.ok(rig.asked.length <= 4, "and it is not asked each second");
  });

  it("closes though a task failed as the probe while the worker was about to look", async () => {
    const rig = rigOf({ eject: false });
    fail(rig, 5);
    const gate = rig.station.gateOf("tiny");
    await until("room for one", () => gate.state === "paced" && gate.room === 1);
    const { era } = gate;
    fail(rig, 1);
    await until("another failure", () => gate.era !== era);
    rig.broken = false;
    await until("a closed one", () => gate.state === "closed", 15_000);
  });
});
