import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GateState } from "../../src/core/fleet.ts";
import { Keys } from "../../src/redis/keys.ts";
import { Peers } from "../../src/worker/peers.ts";
import { FakeConnection } from "../redis/fake-connection.ts";
import { until } from "../journey/until.ts";
import { idleStation, TINY_CARD } from "./station-rig.ts";

/** Other workers of the fleet, each with one backend whose circuit is as told. */
async function mayEject(others: readonly GateState[]): Promise<boolean> {
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
  const station = idleStation(2);
  const peers = new Peers({
    connection,
    keys: new Keys("test"),
    worker: "w1",
    stations: [station],
    mono: () => 0,
  });
  assert.equal(peers.mayEject("tiny", station), false, "as long as nothing is known");
  await peers.serve("tiny", station);
  await until("the fleet", () => connection.arrived.length > 0);
  return peers.mayEject("tiny", station);
}

describe("a circuit may open", () => {
  it("for at most half of the backends of a model, and never for the last", async () => {
    assert.equal(await mayEject([]), false);
    assert.equal(await mayEject(["closed"]), true);
    assert.equal(await mayEject(["open"]), false);
    assert.equal(await mayEject(["half-open"]), false);
    assert.equal(await mayEject(["closed", "closed"]), true);
    assert.equal(await mayEject(["closed", "open"]), false);
    assert.equal(await mayEject(["closed", "closed", "open"]), true);
    assert.equal(await mayEject(["paced", "busy", "closed"]), true);
  });
});
