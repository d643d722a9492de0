import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";
import { Watchdog } from "../../src/gateway/requests/watchdog.ts";
import { exchangeOf } from "./exchange-rig.ts";
import type { ExchangeRig } from "./exchange-rig.ts";

const CHECK_MS = 500;

/** A watchdog over one exchange. Its clock goes on with the checks. */
function watched(
  t: TestContext,
  stalledMs = 0,
): ExchangeRig & { calls: string[]; pass: (ms: number) => void } {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const rig = exchangeOf("g.1");
  const calls: string[] = [];
  let now = performance.now();
  const watchdog = new Watchdog({
    replies: {
      all: () => [rig.exchange],
      fill: () => calls.push("read"),
      readWanted: () => {},
      waitsForRoom: () => false,
    },
    queueTimeout: { check: () => {} },
    recovery: { silent: () => calls.push("silent") },
    slowClients: { check: () => {}, keepReplies: () => calls.push("keep") },
    heartbeats: { check: () => {} },
    mono: () => now,
    stalls: { since: () => stalledMs, latest: () => stalledMs },
  });
  watchdog.start();
  t.after(() => watchdog.stop());
  const pass = (ms: number): void => {
    for (const end = now + ms; now < end;) {
      now += CHECK_MS;
      t.mock.timers.tick(CHECK_MS);
    }
  };
  return { ...rig, calls, pass };
}

const FRAME = { task: "g.1", attempt: 1, bytes: Buffer.from("x") };
const HEAD = { status: 200, contentType: "application/x-ndjson", worker: "w1" };

describe("the silence of a reply", () => {
  it("leads to reads after 1, 2 and 4 s, then to a check for a loss too", (t) => {
    const { calls, pass } = watched(t);
    const counts = [1000, 2000, 4000, 8000, 8000].map((ms) => {
      pass(ms + CHECK_MS);
      return calls.splice(0).filter((call) => call !== "keep");
    });
    assert.deepEqual(counts, [["read"], ["read"], ["read"], ["silent", "read"], ["silent", "read"]]);
  });

  it("begins anew with each frame", (t) => {
    const { calls, pass, exchange } = watched(t);
    pass(8000);
    calls.length = 0;
    exchange.receive({ ...FRAME, seq: 1, head: HEAD });
    pass(1500);
    assert.deepEqual(calls, ["read"]);
  });

  it("is not counted while the client's socket is full", (t) => {
    const { calls, pass, exchange, reply } = watched(t);
    reply.full = true;
    exchange.receive({ ...FRAME, seq: 1, head: HEAD });
    pass(10_000);
    assert.deepEqual(calls, []);
  });

  it("is not counted while the gateway has frames to read after a stall of its own", (t) => {
    const { calls, pass } = watched(t, 3000);
    pass(10_000);
    assert.deepEqual(calls, []);
  });
});

it("replies of slow clients are kept every 20 s, also after a stall", (t) => {
  const { calls, pass } = watched(t, 3000);
  pass(41_000);
  assert.deepEqual(calls, ["keep", "keep"]);
});
