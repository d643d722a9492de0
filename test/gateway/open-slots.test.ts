import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import * as fc from "fast-check";
import { Fault } from "../../src/core/fault.ts";
import type { Charge } from "../../src/gateway/access/limit-check.ts";
import { boundedRequest, ModelRedis, settled, SlotGateway } from "./slots-rig.ts";
import type { SlotBounds } from "./slots-rig.ts";

/** As `Date.now()` under the mocked timers. */
const mono = (): number => Date.now() + ahead;

/** Ms that passed while no timer could fire. */
let ahead = 0;

let redis: ModelRedis;
let gateways: SlotGateway[];
let tags = 0;

function gateway(): SlotGateway {
  const one = new SlotGateway(redis, `g${(tags += 1)}`, mono);
  gateways.push(one);
  return one;
}

/** Time passes in steps, so that what each timer starts is over before the next. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 25) {
    mock.timers.tick(Math.min(25, left));
    await settled();
  }
}

/** The outcome of a request: its charge, or the code of its fault. */
async function take(one: SlotGateway, bounds: SlotBounds): Promise<Charge | string> {
  try {
    const taken = one.slots.charge(boundedRequest(bounds));
    if (taken === undefined) return "unbounded";
    if (!(taken instanceof Promise)) return taken;
    const outcome = taken.catch((error: unknown) => (error instanceof Fault ? error.code : "no fault"));
    const ended = new Set<Charge | string>();
    void outcome.then((value) => ended.add(value));
    for (let step = 0; step < 100; step += 1) {
      await settled();
      if (ended.size > 0) break;
      mock.timers.tick(25);
    }
    return await outcome;
  } catch (error) {
    return error instanceof Fault ? error.code : "no fault";
  }
}

async function charged(one: SlotGateway, bounds: SlotBounds): Promise<Charge> {
  const outcome = await take(one, bounds);
  if (typeof outcome === "string") assert.fail(outcome);
  return outcome;
}

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_000_000 });
  ahead = 0;
  redis = new ModelRedis(mono);
  gateways = [];
});

afterEach(async () => {
  for (const one of gateways) await one.slots.stop();
  mock.timers.reset();
});

describe("open requests of a key", () => {
  it("without a bound ask for nothing, and start nothing", async () => {
    assert.equal(gateway().slots.charge(boundedRequest({})), undefined);
    await pass(10_000);
    assert.equal(redis.calls, 0);
  });

  it("are bounded at one gateway, and the next is refused without a call", async () => {
    const one = gateway();
    const first = await charged(one, { ofKey: 1 });
    const { calls } = redis;
    assert.throws(() => one.slots.charge(boundedRequest({ ofKey: 1 })), {
      code: "concurrency_limited",
      http: 429,
    });
    assert.equal(redis.calls, calls);
    first.settle(undefined);
    assert.ok(!(one.slots.charge(boundedRequest({ ofKey: 1 })) instanceof Promise), "at hand");
  });

  it("one after the other share one call to Redis", async () => {
    const one = gateway();
    for (let request = 0; request < 20; request += 1) {
      (await charged(one, { ofKey: 3 })).settle(undefined);
      await pass(100);
    }
    assert.equal(redis.calls, 1);
  });

  it("that come at once share a call", async () => {
    const one = gateway();
    const all = await Promise.all(Array.from({ length: 50 }, () => take(one, { ofKey: 40 })));
    assert.equal(all.filter((outcome) => outcome === "concurrency_limited").length, 10);
    assert.equal(redis.calls, 1);
    assert.deepEqual(redis.held, { "lab/k1": 40 });
  });

  it("give their slots back when they are unused for a second, and cost no call then", async () => {
    const one = gateway();
    const some = await Promise.all([charged(one, { ofKey: 5 }), charged(one, { ofKey: 5 })]);
    for (const charge of some) charge.settle(undefined);
    await pass(500);
    assert.deepEqual(redis.held, { "lab/k1": 2 });
    await pass(2000);
    assert.deepEqual(redis.held, {});
    const { calls } = redis;
    await pass(30_000);
    assert.equal(redis.calls, calls);
  });

  it("free their slot once, however often they end", async () => {
    const one = gateway();
    const [first, second] = [await charged(one, { ofKey: 2 }), await charged(one, { ofKey: 2 })];
    first.settle(undefined);
    first.refund();
    first.settle(undefined);
    const third = await charged(one, { ofKey: 2 });
    assert.equal(await take(one, { ofKey: 2 }), "concurrency_limited");
    for (const charge of [second, third]) charge.refund();
  });

  it("of a sequential client are never refused, at whichever gateway each comes", async () => {
    const fleet = [gateway(), gateway(), gateway()];
    for (let request = 0; request < 30; request += 1) {
      const one = fleet[request % 3] ?? gateway();
      (await charged(one, { ofKey: 1 })).settle(undefined);
    }
    assert.ok(redis.wishes.length <= 3, "the others return slots unasked after the first wish");
  });

  it("are refused at another gateway while all slots are in use", async () => {
    const [one, other] = [gateway(), gateway()];
    const open = [await charged(one, { ofKey: 2 }), await charged(other, { ofKey: 2 })];
    assert.equal(await take(one, { ofKey: 2 }), "concurrency_limited");
    assert.equal(await take(other, { ofKey: 2 }), "concurrency_limited");
    open[0]?.settle(undefined);
    const next = await charged(other, { ofKey: 2 });
    for (const charge of [open[1], next]) charge?.settle(undefined);
  });

  it("wait for a slot that another gateway has just freed", async () => {
    const [one, other] = [gateway(), gateway()];
    const open = await charged(one, { ofKey: 1 });
    const waiting = take(other, { ofKey: 1 });
    await settled();
    open.settle(undefined);
    const outcome = await waiting;
    if (typeof outcome === "string") assert.fail(outcome);
    outcome.settle(undefined);
  });

  it("follow a bound that is lowered or raised", async () => {
    const one = gateway();
    const open = [await charged(one, { ofKey: 3 }), await charged(one, { ofKey: 3 })];
    assert.equal(await take(one, { ofKey: 1 }), "concurrency_limited");
    open[0]?.settle(undefined);
    assert.equal(await take(one, { ofKey: 1 }), "concurrency_limited", "the free slot is beyond the bound");
    const raised = await charged(one, { ofKey: 4 });
    assert.equal(await take(gateway(), { ofKey: 2 }), "concurrency_limited");
    for (const charge of [open[1], raised]) charge?.settle(undefined);
  });

  it("are told to come back one after the other, by how long its requests take", async () => {
    const one = gateway();
    const first = await charged(one, { ofKey: 1 });
    await pass(8000);
    first.settle(undefined);
    const second = await charged(one, { ofKey: 1 });
    const waits = Array.from({ length: 10 }, () => {
      try {
        void one.slots.charge(boundedRequest({ ofKey: 1 }));
      } catch (error) {
        return error instanceof Fault ? error.retryAfter : undefined;
      }
      return undefined;
    });
    assert.deepEqual(waits, [8, 16, 24, 32, 40, 48, 56, 60, 60, 60]);
    second.settle(undefined);
  });
});

