import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readWorkerAnnouncement } from "../../src/core/announcement.ts";
import { Fault } from "../../src/core/fault.ts";
import type { WorkerAnnouncement } from "../../src/core/fleet.ts";
import { Startup } from "../../src/gateway/fleet/startup.ts";

const BOUND_MS = 300_000;

function worker(id: string, starting: boolean, host = "one"): WorkerAnnouncement {
  const process = { version: "0", host, pid: 1, startedAt: 0, seenAt: 0 };
  return { ...process, id, draining: false, backends: [], ...(starting ? { starting } : {}) };
}

class Rig {
  clock = 5;
  readonly startup: Startup;

  constructor(expectsWorker = false) {
    const options = { boundMs: BOUND_MS, mono: () => this.clock, expectsWorker, host: "one" };
    this.startup = new Startup(options);
  }

  /** True when a model may still come, so many ms later, at a look at these workers. */
  look(ms: number, ...workers: readonly WorkerAnnouncement[]): boolean {
    this.clock += ms;
    this.startup.refresh(workers);
    return this.startup.pending;
  }
}

describe("a fleet that gets ready", () => {
  it("has models that may come while some worker is starting, and none when all are ready", () => {
    const rig = new Rig();
    assert.equal(rig.startup.pending, false);
    assert.equal(rig.look(0, worker("w1", true)), true);
    assert.equal(rig.look(3000, worker("w1", true), worker("w2", false)), true);
    assert.equal(rig.look(3000, worker("w1", false), worker("w2", false)), false);
    assert.equal(rig.look(3000), false);
  });

  it("is waited for within bounds: a worker that never gets ready, and one that begins again and again", () => {
    const rig = new Rig();
    for (let at = 0; at < BOUND_MS; at += 3000)
      assert.equal(rig.look(at === 0 ? 0 : 3000, worker("w1", true)), true);
    assert.equal(rig.look(3000, worker("w1", true)), false);
    for (let round = 0; round < 300; round += 1) {
      assert.equal(rig.look(3000, ...(round % 3 === 0 ? [] : [worker(`w${round}`, true)])), false);
    }
    assert.equal(rig.look(3000, worker("x", true, "two")), true, "another host has its own time");
  });

  it("is waited for anew when a host was quiet for as long", () => {
    const rig = new Rig();
    rig.look(0, worker("w1", true));
    assert.equal(rig.look(BOUND_MS, worker("w1", true)), false);
    rig.look(3000, worker("w1", false));
    rig.look(BOUND_MS, worker("w1", false));
    assert.equal(rig.look(3000, worker("w2", true)), true);
  });

  it("is not asked about at a look long ago", () => {
    const rig = new Rig();
    rig.look(0, worker("w1", true));
    rig.clock += BOUND_MS;
    assert.equal(rig.startup.pending, false);
  });

  it("expects the worker that was started beside its gateway, for a while, and until one has said something", () => {
    assert.equal(new Rig(true).look(29_000), true);
    assert.equal(new Rig(true).look(31_000), false);
    const rig = new Rig(true);
    assert.equal(rig.look(1000, worker("w1", false)), false);
    assert.equal(rig.look(1000), false);
  });

  it("expects the worker beside its gateway though those of other hosts are ready", () => {
    const rig = new Rig(true);
    const far = worker("w9", false, "two");
    assert.equal(rig.look(0, far), true);
    assert.equal(rig.look(1000, far, worker("w1", true)), true);
    assert.equal(rig.look(1000, far, worker("w1", false)), false);
  });

  it("tells 503 with a time to wait instead of what it does not know, and leaves other faults", () => {
    const rig = new Rig();
    rig.look(0, worker("w1", true));
    const told = rig.startup.insteadOf(new Fault("model_not_found", "model 'x' not found"));
    assert.deepEqual([told.code, told.http, told.retryAfter], ["fleet_starting", 503, 2]);
    assert.match(told.message, /^model 'x' not found: not yet/);
    for (const code of ["model_name_invalid", "invalid_request", "queue_full"] as const) {
      const fault = new Fault(code, "m");
      assert.equal(rig.startup.insteadOf(fault), fault);
    }
    rig.look(0, worker("w1", false));
    const fault = new Fault("model_not_found", "m");
    assert.equal(rig.startup.insteadOf(fault), fault);
  });

  it("is read from announcements of any version", () => {
    for (const [starting, expected] of [
      [true, true],
      [false, undefined],
      ["true", undefined],
      [1, undefined],
      [undefined, undefined],
    ] as const) {
      assert.equal(readWorkerAnnouncement({ id: "w1", starting })?.starting, expected);
    }
  });
});
