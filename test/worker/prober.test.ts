import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import type { Backend, BackendKind } from "../../src/backends/backend.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Task } from "../../src/core/task.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { Prober } from "../../src/worker/prober.ts";
import { BackendSlots } from "../../src/worker/backend-slots.ts";
import { until } from "../rig/until.ts";
import { TINY_CARD } from "./idle-backend.ts";

interface Rig {
  readonly backendSlots: BackendSlots;
  readonly prober: Prober;
  readonly asked: Task[];
  checks: number;
  broken: boolean;
  /** The fault of the backend. */
  fault: Fault;
}

let prober: Prober | undefined;

afterEach(() => prober?.stop());

const CLOCK = { failures: 5, ambient: { random: () => 0, mono: () => performance.now() } };

function rigOf(options: {
  readonly kind?: BackendKind;
  readonly resident?: boolean;
  readonly eject?: boolean;
  /** Others of its models. Only one fits into memory. */
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
      rig.checks += 1;
      return Promise.resolve({ models, slots: 2 });
    },
    run: (task, _model, sink) => {
      asked.push(task);
      if (rig.broken) return Promise.reject(rig.fault);
      sink.progress.alive();
      sink.write(Buffer.from("x"));
      return Promise.resolve({ usage: undefined });
    },
    close: () => Promise.resolve(),
  };
  const opened = new Prober({
    log: openLog({ level: "error", format: "json", write: () => {} }),
    fleetLookup: { mayOpen: () => eject },
    metrics: { probed: () => {} },
  });
  prober = opened;
  const placement = { swapWaitMs: 0, swapResidencyMs: 0, modelsLoaded: 1, ambient: CLOCK.ambient };
  const backendSlots = new BackendSlots(backend, 2, {
    circuits: CLOCK,
    judgeOf: (one) => opened.judgeOf(one),
    placement,
  });
  backendSlots.update({ models, slots: 2 });
  const fault = new Fault("backend_error", "sick", { http: 500 });
  const rig: Rig = { backendSlots, prober: opened, asked, checks: 0, broken: true, fault };
  return rig;
}

/** So many failures of one client. */
function fail({ backendSlots }: Rig, times: number, endpoint: Task["endpoint"] = "openai-chat"): void {
  for (let n = 0; n < times; n += 1) {
    const lease = backendSlots.occupy("tiny");
    lease.failed({ strength: "soft", client: "aaaaaa", endpoint });
    lease.release();
  }
}

describe("a worker in doubt", () => {
  it("asks for as little as can be of the same kind, and opens the circuit when that fails", async () => {
    const rig = rigOf({});
    fail(rig, 5, "ollama-generate");
    await until("an open circuit", () => rig.backendSlots.circuits.of("tiny").state === "open");
    assert.deepEqual(JSON.parse(rig.asked[0]?.body.toString() ?? ""), {
      model: "tiny:latest",
      prompt: "Hi",
      max_tokens: 1,
      stream: true,
    });
    assert.equal(rig.backendSlots.busy, 0);
  });

  it("believes the backend when its own request is answered", async () => {
    const rig = rigOf({});
    rig.broken = false;
    fail(rig, 5);
    await until("the answer", () => rig.asked.length === 1 && rig.backendSlots.busy === 0);
    fail(rig, 40);
    assert.equal(rig.backendSlots.circuits.of("tiny").state, "closed");
    assert.equal(rig.asked.length, 1, "and asks no more for a while");
  });
});

it("an answered request of the worker's own shows that the model is loaded", async () => {
  const rig = rigOf({ resident: false, others: ["big"] });
  const first = rig.backendSlots.occupy("tiny");
  rig.broken = false;
  for (let n = 0; n < 5; n += 1) first.failed({ strength: "soft", client: "aaaaaa" });
  first.release();
  await until("the answer", () => rig.asked.length === 1 && rig.backendSlots.busy === 0);
  assert.equal(rig.backendSlots.placement?.isLoaded("tiny"), true);
});

describe("an open circuit without traffic", () => {
  it("closes when the backend is mended", async () => {
    const rig = rigOf({});
    fail(rig, 5);
    await until("an open circuit", () => rig.backendSlots.circuits.of("tiny").state === "open");
    rig.broken = false;
    await until("a closed one", () => rig.backendSlots.circuits.of("tiny").state === "closed");
    assert.equal(rig.checks, 0, "a loaded model is asked");
  });

  it("closes after good checks when asking would load the model, and one failure is then enough for doubt", async () => {
    const rig = rigOf({ resident: false });
    fail(rig, 5);
    await until("an open circuit", () => rig.backendSlots.circuits.of("tiny").state === "open");
    const asked = rig.asked.length;
    await until("a closed one", () => rig.backendSlots.circuits.of("tiny").state === "closed");
    assert.deepEqual([rig.checks, rig.asked.length], [3, asked]);
    fail(rig, 1);
    await until("an open circuit again", () => rig.backendSlots.circuits.of("tiny").state === "open");
  });

  it("is paced where the model has too few other backends: tasks go there, one at a time, with pauses", async () => {
    const rig = rigOf({ eject: false });
    fail(rig, 5);
    const circuit = rig.backendSlots.circuits.of("tiny");
    await until("a paced circuit", () => circuit.state === "paced");
    assert.equal(circuit.room, 0);
    await until("room for one", () => circuit.room === 1);
    assert.equal(circuit.state, "paced");
    rig.broken = false;
    await until("a closed one", () => circuit.state === "closed");
  });

  it("closes while other models have the memory, and all slots", async () => {
    const rig = rigOf({ resident: false, others: ["big"] });
    fail(rig, 5);
    await until("an open circuit", () => rig.backendSlots.circuits.of("tiny").state === "open");
    rig.backendSlots.update({
      models: [...(await rig.backendSlots.backend.inspect(AbortSignal.abort())).models],
      slots: 2,
    });
    rig.backendSlots.occupy("big");
    rig.backendSlots.occupy("big");
    await until("a closed one", () => rig.backendSlots.circuits.of("tiny").state === "closed", 15_000);
  });

  it("closes after good checks when the worker's own request proves nothing", async () => {
    const rig = rigOf({});
    fail(rig, 5);
    await until("an open circuit", () => rig.backendSlots.circuits.of("tiny").state === "open");
    rig.fault = new Fault("unsupported", "not this kind");
    await until("a closed one", () => rig.backendSlots.circuits.of("tiny").state === "closed", 15_000);
    assert.ok(rig.asked.length <= 4, "and it is not asked each second");
  });

  it("closes though a task failed as the probe while the worker was about to check", async () => {
    const rig = rigOf({ eject: false });
    fail(rig, 5);
    const circuit = rig.backendSlots.circuits.of("tiny");
    await until("room for one", () => circuit.state === "paced" && circuit.room === 1);
    const { generation } = circuit;
    fail(rig, 1);
    await until("another failure", () => circuit.generation !== generation);
    rig.broken = false;
    await until("a closed one", () => circuit.state === "closed", 15_000);
  });
});