describe("open requests of a tenant", () => {
  it("are bounded over its keys, and a refusal takes no slot of the key", async () => {
    const one = gateway();
    const open = [
      await charged(one, { key: "a", ofKey: 2, ofTenant: 2 }),
      await charged(one, { key: "b", ofTenant: 2 }),
    ];
    assert.equal(await take(one, { key: "a", ofKey: 2, ofTenant: 2 }), "concurrency_limited");
    assert.equal(await take(gateway(), { key: "a", ofKey: 2, ofTenant: 2 }), "concurrency_limited");
    open[1]?.settle(undefined);
    const next = await charged(one, { key: "a", ofKey: 2, ofTenant: 2 });
    assert.deepEqual(redis.held["lab/a"], 2);
    for (const charge of [open[0], next]) charge?.settle(undefined);
    await pass(3000);
    assert.deepEqual(redis.held, {});
  });

  it("of very many keys at once are all granted, call by call", async () => {
    const one = gateway();
    const outcomes = await Promise.all(
      Array.from({ length: 200 }, (_, key) => take(one, { key: `k${key}`, ofKey: 1, ofTenant: 500 })),
    );
    assert.equal(outcomes.filter((outcome) => typeof outcome === "string").length, 0);
    assert.equal(redis.held["lab/"], 200);
  });
});

