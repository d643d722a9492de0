import assert from "node:assert/strict";
import test from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Backend } from "../../src/backends/backend.ts";
import { systemAmbient } from "../../src/core/ambient.ts";
import { Keys } from "../../src/redis/keys.ts";
import { decodeTask, encodeTask } from "../../src/wire/task-codec.ts";
import type { TaskEnvelope } from "../../src/wire/task-codec.ts";
import type { Attempt } from "../../src/worker/attempt.ts";
import { BackendSlots } from "../../src/worker/backend-slots.ts";
import { linkTo } from "../../src/worker/links.ts";
import { Outbox } from "../../src/worker/outbox.ts";
import { Runner } from "../../src/worker/runner.ts";
import type { RunnerOptions } from "../../src/worker/runner.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";
import { aTask } from "../rig/task.ts";
import { until } from "../rig/until.ts";
import { TINY_CARD } from "./idle-backend.ts";

const BODY_BYTES = 128 * 1024;

/** Collects garbage now. */
function collector(): () => void {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  assert.ok(typeof collect === "function");
  return () => void collect();
}

const backend: Backend = {
  name: "quick",
  kind: "ollama",
  url: "",
  inspect: () => Promise.reject(new Error("no check was due")),
  run: (_task, _model, sink) => {
    sink.write(Buffer.from("an answer"));
    return Promise.resolve({ usage: undefined });
  },
  close: () => Promise.resolve(),
};

/** Runs a task whose end frame Redis does not take. Returns its attempt, and a weak reference to its body. */
async function runWithoutRedis(): Promise<{ attempt: Attempt; body: WeakRef<Buffer> }> {
  const attempts: Attempt[] = [];
  const parts: Partial<Record<keyof RunnerOptions, unknown>> = {
    ambient: systemAmbient,
    link: linkTo(new FakeConnection(), new Keys("test")),
    emitter: {
      open: (reply: { task: string; stream: boolean; attempt: number }) =>
        new Outbox({ ...reply, worker: "w1", ready: () => {}, ambient: systemAmbient }),
    },
    attemptRegistry: { add: (attempt: Attempt) => attempts.push(attempt) > 0, settle: () => {} },
    gateways: { check: () => {} },
    reporter: { begun: () => undefined, ended: () => {} },
  };
  const backendSlots = new BackendSlots(backend, 1);
  backendSlots.update({ models: [TINY_CARD], slots: 1 });
  const task = aTask({ body: Buffer.alloc(BODY_BYTES, "x") });
  const envelope: TaskEnvelope = decodeTask(encodeTask(task, true));
  const queued = { model: "tiny", entry: "1-0", payload: Buffer.alloc(0) };
  const delivery = { deliveries: 1, ordinal: 1, attempt: 1 };
  assert.equal(envelope.body?.length, BODY_BYTES);
  const body = new WeakRef(envelope.body);
  new Runner(parts as unknown as RunnerOptions).run(backendSlots.occupy("tiny"), {
    queued,
    envelope,
    delivery,
  });
  await until("the end of the backend's answer", () => backendSlots.busy === 0);
  const [attempt] = attempts;
  assert.ok(attempt !== undefined);
  return { attempt, body };
}

test("an attempt that waits for Redis at its end holds its answer, and no longer the body of its request", async () => {
  const collect = collector();
  const { attempt, body } = await runWithoutRedis();
  await until("the body is freed", () => {
    collect();
    return body.deref() === undefined;
  });
  assert.equal(attempt.outbox.next()?.last, true);
});
