import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CircuitState } from "../../src/core/fleet.ts";
import { Keys } from "../../src/redis/keys.ts";
import { openStores } from "../../src/redis/stores.ts";
import { FleetLookup } from "../../src/worker/fleet-lookup.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";
import { until } from "../rig/until.ts";
import { idleBackendSlots, TINY_CARD } from "./idle-backend.ts";

/** Other workers of the fleet, each with one backend whose circuit is in a given state. */
async function mayOpen(others: readonly CircuitState[]): Promise<boolean> {
  const connection = new FakeConnection();
  const workers = others.map((state, index) => ({
    id: `w${index + 2}`,
    seenAt: Date.now(),
    backends: [{ name: `b${index}`, healthy: true, models: [TINY_CARD], gates: [{ model: "tiny", state }] }],
  }));
  connection.answer = (command) => {
    if (command.startsWith("ZRANGE")) return workers.map(({ id }) => Buffer.from(id));
    if (command.startsWith("MGET")) return workers.map((one) => Buffer.from(JSON.stringify(one)));
    const known = workers.find(({ id }) => command.endsWith(id));
    return known === undefined ? [] : Buffer.from(JSON.stringify(known));
  };
  const backendSlots = idleBackendSlots(2);
  const fleetLookup = new FleetLookup({
    stores: openStores(connection, new Keys("test")),
    worker: "w1",
    allBackendSlots: [backendSlots],
    ambient: { mono: () => 0 },
  });
  assert.equal(fleetLookup.mayOpen("tiny", backendSlots), false, "as long as nothing is known");
  await fleetLookup.serves("tiny", backendSlots);
  await until("the fleet", () => connection.arrived.length > 0);
  return fleetLookup.mayOpen("tiny", backendSlots);
}

describe("a circuit may open", () => {
  it("for at most half of the backends of a model, and never for the last", async () => {
    assert.equal(await mayOpen([]), false);
    assert.equal(await mayOpen(["closed"]), true);
    assert.equal(await mayOpen(["open"]), false);
    assert.equal(await mayOpen(["half-open"]), false);
    assert.equal(await mayOpen(["closed", "closed"]), true);
    assert.equal(await mayOpen(["closed", "open"]), false);
    assert.equal(await mayOpen(["closed", "closed", "open"]), true);
    assert.equal(await mayOpen(["paced", "busy", "closed"]), true);
  });
});
