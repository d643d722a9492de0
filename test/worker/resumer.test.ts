import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AttemptNote } from "../../src/core/attempt-note.ts";
import type { Fault } from "../../src/core/fault.ts";
import { Keys } from "../../src/redis/keys.ts";
import { openLog } from "../../src/telemetry/log.ts";
import type { TaskEnvelope } from "../../src/wire/task-codec.ts";
import type { Delivery } from "../../src/worker/attempt.ts";
import { resumerOf } from "../../src/worker/resumer.ts";
import { FakeConnection } from "../redis/fake-connection.ts";
import { idleStation } from "./station-rig.ts";

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

/** Returns the fate of a task that is taken over. @param past how it came here, and what CLAIM tells of its attempts */
async function resume(
  deliveryLimit: number,
  deliveries: number,
  past: { readonly lost?: string; readonly handedBack: boolean; readonly notes?: readonly AttemptNote[] },
): Promise<Refused | "ran"> {
  const connection = new FakeConnection();
  const notes = (past.notes ?? []).map((note) => Buffer.from(JSON.stringify(note)));
  connection.answer = () => [1, Buffer.from("9"), deliveries, ...notes];
  const refused: Refused[] = [];
  const take = resumerOf({
    connection,
    keys: new Keys("test"),
    worker: "w1",
    log: openLog({ level: "error", format: "json", write: () => {} }),
    runner: { run: () => true },
    refuser: {
      read: () => ({ id: "g.1" }) as TaskEnvelope,
      refuse: (_queued, fault, delivery) => {
        refused.push({ fault, delivery });
        return Promise.resolve();
      },
    },
    acknowledger: { add: () => {}, hasEnded: () => false },
    doubts: { sift: (tasks) => Promise.resolve([...tasks]) },
    trust: { clock: (mono) => mono },
    deliveryLimit,
    mono: () => 0,
    random: () => 0,
  });
  const station = idleStation(1);
  const place = { station, visit: station.occupy("tiny"), ...past };
  const ran = await take(place, { model: "tiny", entry: "1-0", payload: Buffer.alloc(0) }, deliveries);
  return ran ? "ran" : (refused[0] ?? assert.fail("neither run nor refused"));
}

describe("a task that was delivered as often as it may", () => {
  it("tells one number, that of the deliveries which were to be run, in the right grammar", async () => {
    const once = await resume(1, 2, { lost: "w2", handedBack: false });
    assert.ok(once !== "ran");
    assert.equal(once.fault.code, "delivery_limit");
    assert.equal(once.fault.message, "no worker answered in 1 delivery");
    assert.equal(once.delivery.deliveries, 1);
    const thrice = await resume(3, 4, { lost: "w2", handedBack: false });
    assert.ok(thrice !== "ran");
    assert.equal(thrice.fault.message, "no worker answered in 3 deliveries");
    assert.equal(thrice.delivery.deliveries, 3);
  });

  it("is no dead letter when its last attempt was handed back with a failure: that is told", async () => {
    const told = await resume(1, 2, { handedBack: true, notes: [NOTE] });
    assert.ok(told !== "ran");
    assert.deepEqual([told.fault.code, told.fault.http, told.fault.blame], ["backend_error", 500, "backend"]);
  });

  it("runs while it may", async () => {
    assert.equal(await resume(2, 2, { handedBack: true, notes: [NOTE] }), "ran");
  });
});
