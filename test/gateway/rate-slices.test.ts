import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { Principal } from "../../src/core/access/principal.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Charge } from "../../src/gateway/access/limit-check.ts";
import { RateModel } from "../rig/access/rate-model.ts";
import { mostWithin, principalWith, RateGateway } from "./rate-rig.ts";

const UPKEEP_MS = 250;
const NO_USAGE = undefined;

/** Gateways over one Redis, by a clock that the test moves. */
class World {
  now = 0;
  readonly model = new RateModel(() => this.now);
  readonly gateways: readonly RateGateway[];
  #upkeptAt = 0;

  constructor(count: number) {
    this.gateways = Array.from({ length: count }, () => new RateGateway(this.model, () => this.now));
  }

  get first(): RateGateway {
    return this.at(0);
  }

  at(index: number): RateGateway {
    const gateway = this.gateways[index % this.gateways.length];
    assert.ok(gateway);
    return gateway;
  }

  /** Lets time pass, with the upkeep of each gateway. */
  async pass(ms: number): Promise<void> {
    const till = this.now + ms;
    while (this.#upkeptAt + UPKEEP_MS <= till) {
      this.#upkeptAt += UPKEEP_MS;
      this.now = this.#upkeptAt;
      for (const { slices } of this.gateways) slices.upkeep();
      await turn();
    }
    this.now = till;
  }
}

/** All promises that can settle have settled then. */
async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

async function admitted(gateway: RateGateway, principal: Principal, tokens = {}): Promise<Charge> {
  const charge = await gateway.ask(principal, tokens);
  if (charge instanceof Fault) throw charge;
  return charge;
}

async function refused(gateway: RateGateway, principal: Principal, tokens = {}): Promise<Fault> {
  const fault = await gateway.ask(principal, tokens);
  assert.ok(fault instanceof Fault);
  assert.equal(fault.code, "rate_limited");
  return fault;
}

