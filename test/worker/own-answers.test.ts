import assert from "node:assert/strict";
import test from "node:test";
import type { Backend, ReplySink } from "../../src/backends/backend.ts";
import { systemAmbient } from "../../src/core/ambient.ts";
import type { TaskEnvelope } from "../../src/wire/task-codec.ts";
import { Keys } from "../../src/redis/keys.ts";
import { linkTo } from "../../src/worker/links.ts";
import { Runner } from "../../src/worker/runner.ts";
import type { RunnerOptions } from "../../src/worker/runner.ts";
import { Outbox } from "../../src/worker/outbox.ts";
import { BackendSlots } from "../../src/worker/backend-slots.ts";
import { until } from "../rig/until.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";
import { TINY_CARD } from "./idle-backend.ts";
import { aTask } from "../rig/task.ts";

const ENVELOPE: TaskEnvelope = aTask({
  endpoint: "anthropic-count-tokens",
});

/** A runner to which Redis matters nothing. */
function runner(): Runner {
  const parts: Partial<Record<keyof RunnerOptions, unknown>> = {
    ambient: systemAmbient,
    link: linkTo(new FakeConnection(), new Keys("test")),
    emitter: {
      open: (reply: { task: string; stream: boolean; attempt: number }) =>
        new Outbox({ ...reply, worker: "w1", ready: () => {}, ambient: systemAmbient }),
    },
    attemptRegistry: { add: () => true, settle: () => {} },
    gateways: { check: () => {} },
    reporter: { begun: () => undefined, ended: () => {} },
  };
  return new Runner(parts as unknown as RunnerOptions);
}

/** The state of a circuit after a task has probed it, and whether its model counts as loaded. */
async function afterProbe(
  answer: (sink: ReplySink) => void,
): Promise<readonly [string, boolean | undefined]> {
  const backend: Backend = {
    name: "counts",
    kind: "ollama",
    url: "",
    loadsOnDemand: true,
    inspect: () => Promise.reject(new Error("no check was due")),
    run: (_task, _model, sink) => {
      answer(sink);
      return Promise.resolve({ usage: undefined });
    },
    close: () => Promise.resolve(),
  };
  let now = 0;
  const mono = (): number => now;
  const placement = { swapWaitMs: 0, swapResidencyMs: 0, modelsLoaded: 1, ambient: { mono } };
  const backendSlots = new BackendSlots(backend, 1, {
    circuits: { failures: 1, ambient: { mono, random: () => 0 } },
    placement,
  });
  backendSlots.update({ models: [{ ...TINY_CARD, resident: false }], slots: 1 });
  const failing = backendSlots.occupy("tiny");
  failing.failed();
  failing.release();
  now = 60_000;
  const queued = { model: "tiny", entry: "1-0", payload: Buffer.alloc(0) };
  const delivery = { deliveries: 1, ordinal: 1, attempt: 1 };
  runner().run(backendSlots.occupy("tiny"), { queued, envelope: ENVELOPE, delivery });
  assert.equal(backendSlots.busy, 1);
  await until("its end", () => backendSlots.busy === 0);
  return [backendSlots.circuits.of("tiny").state, backendSlots.placement?.isLoaded("tiny")];
}

test("an answer of the worker's own, an estimate for instance, says nothing of the backend", async () => {
  const own = await afterProbe((sink) => sink.write(Buffer.from("7")));
  assert.deepEqual(own, ["half-open", false]);
});

test("an answer of the backend closes its circuit, and shows that the model is loaded", async () => {
  const real = await afterProbe((sink) => {
    sink.progress.sent();
    sink.progress.alive();
    sink.write(Buffer.from("7"));
  });
  assert.deepEqual(real, ["closed", true]);
});
