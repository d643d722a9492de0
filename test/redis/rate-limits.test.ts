import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import * as fc from "fast-check";
import { RateLimits } from "../../src/redis/access/rate-limits.ts";
import type { GrantedUnits, UnitRequest } from "../../src/redis/access/rate-limits.ts";
import { Keys } from "../../src/redis/keys.ts";
import { RateModel } from "../rig/access/rate-model.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";

/** A unit comes back each 100 s, so that the time of a test gives none back. */
const SLOW = { field: "rpm", perMinute: 0.6, burst: 10, need: 1, want: 1, holdMs: 1000, settle: 0 };
const UNIT_MS = 60_000 / SLOW.perMinute;

let rig: RedisRig;
let tenants = 0;

before(async () => {
  rig = await openRedisRig();
});
after(async () => {
  await rig.close();
});

/** The limits of a tenant that no other test has. */
function newTenant(): {
  tenant: string;
  key: string;
  lease: (request: Partial<UnitRequest>) => Promise<GrantedUnits>;
} {
  const keys = new Keys("rates");
  const limits = new RateLimits(rig.connection, keys);
  const tenant = `t${(tenants += 1)}`;
  const lease = async (request: Partial<UnitRequest>): Promise<GrantedUnits> => {
    const [granted] = await limits.lease(tenant, [{ ...SLOW, ...request }]);
    assert.ok(granted);
    return granted;
  };
  return { tenant, key: keys.rates(tenant), lease };
}

/** Lets time pass, for one tenant only: Redis's clock cannot be set. */
async function age(key: string, ms: number): Promise<void> {
  const all = (await rig.connection.command("HGETALL", key)) as Buffer[];
  for (let at = 0; at + 1 < all.length; at += 2) {
    const [lack = "", since = "", burst = ""] = String(all[at + 1]).split(" ");
    const text = `${lack} ${Number(since) - ms} ${burst}`;
    await rig.connection.command("HSET", key, String(all[at]), text);
  }
}

describe("the rate limits in Redis", () => {
  it("grant a burst, and no unit more until one has come back", async () => {
    const { key, lease } = newTenant();
    for (let unit = 0; unit < 10; unit += 1) assert.equal((await lease({})).granted, 1);
    assert.equal((await lease({})).granted, 0);
    await age(key, UNIT_MS);
    assert.equal((await lease({ need: 3, want: 3 })).granted, 1);
    await age(key, 100 * UNIT_MS);
    assert.equal((await lease({ need: 30, want: 30 })).granted, 10, "no more than the burst is saved up");
  });

  it("take back what was not used, and take more than a burst as a debt", async () => {
    const { key, lease } = newTenant();
    await lease({ need: 10, want: 10 });
    assert.equal((await lease({ settle: -4, need: 9, want: 9 })).granted, 4);
    assert.equal((await lease({ settle: -100, need: 0, want: 0 })).lack, 0, "never above the burst");
    const { granted, lack } = await lease({ settle: 25, need: 1, want: 1 });
    assert.deepEqual([granted, lack], [0, 25]);
    await age(key, 15 * UNIT_MS);
    assert.equal((await lease({})).granted, 0);
    await age(key, UNIT_MS);
    assert.equal((await lease({})).granted, 1);
  });

  it("apply a changed limit at once, to a bucket that is as full as it was", async () => {
    const { lease } = newTenant();
    await lease({ need: 5, want: 5 });
    const more = await lease({ burst: 1000, need: 501, want: 501 });
    assert.equal(more.granted, 500);
    const less = await lease({ burst: 4, need: 1, want: 1 });
    assert.deepEqual([less.granted, Math.round(less.lack)], [0, 4]);
  });

  it("do not fill a bucket while a slice is out", async () => {
    const { key, lease } = newTenant();
    // A slice of 2 above a need of 1, for the time in which 3 units come back.
    const held = await lease({ need: 1, want: 3, holdMs: 3 * UNIT_MS });
    assert.deepEqual([held.granted, held.lack], [3, 5]);
    await age(key, 3 * UNIT_MS);
    assert.equal((await lease({ need: 10, want: 10 })).granted, 8, "8 and the slice of 2 are the burst");
  });

  it("expire when all buckets of a tenant are full", async () => {
    const { key, lease } = newTenant();
    await lease({ field: "a", need: 5, want: 5 });
    await lease({ field: "b", need: 1, want: 1 });
    const life = Number(await rig.connection.command("PTTL", key));
    assert.ok(life > 4.9 * UNIT_MS && life <= 5 * UNIT_MS + 2, String(life));
  });

  it("neither open nor close when the clock of Redis is set back", async () => {
    const { key, lease } = newTenant();
    await lease({ need: 10, want: 10 });
    await age(key, -3_600_000);
    assert.equal((await lease({})).granted, 0);
    await age(key, UNIT_MS);
    assert.equal((await lease({})).granted, 1, "time goes on from the clock that was set");
  });

  it("forget the limits of removed keys in a hash that stays in use", async () => {
    const { tenant, key, lease } = newTenant();
    const limits = new RateLimits(rig.connection, new Keys("rates"));
    const old = Array.from({ length: 63 }, (_none, index) => ({ ...SLOW, field: `old${index}` }));
    await limits.lease(tenant, old);
    await age(key, 25 * 3_600_000);
    await lease({ field: "new" });
    assert.equal(await rig.connection.command("HLEN", key), 1);
  });

  it("take a field that they did not write for a full bucket", async () => {
    const { key, lease } = newTenant();
    await rig.connection.command("HSET", key, "rpm", "nonsense");
    assert.equal((await lease({})).granted, 1);
  });

  it("follow the model, whatever is asked", async () => {
    const requests = fc.array(
      fc.record({
        units: fc.nat(3),
        field: fc.constantFrom("a", "b"),
        burst: fc.constantFrom(8, 8, 8, 16),
        need: fc.nat(6),
        slice: fc.nat(4),
        settle: fc.integer({ min: -6, max: 12 }),
      }),
      { maxLength: 25 },
    );
    await fc.assert(
      fc.asyncProperty(requests, async (steps) => {
        const { key, lease } = newTenant();
        let now = 0;
        const model = new RateModel(() => now);
        for (const { units, field, burst, need, slice, settle } of steps) {
          await age(key, units * UNIT_MS);
          now += units * UNIT_MS;
          const request = { ...SLOW, field, burst, need, want: need + slice, holdMs: 2 * UNIT_MS, settle };
          const [real, expected] = [await lease(request), model.grant(request)];
          assert.equal(real.granted, expected.granted);
          assert.ok(Math.abs(real.lack - expected.lack) < 0.1, `${real.lack} ${expected.lack}`);
        }
      }),
      { numRuns: 60 },
    );
  });
});