describe("the slices of rate limits", () => {
  it("cost a key without rates nothing", () => {
    const { first, model } = new World(1);
    const principal = principalWith({ maxOpen: 3 }, { budgetDay: 5 });
    const request = { principal, model: "tiny", inputTokens: 5, outputTokens: 5 };
    assert.equal(first.slices.charge(request), undefined);
    assert.deepEqual([first.slices.states(principal), model.calls], [[], 0]);
  });

  it("admit a burst, then refuse with the exact time, then admit again", async () => {
    const world = new World(1);
    const principal = principalWith({ rpm: 60 });
    for (let n = 0; n < 10; n += 1) await admitted(world.first, principal);
    const fault = await refused(world.first, principal);
    assert.deepEqual([fault.http, fault.retryAfter], [429, 1]);
    assert.match(fault.message, /^the key 'ann' has reached its limit of 60 requests per minute$/);
    await world.pass(400);
    assert.equal((await refused(world.first, principal)).retryAfter, 0.6);
    await world.pass(600);
    await admitted(world.first, principal);
  });

  it("ask Redis once for requests that wait together", async () => {
    const world = new World(1);
    const principal = principalWith({ rpm: 600 });
    const charges = await Promise.all(Array.from({ length: 50 }, async () => world.first.ask(principal)));
    assert.ok(charges.every((charge) => !(charge instanceof Fault)));
    assert.equal(world.model.calls, 2, "the first by itself, the others together");
  });

  it("need no call for most requests of a busy key", async () => {
    const world = new World(1);
    const principal = principalWith({ rpm: 60_000 });
    for (let n = 0; n < 2000; n += 1) {
      await world.pass(2);
      (await admitted(world.first, principal)).settle(NO_USAGE);
    }
    assert.ok(world.first.atOnce > 1900, `${world.first.atOnce} of 2000 at once`);
    assert.ok(world.model.calls < 60, `${world.model.calls} calls in 4 s`);
  });

  it("do not ask again before a unit can have come", async () => {
    const world = new World(1);
    const principal = principalWith({ rpm: 60 });
    for (let n = 0; n < 10; n += 1) await admitted(world.first, principal);
    const before = world.model.calls;
    for (let n = 0; n < 100; n += 1) {
      await refused(world.first, principal);
      await world.pass(5);
    }
    assert.ok(world.model.calls - before <= 4, `${world.model.calls - before} calls in 0.5 s`);
  });

  it("let a small request pass that has room beside a large one that was refused", async () => {
    const world = new World(1);
    const principal = principalWith({ itpm: 6000, itpmBurst: 1000 });
    await admitted(world.first, principal, { inputTokens: 600 });
    await refused(world.first, principal, { inputTokens: 900 });
    await admitted(world.first, principal, { inputTokens: 300 });
  });

  it("charge the other limits of a refused request nothing", async () => {
    const world = new World(2);
    const principal = principalWith({ rpm: 60, itpm: 6000, itpmBurst: 1000 }, { otpm: 600, otpmBurst: 300 });
    await admitted(world.first, principal, { inputTokens: 900, outputTokens: 10 });
    for (let n = 0; n < 5; n += 1)
      await refused(world.first, principal, { inputTokens: 500, outputTokens: 200 });
    await turn();
    const states = new Map(
      world.first.slices.states(principal).map(({ limit, remaining }) => [limit, remaining]),
    );
    assert.deepEqual(Object.fromEntries(states), { requests: 9, inputTokens: 100, outputTokens: 290 });
    await admitted(world.at(1), principal, { inputTokens: 100, outputTokens: 290 });
  });

  it("name the limit of the tenant, which its keys share", async () => {
    const world = new World(2);
    const shared = { rpm: 60, rpmBurst: 5 };
    const [ann, bob] = [principalWith({ rpm: 600 }, shared), principalWith({}, shared, "bob")];
    for (let n = 0; n < 5; n += 1) await admitted(world.at(n), n % 2 === 0 ? ann : bob);
    const fault = await refused(world.first, bob);
    assert.match(fault.message, /^the tenant 'lab' has reached its limit of 60 requests/);
    assert.equal((await refused(world.at(1), ann)).retryAfter, 1);
    assert.deepEqual(world.at(1).slices.states(ann)[0], {
      limit: "requests",
      perMinute: 60,
      remaining: 0,
      resetMs: 5000,
    });
  });

  it("give back what lies unused, for other gateways", async () => {
    const world = new World(2);
    const principal = principalWith({ rpm: 6000, rpmBurst: 1000 });
    for (let n = 0; n < 200; n += 1) {
      await world.pass(10);
      await admitted(world.first, principal);
    }
    // A key that asks no more: after a second its slice is with Redis, and after the bucket is full nothing is missing.
    await world.pass(1500);
    await world.pass(10_000);
    const charges = await Promise.all(Array.from({ length: 1100 }, async () => world.at(1).ask(principal)));
    assert.equal(charges.filter((charge) => !(charge instanceof Fault)).length, 1000);
  });

  it("give back all at a stop", async () => {
    const world = new World(2);
    const principal = principalWith({ rpm: 0.6, rpmBurst: 1000 });
    for (let n = 0; n < 100; n += 1) await admitted(world.first, principal);
    (await admitted(world.first, principal)).refund();
    await world.first.slices.stop();
    const charges = await Promise.all(Array.from({ length: 1000 }, async () => world.at(1).ask(principal)));
    assert.equal(charges.filter((charge) => !(charge instanceof Fault)).length, 900);
  });

  it("settle tokens at the end: what was not used comes back, what was more is owed", async () => {
    const world = new World(1);
    const principal = principalWith({ itpm: 60, itpmBurst: 1000, otpm: 60, otpmBurst: 1000 });
    const tokens = { inputTokens: 400, outputTokens: 400 };
    const [less, more] = [
      await admitted(world.first, principal, tokens),
      await admitted(world.first, principal, tokens),
    ];
    less.settle({ promptTokens: 100, completionTokens: 50 });
    more.settle({ promptTokens: 900, completionTokens: 1500 });
    const left = world.first.slices.states(principal).map(({ limit, remaining }) => [limit, remaining]);
    assert.deepEqual(left, [
      ["inputTokens", 0],
      ["outputTokens", 0],
    ]);
    // 550 output tokens are owed beyond the burst, and one is needed.
    const fault = await refused(world.first, principal, { inputTokens: 0, outputTokens: 1 });
    assert.equal(fault.retryAfter, 551);
    await world.pass(551_000);
    await admitted(world.first, principal, { inputTokens: 0, outputTokens: 1 });
  });

  it("charge a refused request nothing, and one without a report its estimate", async () => {
    const world = new World(1);
    const principal = principalWith({ rpm: 60, itpm: 60, itpmBurst: 100 });
    (await admitted(world.first, principal, { inputTokens: 60 })).refund();
    (await admitted(world.first, principal, { inputTokens: 70 })).settle(NO_USAGE);
    const left = world.first.slices.states(principal).map(({ remaining }) => remaining);
    assert.deepEqual(left, [9, 30]);
  });

  it("admit a request that is larger than the burst, from half a burst on, and let it pay afterwards", async () => {
    const world = new World(2);
    const principal = principalWith({ itpm: 600, itpmBurst: 100 });
    const large = { inputTokens: 1000 };
    await admitted(world.first, principal, { inputTokens: 60 });
    assert.equal((await refused(world.first, principal, large)).retryAfter, 1);
    await world.pass(1000);
    await admitted(world.first, principal, large);
    await turn();
    // 1,050 are missing of a bucket of 100, at 10 per second.
    assert.equal((await refused(world.at(1), principal, { inputTokens: 1 })).retryAfter, 95.1);
  });

  it("apply a changed limit at once", async () => {
    const world = new World(1);
    for (let n = 0; n < 10; n += 1) await admitted(world.first, principalWith({ rpm: 60 }));
    await refused(world.first, principalWith({ rpm: 60 }));
    const raised = principalWith({ rpm: 60_000 });
    await world.pass(100);
    await admitted(world.first, raised);
    for (let n = 0; n < 500; n += 1) await admitted(world.first, raised);
    const lowered = principalWith({ rpm: 6 });
    await admitted(world.first, lowered);
    assert.equal((await refused(world.first, lowered)).retryAfter, 10);
  });

  it("refuse with redis_down while Redis is away", async () => {
    const world = new World(1);
    const principal = principalWith({ rpm: 60 });
    world.model.ready = false;
    const fault = await world.first.ask(principal);
    assert.ok(fault instanceof Fault);
    assert.deepEqual([fault.code, world.model.calls], ["redis_down", 0]);
    world.model.ready = true;
    await admitted(world.first, principal);
  });

  it("lose at most one slice when an answer is lost", async () => {
    const world = new World(1);
    const principal = principalWith({ rpm: 0.6, rpmBurst: 80 });
    world.model.losesAnswer = () => true;
    await assert.rejects(world.first.ask(principal), /cut/);
    world.model.losesAnswer = () => false;
    let count = 0;
    while (!((await world.first.ask(principal)) instanceof Fault)) count += 1;
    assert.equal(count, 79);
  });

  it("forget keys that ask no more", async () => {
    const world = new World(1);
    for (let n = 0; n < 5000; n += 1) {
      const charge = await world.first.ask(principalWith({ rpm: 60 }, undefined, `n${n}`));
      if (!(charge instanceof Fault)) charge.settle(NO_USAGE);
    }
    const [last] = world.first.slices.states(principalWith({ rpm: 60 }, undefined, "n1"));
    assert.equal(last?.remaining, 9);
    await world.pass(70_000);
    assert.deepEqual(world.first.slices.states(principalWith({ rpm: 60 }, undefined, "n1")), []);
  });
});

