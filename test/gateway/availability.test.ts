import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Availability } from "../../src/gateway/requests/availability.ts";

class Rig {
  readonly commands = { ready: true };
  readonly channel = { ready: true };
  connectionBreakingMs = 0;
  isIdle = false;
  readonly availability: Availability;

  constructor() {
    const stalls = { connectionBreakingMs: 0 };
    Object.defineProperty(stalls, "connectionBreakingMs", { get: () => this.connectionBreakingMs });
    const connections = [this.commands, this.channel];
    this.availability = new Availability({ connections, stalls, isIdle: () => this.isIdle });
  }

  get codes(): readonly (string | undefined)[] {
    return [this.availability.unready()?.code, this.availability.unavailable()?.code];
  }
}

describe("a gateway", () => {
  it("serves while both connections are up, and says who is to blame when one is not", () => {
    const rig = new Rig();
    assert.deepEqual(rig.codes, [undefined, undefined]);
    rig.channel.ready = false;
    assert.deepEqual(rig.codes, ["redis_down", "redis_down"]);
    rig.connectionBreakingMs = 9000;
    assert.deepEqual(rig.codes, ["gateway_stalled", "gateway_stalled"]);
  });

  it("that is about to stop still serves, and only load balancers see it", async () => {
    const rig = new Rig();
    await rig.availability.leave(0);
    assert.deepEqual(rig.codes, [undefined, "draining"]);
  });

  it("that drains rejects new requests, and is done when the last task has ended or was rejected", async () => {
    for (const last of ["ended", "rejected"] as const) {
      const rig = new Rig();
      let isDone = false;
      const drained = rig.availability.drain(60_000).then(() => (isDone = true));
      assert.deepEqual(rig.codes, ["draining", "draining"]);
      rig.availability[last]();
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(isDone, false, "a task is open still");
      rig.isIdle = true;
      rig.availability[last]();
      await drained;
    }
  });

  it("that is idle drains at once, and one that never is stops waiting in time", async () => {
    const idle = new Rig();
    idle.isIdle = true;
    await idle.availability.drain(60_000);
    await new Rig().availability.drain(1);
  });
});
