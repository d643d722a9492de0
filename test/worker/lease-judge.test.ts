import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Fault } from "../../src/core/fault.ts";
import { openLog } from "../../src/telemetry/log.ts";
import type { Log } from "../../src/telemetry/log.ts";
import { LeaseJudge } from "../../src/worker/lease-judge.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";

const LEASE_MS = 10_000;

const silent = openLog({ level: "error", format: "json" });

/** A Redis whose clock, and pace, are the test's; its process's monotonic clock begins at 0. */
class Rig {
  readonly connection: FakeConnection = new FakeConnection();
  clock = 0;
  /** Lead of Redis's clocks over the monotonic one (ms). */
  ahead: number[] = [1_800_000_000_000];
  /** Time of an answer (ms): the clock is read half-way. */
  tripMs = 1;
  readonly leaseJudge: LeaseJudge;

  constructor(delayMs = 0, log: Log = silent) {
    this.connection.everywhere = () => {
      this.clock += this.tripMs / 2;
      const times = this.ahead.map((ahead) => timeOf(this.clock + ahead));
      this.clock += this.tripMs / 2;
      return Promise.resolve(times);
    };
    this.leaseJudge = new LeaseJudge({
      connection: this.connection,
      ambient: { mono: () => this.clock },
      leaseMs: LEASE_MS,
      delayMs,
      log,
    });
  }

  /** Checks after a time (ms). */
  async checkAfter(ms: number): Promise<boolean> {
    this.clock += ms;
    return this.leaseJudge.check();
  }
}

/** As TIME answers. */
function timeOf(ms: number): string[] {
  return [String(Math.floor(ms / 1000)), String(Math.round((ms % 1000) * 1000))];
}

describe("belief in the leases of others", () => {
  it("holds while its clock goes as it should, however long it was not checked", async () => {
    const rig = new Rig();
    assert.equal(await rig.leaseJudge.check(), true);
    assert.equal(await rig.checkAfter(3333), true);
    assert.equal(await rig.checkAfter(3_600_000), true);
  });

  it("knows the clock of Redis at any moment, also while Redis is away", async () => {
    const rig = new Rig();
    await rig.leaseJudge.check();
    assert.equal(rig.leaseJudge.clock(5000), 1_800_000_005_000.5);
    rig.leaseJudge.reconnected();
    assert.equal(rig.leaseJudge.clock(6000), 1_800_000_006_000.5);
    rig.ahead = [1_800_000_100_000, 1_800_000_200_000];
    await rig.leaseJudge.check();
    assert.equal(rig.leaseJudge.clock(0), 1_800_000_200_000.5);
  });

  it("is suspended when the clock was put forward, until all have renewed what they hold", async () => {
    const rig = new Rig();
    await rig.leaseJudge.check();
    rig.ahead = [rig.ahead[0] ?? 0].map((ahead) => ahead + 300_000);
    assert.equal(await rig.checkAfter(100), false);
    assert.equal(await rig.checkAfter(14_000), false);
    assert.equal(await rig.checkAfter(1500), true);
  });

  it("is suspended when a lease could not be renewed, until it can be for long enough", async () => {
    const rig = new Rig();
    await rig.leaseJudge.check();
    rig.leaseJudge.refused();
    assert.equal(await rig.checkAfter(14_000), false);
    rig.leaseJudge.refused();
    assert.equal(await rig.checkAfter(14_000), false);
    assert.equal(await rig.checkAfter(1500), true);
  });

  it("bears small jumps, and any backwards", async () => {
    const rig = new Rig();
    await rig.leaseJudge.check();
    for (const by of [2000, -2000, -300_000]) {
      rig.ahead = rig.ahead.map((ahead) => ahead + by);
      assert.equal(await rig.checkAfter(100), true, String(by));
    }
  });

  it("is suspended when one of several masters has a new time", async () => {
    const rig = new Rig();
    rig.ahead = [5, 5000, 9000];
    await rig.leaseJudge.check();
    rig.ahead = [9000, 65_000, 5];
    assert.equal(await rig.checkAfter(100), false);
  });

  it("takes a slow answer for no jump, but waits for those who had to wait as well", async () => {
    const rig = new Rig();
    await rig.leaseJudge.check();
    rig.tripMs = 20_000;
    assert.equal(await rig.checkAfter(100), false);
    rig.tripMs = 1;
    assert.equal(await rig.checkAfter(LEASE_MS / 3), false);
    assert.equal(await rig.checkAfter(LEASE_MS / 5), true);
  });

  it("does not hold while an answer is overdue", async () => {
    const rig = new Rig();
    const answer = Promise.withResolvers<unknown[]>();
    rig.connection.everywhere = () => answer.promise;
    const looked = rig.leaseJudge.check();
    assert.equal(rig.leaseJudge.holds, true);
    rig.clock += LEASE_MS / 4;
    assert.equal(rig.leaseJudge.holds, false);
    answer.resolve([timeOf(5)]);
    assert.equal(await looked, false, "nor until others have renewed what they hold");
  });

  it("does not hold without an answer, for a while after a start, and for one after a reconnect", async () => {
    const rig = new Rig(3000);
    assert.equal(await rig.checkAfter(0), false);
    assert.equal(await rig.checkAfter(3000), true);
    rig.leaseJudge.reconnected();
    // Perhaps to another server.
    rig.ahead = [5];
    assert.equal(await rig.checkAfter(0), false);
    assert.equal(await rig.checkAfter(1.5 * LEASE_MS), true);
    rig.connection.everywhere = () => Promise.reject(new Fault("redis_down", "away"));
    assert.equal(await rig.checkAfter(10), false);
    assert.equal(rig.leaseJudge.holds, true, "leases are judged as before");
  });

  it("says once why it never holds when its user may not ask for the time", async () => {
    const lines: string[] = [];
    const log = openLog({ level: "warn", format: "json", write: (line) => lines.push(line) });
    const redis = await openRedisRig();
    try {
      const rig = new Rig(0, log);
      rig.connection.everywhere = (...args) => redis.connection.everywhere(...args);
      const grant = async (right: string): Promise<unknown> =>
        redis.connection.command("ACL", "SETUSER", "default", right);
      await grant("-time");
      assert.deepEqual(
        [await rig.leaseJudge.check(), await rig.leaseJudge.check(), lines.length],
        [false, false, 1],
      );
      const { level, reason } = JSON.parse(lines[0] ?? "") as Record<string, unknown>;
      assert.equal(level, "warn");
      assert.match(String(reason), /lacks a right: see docs\/redis-setup.md \(NOPERM\)/);
      await grant("+time");
      assert.equal(await rig.leaseJudge.check(), true);
      await grant("-time");
      await rig.leaseJudge.check();
      assert.equal(lines.length, 2, "lost anew");
      redis.connection.close();
      await rig.leaseJudge.check();
      assert.equal(lines.length, 2, "its connection reports a Redis that is away");
    } finally {
      await redis.close();
    }
  });
});