/** Requests of several gateways: time since the one before, gateway, and whether an answer of Redis gets lost. */
const arrivals = fc.array(
  fc.record({
    pause: fc.oneof(fc.nat(20), fc.nat(400), fc.nat(5000)),
    gateway: fc.nat(3),
    together: fc.integer({ min: 1, max: 12 }),
    isLost: fc.integer({ min: 0, max: 30 }).map((n) => n === 0),
  }),
  { minLength: 20, maxLength: 120 },
);

describe("any number of gateways", () => {
  it("never admit more than limit and burst in any minute, whatever is lost", async () => {
    const limits = fc.constantFrom(
      { rpm: 60 },
      { rpm: 6 },
      { rpm: 600, rpmBurst: 20 },
      { rpm: 6000, rpmBurst: 8 },
      { rpm: 120, rpmBurst: 200 },
    );
    await fc.assert(
      fc.asyncProperty(arrivals, limits, async (steps, limit) => {
        const world = new World(4);
        const principal = principalWith(limit);
        const events: (readonly [number, number])[] = [];
        let isLost = false;
        world.model.losesAnswer = () => isLost;
        for (const step of steps) {
          await world.pass(step.pause);
          ({ isLost } = step);
          const asked = Array.from({ length: step.together }, async (_none, index) =>
            world.at(step.gateway + (index % 2)).ask(principal),
          );
          for (const charge of await Promise.allSettled(asked)) {
            if (charge.status === "fulfilled" && !(charge.value instanceof Fault))
              events.push([world.now, 1]);
          }
        }
        const burst = limit.rpmBurst ?? Math.floor(limit.rpm / 6);
        for (const seconds of [1, 10, 60]) {
          const most = mostWithin(events, seconds * 1000);
          assert.ok(most <= (limit.rpm * seconds) / 60 + burst, `${most} in ${seconds} s`);
        }
      }),
      { numRuns: 150 },
    );
  });

  it("never admit a full bucket beside slices that are still out", async () => {
    const world = new World(4);
    const principal = principalWith({ rpm: 6000, rpmBurst: 800 });
    const events: (readonly [number, number])[] = [];
    const ask = async (gateway: number): Promise<void> => {
      const charge = await world.at(gateway).ask(principal);
      if (!(charge instanceof Fault)) events.push([world.now, 1]);
    };
    for (let n = 0; n < 400; n += 1) {
      await world.pass(10);
      await ask(n);
    }
    // No upkeep runs meanwhile, and no slice is a second old.
    world.now += 900;
    await Promise.all(Array.from({ length: 2000 }, async (_none, n) => ask(n)));
    const most = mostWithin(events, 0);
    assert.ok(most <= 800, `${most} at once`);
  });

  it("use all that may be used when more is offered", async () => {
    const world = new World(4);
    const principal = principalWith({ rpm: 6000 });
    const events: (readonly [number, number])[] = [];
    for (let ms = 0; ms < 61_000; ms += 4) {
      await world.pass(4);
      const lot = (ms / 4) % 10;
      const gateway = lot < 7 ? 0 : lot - 6;
      const charge = await world.at(gateway).ask(principal);
      if (!(charge instanceof Fault)) events.push([world.now, 1]);
    }
    const most = mostWithin(events, 60_000);
    assert.ok(most <= 7000 && most >= 6860, `${most} of 7000`);
    const perSecond = world.model.calls / 61;
    assert.ok(perSecond < 200, `${perSecond} calls a second`);
  });

  it("refuse almost none of 90 %", async () => {
    const world = new World(4);
    const principal = principalWith({ rpm: 6000 });
    let refusals = 0;
    for (let n = 0; n < 2700; n += 1) {
      await world.pass(n % 9 === 0 ? 20 : 10);
      const lot = n % 10;
      if ((await world.at(lot < 7 ? 0 : lot - 6).ask(principal)) instanceof Fault) refusals += 1;
    }
    assert.ok(refusals <= 6, `${refusals} of 2700 refused`);
    assert.ok(world.model.calls / 30 < 60, `${world.model.calls / 30} calls a second`);
  });
});
