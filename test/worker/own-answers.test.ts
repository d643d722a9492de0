import assert from "node:assert/strict";
import test from "node:test";
import type { Backend, ReplySink } from "../../src/backends/backend.ts";
import { systemAmbient } from "../../src/core/ambient.ts";
import type { TaskEnvelope } from "../../src/wire/task-codec.ts";
import { Keys } from "../../src/redis/keys.ts";
import { Runner } from "../../src/worker/runner.ts";
import type { RunnerOptions } from "../../src/worker/runner.ts";
import { Station } from "../../src/worker/station.ts";
import { until } from "../journey/until.ts";
import { FakeConnection } from "../redis/fake-connection.ts";
import { TINY_CARD } from "./station-rig.ts";

const ENVELOPE: TaskEnvelope = {
  id: "g.1",
  endpoint: "anthropic-count-tokens",
  model: "tiny",
  stream: true,
  createdAt: Date.now(),
  deadline: Date.now() + 60_000,
  requestId: "r",
  trace: "",
  body: Buffer.from("{}"),
};

/** A runner to which Redis matters nothing. */
function runner(): Runner {
  const parts: Partial<Record<keyof RunnerOptions, unknown>> = {
    ...systemAmbient,
    connection: new FakeConnection(),
    keys: new Keys("test"),
    worker: "w1",
    emitter: { ready: () => {} },
    acknowledger: { add: () => {} },
    roll: { add: () => true, remove: () => {}, runs: () => false, checkGateway: () => {} },
    refuser: { read: () => ENVELOPE },
    trust: { clock: (mono: number) => mono },
    metrics: { ended: () => {} },
  };
  return new Runner(parts as unknown as RunnerOptions);
}

/** The state of a circuit that is probed by a task, and what is known of the model's load after it. */
async function afterProbe(
  answer: (sink: ReplySink) => void,
): Promise<readonly [string, boolean | undefined]> {
  const backend: Backend = {
    name: "counts",
    kind: "ollama",
    url: "",
    loadsOnDemand: true,
    inspect: () => Promise.reject(new Error("nobody looks")),
    run: (_task, _model, sink) => {
      answer(sink);
      return Promise.resolve({ usage: undefined });
    },
    close: () => Promise.resolve(),
  };
  let now = 0;
  const mono = (): number => now;
  const placement = { swapWaitMs: 0, swapResidencyMs: 0, modelsLoaded: 1, mono };
  const station = new Station(backend, 1, { gates: { failures: 1, mono, random: () => 0 }, placement });
  station.update({ models: [{ ...TINY_CARD, resident: false }], slots: 1 });
  const failing = station.occupy("tiny");
  failing.gate.failed(failing.era);
  station.release(failing);
  now = 60_000;
  const place = { station, visit: station.occupy("tiny") };
  const queued = { model: "tiny", entry: "1-0", payload: Buffer.alloc(0) };
  assert.ok(runner().run(place, queued, { deliveries: 1, ordinal: 1, attempt: 1 }));
  await until("its end", () => station.busy === 0);
  return [station.gateOf("tiny").state, station.placement?.isLoaded("tiny")];
}

test("an answer of the worker's own, an estimate for instance, says nothing of the backend", async () => {
  const own = await afterProbe((sink) => sink.write(Buffer.from("7")));
  assert.deepEqual(own, ["half-open", false]);
});

test("an answer of the backend closes its circuit, and shows that the model is loaded", async () => {
  const real = await afterProbe((sink) => {
    sink.pulse.sent();
    sink.pulse.alive();
    sink.write(Buffer.from("7"));
  });
  assert.deepEqual(real, ["closed", true]);
});
