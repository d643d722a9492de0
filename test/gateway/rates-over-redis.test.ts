import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { Principal } from "../../src/core/access/principal.ts";
import { Fault } from "../../src/core/fault.ts";
import { RateLimits } from "../../src/redis/access/rate-limits.ts";
import { Keys } from "../../src/redis/keys.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";
import { principalWith, RateGateway } from "./rate-rig.ts";

/** Gateways of ten requests: 70, 10, 10 and 10 %. */
const SPLIT = [0, 0, 1, 0, 0, 2, 0, 0, 3, 0];

let rig: RedisRig;

before(async () => {
  rig = await openRedisRig();
});
after(async () => {
  await rig.close();
});

/** Four gateways with connections of their own, and the number of their calls. */
async function fourGateways(prefix: string): Promise<{ gateways: RateGateway[]; calls: () => number }> {
  let calls = 0;
  const gateways: RateGateway[] = [];
  for (let n = 0; n < 4; n += 1) {
    const rates = new RateLimits(await rig.connect(), new Keys(prefix));
    gateways.push(
      new RateGateway(
        rates,
        () => performance.now(),
        () => (calls += 1),
      ),
    );
  }
  return { gateways, calls: () => calls };
}

interface Offer {
  readonly principal: Principal;
  readonly perSecond: number;
  readonly seconds: number;
}

/** Offers requests, and returns how many were admitted, refused, and in how many ms from the first call. */
async function offer(
  gateways: readonly RateGateway[],
  { principal, perSecond, seconds }: Offer,
): Promise<{ admitted: number; refused: number; ms: number }> {
  const from = performance.now();
  const asked: Promise<unknown>[] = [];
  for (let passed = 0; passed < seconds * 1000; passed = performance.now() - from) {
    while (asked.length < (passed * perSecond) / 1000) {
      const gateway = gateways[SPLIT[asked.length % SPLIT.length] ?? 0];
      assert.ok(gateway);
      asked.push(gateway.ask(principal));
    }
    await delay(1);
  }
  const results = await Promise.all(asked);
  const refused = results.filter((result) => result instanceof Fault).length;
  return { admitted: results.length - refused, refused, ms: performance.now() - from };
}

/** Units that are left for a gateway that takes all it can get. */
async function left(gateway: RateGateway | undefined, principal: Principal, most: number): Promise<number> {
  assert.ok(gateway);
  const all = await Promise.all(Array.from({ length: most }, async () => gateway.ask(principal)));
  return all.filter((charge) => !(charge instanceof Fault)).length;
}

describe("four gateways on one Redis", () => {
  it("together admit what the limit allows, and never more", async () => {
    const { gateways, calls } = await fourGateways("l1");
    const principal = principalWith({ rpm: 6000, rpmBurst: 200 });
    const from = performance.now();
    const { admitted, ms } = await offer(gateways, { principal, perSecond: 250, seconds: 2 });
    for (const { slices } of gateways) await slices.stop();
    const rest = await left(gateways[1], principal, 1000);
    const all = 200 + (performance.now() - from) / 10;
    assert.ok(admitted <= 200 + ms / 10, `${admitted} admitted in ${ms} ms`);
    assert.ok(admitted + rest <= all, `${admitted} and ${rest} of ${all}`);
    // The rest was lost while slices were out of a full bucket, at most an eighth of the burst.
    assert.ok(admitted + rest >= all - 200 / 8 - 5, `${admitted} and ${rest} of ${all}`);
    assert.ok(calls() < admitted, `${calls()} calls for ${admitted} requests`);
  });

  it("refuse none while less is offered", async () => {
    const { gateways } = await fourGateways("l90");
    const principal = principalWith({ rpm: 6000 }, { rpm: 60_000 });
    const { refused } = await offer(gateways, { principal, perSecond: 90, seconds: 1 });
    assert.equal(refused, 0);
  });

  it("share a limit that is smaller than their number a second", async () => {
    const { gateways } = await fourGateways("l60");
    const principal = principalWith({ rpm: 60, rpmBurst: 3 });
    const { admitted, ms } = await offer(gateways, { principal, perSecond: 10, seconds: 1.5 });
    assert.ok(admitted >= 3 && admitted <= 3 + ms / 1000, `${admitted} in ${ms} ms`);
  });

  it("keep nothing in Redis once all is full again, and nothing of keys without rates", async () => {
    const { gateways, calls } = await fourGateways("gone");
    assert.equal(
      gateways[0]?.slices.charge({
        principal: principalWith({}),
        model: "m",
        inputTokens: 1,
        outputTokens: 1,
      }),
      undefined,
    );
    assert.equal(calls(), 0);
    const key = new Keys("gone").rates("lab");
    const principal = principalWith({ rpm: 6000, rpmBurst: 5 });
    await gateways[0]?.ask(principal);
    const life = Number(await rig.connection.command("PTTL", key));
    assert.ok(life <= 12, `${life} ms`);
  });
});
