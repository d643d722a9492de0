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
}

let prober: Prober | undefined;

afterEach(() => prober?.stop());

const CLOCK = { failures: 5, random: () => 0, mono: () => performance.now() };

function rigOf(options: {
  readonly kind?: BackendKind;
  readonly resident?: boolean;
  readonly eject?: boolean;
}): Rig {
  const { kind = "ollama", resident = true, eject = true } = options;
  const card = { ...TINY_CARD, resident };
  const asked: Task[] = [];
  const backend: Backend = {
    name: "sick",
    kind,
    url: "",
    inspect: () => {
      rig.looks += 1;
      return Promise.resolve({ models: [card], slots: 2 });
    },
    run: (task, _model, sink) => {
      asked.push(task);
      if (rig.broken) return Promise.reject(new Fault("backend_error", "sick", { http: 500 }));
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
  const station = new Station(backend, 2, { gates: CLOCK, judgement: prober });
  station.update({ models: [card], slots: 2 });
  const rig: Rig = { station, prober, asked, looks: 0, broken: true };
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
});
