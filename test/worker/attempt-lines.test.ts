import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Fault } from "../../src/core/fault.ts";
import { Keys } from "../../src/redis/keys.ts";
import { openStores } from "../../src/redis/stores.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { encodeTask } from "../../src/wire/task-codec.ts";
import { AttemptReporter } from "../../src/worker/attempt-reporter.ts";
import { AttemptNumbers } from "../../src/worker/attempt.ts";
import type { Attempt } from "../../src/worker/attempt.ts";
import { ReclaimHandler } from "../../src/worker/reclaim-handler.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";
import { aTask } from "../rig/task.ts";
import { idleBackendSlots } from "./idle-backend.ts";

/** A log, and what was written to it. */
function logOf() {
  const lines: string[] = [];
  const log = openLog({ level: "info", format: "json", write: (line) => void lines.push(line) });
  return { log, told: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

describe("the log line of an attempt", () => {
  it("that failed names the key of the request", () => {
    const { log, told } = logOf();
    const metrics = { ended: () => {}, attemptFailed: () => {} };
    const reporter = new AttemptReporter({ worker: "w1", metrics, log, ambient: { mono: () => 0 } });
    const fail = (names: { keyName?: string; tenant?: string }): void => {
      const attempt = { envelope: aTask(names), id: "g.1", model: "tiny", ordinal: 1, startedAt: 0 };
      const end = { fault: new Fault("backend_error", "broken"), next: "requeued" };
      reporter.failed(idleBackendSlots(1), attempt as unknown as Attempt, end);
    };
    fail({ keyName: "ann", tenant: "lab" });
    fail({});
    const [named, plain] = told();
    assert.deepEqual([named?.["keyName"], named?.["tenant"]], ["ann", "lab"]);
    assert.ok(plain !== undefined && !("keyName" in plain));
  });

  it("of a task that is taken over names its request and key", async () => {
    const { log, told } = logOf();
    const connection = new FakeConnection();
    connection.answer = () => [1, Buffer.from("9"), 2];
    const handler = new ReclaimHandler({
      link: { connection, stores: openStores(connection, new Keys("test")) },
      worker: "w1",
      log,
      runner: { run: () => {} },
      rejecter: {
        reject: () => assert.fail("it may run"),
        discard: () => assert.fail("it has an answer to come"),
        rejectUnreadable: () => assert.fail("it is a task"),
      },
      failoverGuard: {
        endedHere: () => false,
        filterRunnable: (_link, tasks) => Promise.resolve([...tasks]),
      },
      numbers: new AttemptNumbers({ clock: (mono) => mono }, { mono: () => 0, random: () => 0 }),
      deliveryLimit: 3,
    });
    const task = aTask({ keyName: "ann", tenant: "lab", requestId: "r7" });
    const queued = { model: "tiny", entry: "1-0", payload: encodeTask(task, true) };
    const lease = idleBackendSlots(1).occupy("tiny");
    assert.equal(await handler.resume(lease, queued, { deliveries: 2, requeued: false, lost: "w0" }), true);
    const [line] = told();
    const { message, request, keyName, tenant, lost } = line ?? {};
    assert.deepEqual(
      [message, request, keyName, tenant, lost],
      ["task taken over", "r7", "ann", "lab", "w0"],
    );
  });
});
