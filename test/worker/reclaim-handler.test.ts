import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AttemptNote } from "../../src/core/attempt-note.ts";
import type { Fault } from "../../src/core/fault.ts";
import { Keys } from "../../src/redis/keys.ts";
import { openStores } from "../../src/redis/stores.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { AttemptNumbers } from "../../src/worker/attempt.ts";
import type { Delivery } from "../../src/worker/attempt.ts";
import { ReclaimHandler } from "../../src/worker/reclaim-handler.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";
import { queuedRecord } from "../rig/redis/queued-record.ts";
import { idleBackendSlots } from "./idle-backend.ts";

const NOTE: AttemptNote = {
  worker: "w2",
  backend: "b2",
  code: "backend_error",
  cause: "backend",
  http: 500,
  asked: true,
};

interface Refused {
  readonly fault: Fault;
  readonly delivery: Delivery;
}

/** Returns the fate of a task that is taken over. @param past its way to this worker, and the notes that CLAIM returns */
async function resume(
  deliveryLimit: number,
  deliveries: number,
  past: { readonly lost?: string; readonly requeued: boolean; readonly notes?: readonly AttemptNote[] },
): Promise<Refused | "ran"> {
  const connection = new FakeConnection();
  const notes = (past.notes ?? []).map((note) => Buffer.from(JSON.stringify(note)));
  connection.answer = () => [1, Buffer.from("9"), deliveries, ...notes];
  const refused: Refused[] = [];
  const handler = new ReclaimHandler({
    link: { connection, stores: openStores(connection, new Keys("test")) },
    worker: "w1",
    log: openLog({ level: "error", format: "json", write: () => {} }),
    runner: { run: () => {} },
    rejecter: {
      reject: ({ delivery }, fault) => {
        refused.push({ fault, delivery });
        return Promise.resolve();
      },
      discard: () => assert.fail("it has an answer to come"),
      rejectUnreadable: () => assert.fail("it is a task"),
    },
    failoverGuard: {
      endedHere: () => false,
      filterRunnable: (_connection, tasks) => Promise.resolve([...tasks]),
    },
    numbers: new AttemptNumbers({ clock: (mono) => mono }, { mono: () => 0, random: () => 0 }),
    deliveryLimit,
  });
  const backendSlots = idleBackendSlots(1);
  const queued = { model: "tiny", entry: "1-0", payload: queuedRecord("g.1") };
  const ran = await handler.resume(backendSlots.occupy("tiny"), queued, { ...past, deliveries });
  return ran ? "ran" : (refused[0] ?? assert.fail("neither run nor refused"));
}

describe("a task that was delivered as often as it may", () => {
  it("names one number, the deliveries that were to be run, in the right grammar", async () => {
    const once = await resume(1, 2, { lost: "w2", requeued: false });
    assert.ok(once !== "ran");
    assert.equal(once.fault.code, "delivery_limit");
    assert.equal(once.fault.message, "no worker answered in 1 delivery");
    assert.equal(once.delivery.deliveries, 1);
    const thrice = await resume(3, 4, { lost: "w2", requeued: false });
    assert.ok(thrice !== "ran");
    assert.equal(thrice.fault.message, "no worker answered in 3 deliveries");
    assert.equal(thrice.delivery.deliveries, 3);
  });

  it("is no dead letter when its last attempt was requeued with a failure: its client gets that", async () => {
    const rejected = await resume(1, 2, { requeued: true, notes: [NOTE] });
    assert.ok(rejected !== "ran");
    assert.deepEqual(
      [rejected.fault.code, rejected.fault.http, rejected.fault.blame],
      ["backend_error", 500, "backend"],
    );
  });

  it("runs while it may", async () => {
    assert.equal(await resume(2, 2, { requeued: true, notes: [NOTE] }), "ran");
  });
});
