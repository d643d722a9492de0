import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Fault } from "../../src/core/fault.ts";
import { Readiness } from "../../src/gateway/fleet/readiness.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";

const OUTAGE_MS = 60_000;

/** Two connections of which each can be lost, and a clock. */
class Rig {
  readonly connections = [new FakeConnection(), new FakeConnection()];
  readonly readiness: Readiness;
  clock = 5;
  draining = false;

  constructor(outageMs = OUTAGE_MS) {
    this.readiness = new Readiness({
      connections: this.connections,
      outageMs,
      mono: () => this.clock,
      unready: () => {
        if (this.draining) return new Fault("draining", "the gateway is stopping");
        const away = this.connections.some(({ ready }) => !ready);
        return away ? new Fault("redis_down", "Redis is not reachable") : undefined;
      },
    });
  }

  get codes(): readonly (string | undefined)[] {
    return [this.readiness.outOfService?.code, this.readiness.unready?.code];
  }
}

describe("the readiness of a gateway", () => {
  it("outlasts the first part of an outage, and no more than that", () => {
    const rig = new Rig();
    const [one, other] = rig.connections;
    assert.deepEqual(rig.codes, [undefined, undefined]);
    one?.cut();
    assert.deepEqual(rig.codes, [undefined, "redis_down"]);
    rig.clock += OUTAGE_MS - 1;
    other?.cut();
    assert.deepEqual(rig.codes, [undefined, "redis_down"]);
    rig.clock += 1;
    assert.deepEqual(rig.codes, ["redis_down", "redis_down"]);
    one?.mend();
    assert.deepEqual(rig.codes, ["redis_down", "redis_down"], "the other one is still away");
    other?.mend();
    assert.deepEqual(rig.codes, [undefined, undefined]);
  });

  it("counts each outage for itself, looked at or not", () => {
    const rig = new Rig();
    const [one] = rig.connections;
    one?.cut();
    rig.clock += OUTAGE_MS - 1;
    one?.mend();
    rig.clock += OUTAGE_MS;
    one?.cut();
    rig.clock += OUTAGE_MS - 1;
    assert.deepEqual(rig.codes, [undefined, "redis_down"]);
    rig.clock += 1;
    assert.deepEqual(rig.codes, ["redis_down", "redis_down"]);
  });

  it("ends at once with an outage when it shall outlast none", () => {
    const rig = new Rig(0);
    rig.connections[0]?.cut();
    assert.deepEqual(rig.codes, ["redis_down", "redis_down"]);
  });

  it("ends at once when the gateway is about to stop", () => {
    const rig = new Rig();
    rig.draining = true;
    assert.deepEqual(rig.codes, ["draining", "draining"]);
  });
});