describe("the slots of a gateway", () => {
  it("are renewed while requests are open, and end 15 s after its death", async () => {
    const [one, other] = [gateway(), gateway()];
    await charged(one, { ofKey: 1 });
    await pass(60_000);
    assert.equal(await take(other, { ofKey: 1 }), "concurrency_limited");
    await one.kill();
    await pass(15_100);
    (await charged(other, { ofKey: 1 })).settle(undefined);
  });

  it("that were given to others while it stood still are stated again, and nothing is admitted above", async () => {
    const [one, other] = [gateway(), gateway()];
    const frozen = [await charged(one, { ofKey: 2 }), await charged(one, { ofKey: 2 })];
    redis.fail(one.tag, "stuck");
    await pass(20_000);
    const taken = [await charged(other, { ofKey: 2 }), await charged(other, { ofKey: 2 })];
    redis.release();
    await pass(3000);
    assert.deepEqual(redis.held, { "lab/k1": 4 }, "both know the truth");
    frozen[0]?.settle(undefined);
    taken[0]?.settle(undefined);
    await pass(3000);
    assert.deepEqual(redis.held, { "lab/k1": 2 });
    for (const each of [one, other]) assert.equal(await take(each, { ofKey: 2 }), "concurrency_limited");
    for (const charge of [frozen[1], taken[1]]) charge?.settle(undefined);
  });

  it("that are unused may not be used when they have ended meanwhile", async () => {
    const [one, other] = [gateway(), gateway()];
    (await charged(one, { ofKey: 1 })).settle(undefined);
    // It stands still: its timers fire late, after the first request.
    ahead = 20_000;
    const open = await charged(other, { ofKey: 1 });
    assert.equal(await take(one, { ofKey: 1 }), "concurrency_limited");
    open.settle(undefined);
  });

  it("are stated again to a Redis that came back empty", async () => {
    const [one, other] = [gateway(), gateway()];
    const open = await charged(one, { ofKey: 1 });
    redis.empty();
    one.reconnect();
    other.reconnect();
    await settled();
    assert.deepEqual(redis.held, { "lab/k1": 1 });
    assert.equal(await take(other, { ofKey: 1 }), "concurrency_limited");
    open.settle(undefined);
  });

  it("are right again after a call or an answer that was lost", async () => {
    for (const fault of ["cut", "lost"] as const) {
      const one = gateway();
      redis.fail(one.tag, fault);
      const bounds = { key: fault, ofKey: 2 };
      assert.equal(await take(one, bounds), "redis_down");
      await pass(3100);
      assert.deepEqual(redis.held, {}, fault);
    }
  });

  it("are granted when the connection is back in a moment", async () => {
    const one = gateway();
    redis.fail(one.tag, "lost");
    const waiting = take(one, { ofKey: 1 });
    await settled();
    one.reconnect();
    const outcome = await waiting;
    if (typeof outcome === "string") assert.fail(outcome);
    outcome.settle(undefined);
  });

  it("are all returned when it stops", async () => {
    const one = gateway();
    const open = await charged(one, { ofKey: 3, ofTenant: 5 });
    (await charged(one, { ofKey: 3, ofTenant: 5 })).settle(undefined);
    open.settle(undefined);
    await one.slots.stop();
    assert.deepEqual(redis.held, {});
  });
});

describe("in any order of requests, deaths and lost answers", () => {
  const MOST = { a: 2, b: 3 };
  const OF_TENANT = 4;
  const action = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ do: fc.constant("take"), at: fc.nat(2), key: fc.constantFrom("a", "b") }),
    },
    { weight: 5, arbitrary: fc.record({ do: fc.constant("free"), at: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("kill"), at: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("cut"), at: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("lost"), at: fc.nat(2) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("pass"), at: fc.integer({ min: 0, max: 4000 }) }) },
  );
  interface Open {
    readonly gateway: SlotGateway;
    readonly key: "a" | "b";
    readonly charge: Charge;
  }

  /** Runs actions; `onOpen` sees all open requests after each. Returns the fleet and what is still open. */
  async function play(
    actions: readonly { readonly do: string; readonly at: number; readonly key?: string }[],
    onOpen: (open: readonly Open[]) => void,
  ): Promise<{ readonly fleet: readonly SlotGateway[]; readonly open: readonly Open[] }> {
    const fleet = [gateway(), gateway(), gateway()];
    let open: Open[] = [];
    for (const { do: what, at, key: name } of actions) {
      const one = fleet[at % 3] ?? gateway();
      const key = name === "b" ? "b" : "a";
      if (what === "take") {
        const outcome = await take(one, { key, ofKey: MOST[key], ofTenant: OF_TENANT });
        if (typeof outcome !== "string") open.push({ gateway: one, key, charge: outcome });
      } else if (what === "free") {
        open.splice(at % Math.max(1, open.length), 1)[0]?.charge.settle(undefined);
      } else if (what === "kill") {
        await one.kill();
        open = open.filter((each) => each.gateway !== one);
        fleet[at % 3] = gateway();
      } else if (what === "pass") await pass(at);
      else redis.fail(one.tag, what === "cut" ? "cut" : "lost");
      await settled();
      onOpen(open);
    }
    return { fleet, open };
  }

  it("no bound is exceeded, nothing leaks, and all slots are there again in the end", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 25 }), async (actions) => {
        redis = new ModelRedis(mono);
        const { fleet, open } = await play(actions, (all) => {
          assert.ok(all.length <= OF_TENANT, "the tenant's bound");
          for (const key of ["a", "b"] as const) {
            assert.ok(all.filter((each) => each.key === key).length <= MOST[key], `the bound of ${key}`);
          }
        });
        redis.calm();
        for (const { charge } of open) charge.settle(undefined);
        await pass(20_000);
        assert.deepEqual(redis.held, {});
        const [first = gateway()] = fleet;
        const again = [];
        for (let count = 0; count < MOST.b; count += 1) {
          again.push(await charged(first, { key: "b", ofKey: MOST.b, ofTenant: OF_TENANT }));
        }
        for (const charge of again) charge.settle(undefined);
        for (const one of gateways.splice(0)) await one.slots.stop();
      }),
      { numRuns: 40, endOnFailure: true },
    );
  });
});
