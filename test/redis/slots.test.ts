import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import * as fc from "fast-check";
import type { SlotDemand } from "../../src/redis/access/open-slots.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";
import { until } from "../rig/until.ts";

const LIFE = 15_000;

describe("the slots for open requests in Redis", () => {
  let rig: RedisRig;
  let number = 0;
  let tenants = 0;
  before(async () => {
    rig = await openRedisRig();
  });
  after(() => rig.close());

  const freshTenant = (): string => `t${(tenants += 1)}`;
  const ask = async (
    tag: string,
    demand: SlotDemand,
    call: { readonly life?: number; readonly number?: number } = {},
  ): Promise<number[]> => {
    number += 1;
    const [grant] = await rig.stores.openSlots.ask({ tag, number, life: LIFE, ...call }, [demand]);
    return [grant?.further ?? -1, grant?.others ?? -1];
  };
  const stored = async (tenant: string, key?: string): Promise<Record<string, number>> => {
    const name = rig.keys.openSlots({ tenant, key });
    const pairs = ((await rig.connection.command("HGETALL", name)) as Buffer[]).map(String);
    const found: Record<string, number> = {};
    for (let at = 0; at < pairs.length; at += 2)
      found[pairs[at] ?? ""] = Number.parseInt(pairs[at + 1] ?? "");
    return found;
  };

  it("are granted up to the bound over all gateways, and the last is granted once", async () => {
    const scope = { tenant: freshTenant(), key: "k1" };
    assert.deepEqual(await ask("g1", { ...scope, open: 0, want: 2, most: 3 }), [2, 0]);
    assert.deepEqual(await ask("g2", { ...scope, open: 0, want: 2, most: 3 }), [1, 2]);
    assert.deepEqual(await ask("g3", { ...scope, open: 0, want: 1, most: 3 }), [0, 3]);
    assert.deepEqual(await stored(scope.tenant, "k1"), { g1: 2, g2: 1 });
  });

  it("of a key and of its tenant are counted apart, also under one name", async () => {
    const tenant = freshTenant();
    number += 1;
    const own = { open: 0, want: 1, most: 1 };
    const grants = await rig.stores.openSlots.ask({ tag: "g1", number, life: LIFE }, [
      { tenant, ...own },
      { tenant, key: tenant, ...own },
    ]);
    assert.deepEqual(grants, [
      { further: 1, others: 0 },
      { further: 1, others: 0 },
    ]);
  });

  it("follow what a gateway states, above the bound too, and then none is granted", async () => {
    const scope = { tenant: freshTenant() };
    await ask("g1", { ...scope, open: 0, want: 3, most: 3 });
    assert.deepEqual(await ask("g2", { ...scope, open: 2, want: 1, most: 3 }), [0, 3]);
    assert.deepEqual(await stored(scope.tenant), { g1: 3, g2: 2 });
    assert.deepEqual(await ask("g1", { ...scope, open: 3, want: 1, most: 3 }), [0, 2]);
    assert.deepEqual(await ask("g1", { ...scope, open: 0, want: 9, most: 3 }), [1, 2]);
  });

  it("are the same after the same call once more, and after an answer that was lost", async () => {
    const scope = { tenant: freshTenant() };
    for (let time = 0; time < 3; time += 1) {
      assert.deepEqual(await ask("g1", { ...scope, open: 1, want: 1, most: 4 }), [1, 0]);
    }
    assert.deepEqual(await stored(scope.tenant), { g1: 2 });
  });

  it("are not changed by a call that arrives after a later one", async () => {
    const scope = { tenant: freshTenant() };
    await ask("g1", { ...scope, open: 1, want: 0, most: 4 }, { number: 8 });
    assert.deepEqual(await ask("g1", { ...scope, open: 4, want: 0, most: 4 }, { number: 7 }), [0, 0]);
    assert.deepEqual(await stored(scope.tenant), { g1: 1 });
  });

  it("leave no key behind when the last is returned", async () => {
    const scope = { tenant: freshTenant() };
    await ask("g1", { ...scope, open: 1, want: 0, most: 4 });
    await ask("g1", { ...scope, open: 0, want: 0, most: 4 });
    assert.equal(await rig.connection.command("EXISTS", rig.keys.openSlots(scope)), 0);
  });

  it("of a gateway that is silent end with their life, and the key with the last of them", async () => {
    const scope = { tenant: freshTenant() };
    await ask("dead", { ...scope, open: 2, want: 0, most: 3 }, { life: 60 });
    await ask("alive", { ...scope, open: 1, want: 0, most: 3 });
    await until("the end of the slots", async () => {
      const [, others] = await ask("new", { ...scope, open: 0, want: 0, most: 3 });
      return others === 1;
    });
    assert.deepEqual(await stored(scope.tenant), { alive: 1 });
    const alone = { tenant: freshTenant() };
    await ask("dead", { ...alone, open: 2, want: 0, most: 3 }, { life: 60 });
    await until("the end of the key", async () => {
      return (await rig.connection.command("EXISTS", rig.keys.openSlots(alone))) === 0;
    });
  });

  it("end in time although another master's clock, or one that was set back, had them last longer", async () => {
    const scope = { tenant: freshTenant() };
    const name = rig.keys.openSlots(scope);
    await rig.connection.command("HSET", name, "dead", `2 ${Date.now() + 3_600_000} 1`);
    assert.deepEqual(await ask("g1", { ...scope, open: 0, want: 9, most: 3 }, { life: 100 }), [1, 2]);
    await until("the end of the slots", async () => {
      return (await ask("g2", { ...scope, open: 0, want: 0, most: 3 }, { life: 100 }))[1] === 0;
    });
  });

  it("survive a field that no gateway wrote", async () => {
    const scope = { tenant: freshTenant() };
    const name = rig.keys.openSlots(scope);
    await rig.connection.command("HSET", name, "x", "", "y", "-1 2", "g1", "9e99 nan inf");
    assert.deepEqual(await ask("g1", { ...scope, open: 0, want: 9, most: 3 }), [3, 0]);
    assert.deepEqual(await stored(scope.tenant), { g1: 3 });
  });

  it("are never granted beyond the bound, in any order of calls", async () => {
    const step = fc.record({
      tag: fc.constantFrom("g1", "g2", "g3"),
      open: fc.nat(4),
      want: fc.nat(4),
      most: fc.integer({ min: 1, max: 6 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const tenant = freshTenant();
        const model = new Map<string, number>();
        for (const { tag, open, want, most } of steps) {
          const others = [...model].reduce((sum, [other, slots]) => (other === tag ? sum : sum + slots), 0);
          const further = Math.max(0, Math.min(want, most - others - open));
          assert.deepEqual(await ask(tag, { tenant, open, want, most }), [further, others]);
          if (open + further === 0) model.delete(tag);
          else model.set(tag, open + further);
          assert.ok(further === 0 || others + open + further <= most);
        }
        assert.deepEqual(await stored(tenant), Object.fromEntries(model));
      }),
      { numRuns: 60 },
    );
  });
});
