import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { KeyLimits } from "../../src/core/access/key-limits.ts";
import type { Principal } from "../../src/core/access/principal.ts";
import { NO_USAGE } from "../../src/core/access/usage-record.ts";
import { Fault } from "../../src/core/fault.ts";
import { Budgets } from "../../src/gateway/access/budgets.ts";
import type { Charge, LimitRequest } from "../../src/gateway/access/limit-check.ts";
import { UsageLedger } from "../../src/gateway/access/usage-ledger.ts";
import type { BudgetTotals, UsageAnswer, UsageBatch } from "../../src/redis/access/usage-store.ts";

const NOON = Date.parse("2026-11-30T12:00:00Z");

/** A Redis in memory: totals by tenant and key, of one gateway. */
class FakeStore {
  readonly totals = new Map<string, BudgetTotals>();
  now = NOON;
  reads = 0;
  isAway = false;

  async use(
    { tenant }: { readonly tenant: string },
    batch: UsageBatch | undefined,
    asked: Iterable<string> = [],
  ): Promise<UsageAnswer> {
    await Promise.resolve();
    if (this.isAway) throw new Fault("redis_down", "away");
    if (batch === undefined) this.reads += 1;
    const keys = new Set(asked);
    for (const { key, inputTokens, outputTokens } of batch?.counts ?? []) {
      keys.add(key);
      for (const name of [key, ""]) this.add(tenant, name, inputTokens + outputTokens);
    }
    const of = (key: string): BudgetTotals => this.totals.get(`${tenant} ${key}`) ?? { day: 0, month: 0 };
    return {
      batch: batch?.number ?? 0,
      now: this.now,
      tenant: of(""),
      keys: new Map(Array.from(keys, (key) => [key, of(key)])),
    };
  }

  add(tenant: string, key: string, tokens: number): void {
    const { day, month } = this.totals.get(`${tenant} ${key}`) ?? { day: 0, month: 0 };
    this.totals.set(`${tenant} ${key}`, { day: day + tokens, month: month + tokens });
  }

  async noteTenant(): Promise<void> {}
}

interface Rig {
  readonly store: FakeStore;
  readonly ledger: UsageLedger;
  readonly budgets: Budgets;
  readonly clock: { at: number };
  readonly warned: string[];
}

function aRig(): Rig {
  const store = new FakeStore();
  const clock = { at: 0 };
  const warned: string[] = [];
  const log = {
    info: () => {},
    warn: (message: string, more?: object) => void warned.push(`${message} ${JSON.stringify(more)}`),
  };
  const ledger = new UsageLedger({ store, tag: "g", mono: () => clock.at, log });
  return { store, ledger, budgets: new Budgets({ ledger, log }), clock, warned };
}

function principal(key: KeyLimits, tenant?: KeyLimits): Principal {
  const record = { id: "k1", name: "laptop", tenant: "lab", digest: "", hint: "", models: ["*"], created: 0 };
  return {
    role: "client",
    key: { ...record, role: "client", ...key },
    ...(tenant === undefined ? {} : { tenant: { name: "lab", created: 0, ...tenant } }),
  };
}

function request(of: Principal, tokens = 100): LimitRequest {
  return { principal: of, model: "tiny", inputTokens: tokens, outputTokens: 0 };
}

async function refusal(charge: () => Charge | Promise<Charge> | undefined): Promise<Fault> {
  try {
    await charge();
  } catch (error) {
    assert.ok(error instanceof Fault);
    return error;
  }
  return assert.fail("it was not refused");
}

/** Ends a request that used tokens, in the order in which a gateway does. */
function end({ ledger }: Rig, charge: Charge | undefined, tokens: number): void {
  ledger.add({ tenant: "lab", key: "k1", model: "tiny" }, { ...NO_USAGE, requests: 1, outputTokens: tokens });
  charge?.settle({ promptTokens: 0, completionTokens: tokens });
}

describe("budgets", () => {
  it("cost nothing where none is set", () => {
    const { budgets, store } = aRig();
    assert.equal(budgets.charge(request(principal({ rpm: 5 }, { otpm: 3 }))), undefined);
    assert.equal(budgets.charge(request({ role: "client" })), undefined);
    assert.equal(store.reads, 0);
  });

  it("ask Redis once for a new key, and answer from memory then", async () => {
    const { budgets, store } = aRig();
    const of = principal({ budgetDay: 10_000 });
    const first = [budgets.charge(request(of)), budgets.charge(request(of))];
    assert.ok(first.every((charge) => charge instanceof Promise));
    await Promise.all(first);
    assert.equal(store.reads, 1);
    assert.ok(!(budgets.charge(request(of)) instanceof Promise));
    assert.equal(store.reads, 1);
  });

  it("refuse beyond a hard budget until the day ends, and take nothing", async () => {
    const rig = aRig();
    rig.store.add("lab", "k1", 1000);
    const of = principal({ budgetDay: 1000 });
    const fault = await refusal(() => rig.budgets.charge(request(of)));
    assert.deepEqual([fault.code, fault.http, fault.retryAfter], ["budget_exceeded", 429, 12 * 3600]);
    assert.match(fault.message, /the key laptop .* 1000 tokens per day.* 2026-12-01T00:00:00Z/);
    assert.equal(rig.budgets.shares()[0]?.share, 1);
  });

  it("refuse until the month ends when both are used", async () => {
    const rig = aRig();
    rig.store.now = Date.parse("2024-02-28T00:00:00Z");
    rig.store.add("lab", "k1", 1000);
    const fault = await refusal(() =>
      rig.budgets.charge(request(principal({ budgetDay: 900, budgetMonth: 900 }))),
    );
    assert.equal(fault.retryAfter, 2 * 86_400);
    assert.match(fault.message, /per month.*2024-03-01T00:00:00Z/);
  });

  it("count the use of the whole tenant", async () => {
    const rig = aRig();
    rig.store.add("lab", "", 1000);
    const fault = await refusal(() => rig.budgets.charge(request(principal({}, { budgetDay: 1000 }))));
    assert.match(fault.message, /the tenant lab/);
  });

  it("begin again with the next day, by Redis's clock", async () => {
    const rig = aRig();
    rig.store.now = Date.parse("2026-11-30T23:59:58Z");
    rig.store.add("lab", "k1", 1000);
    const of = principal({ budgetDay: 1000, budgetMonth: 1500 });
    await refusal(() => rig.budgets.charge(request(of)));
    rig.clock.at += 3000;
    rig.store.totals.clear();
    const charge = await rig.budgets.charge(request(of));
    assert.ok(charge !== undefined);
  });

  it("hold parallel requests back by their estimates, with a short wait", async () => {
    const rig = aRig();
    const of = principal({ budgetDay: 1000 });
    const charges = [await rig.budgets.charge(request(of))];
    for (let n = 1; n < 10; n += 1) charges.push(await rig.budgets.charge(request(of)));
    const fault = await refusal(() => rig.budgets.charge(request(of)));
    assert.deepEqual([fault.code, fault.retryAfter], ["budget_exceeded", 5]);
    charges[0]?.refund();
    charges[1]?.settle(undefined);
    assert.ok(await rig.budgets.charge(request(of)));
  });

  it("count what was used here before Redis has it, once", async () => {
    const rig = aRig();
    const of = principal({ budgetDay: 1000 });
    end(rig, await rig.budgets.charge(request(of)), 600);
    end(rig, await rig.budgets.charge(request(of)), 399);
    await rig.ledger.flush();
    end(rig, await rig.budgets.charge(request(of)), 1);
    await refusal(() => rig.budgets.charge(request(of)));
    await rig.ledger.flush();
    await refusal(() => rig.budgets.charge(request(of)));
    assert.equal(rig.store.totals.get("lab k1")?.day, 1000);
    assert.equal(rig.ledger.totals("lab", "k1")?.day, 1000);
  });

  it("hear of other gateways' use within a flush near the end, and ask first after a pause", async () => {
    const rig = aRig();
    const of = principal({ budgetDay: 1000 });
    end(rig, await rig.budgets.charge(request(of)), 950);
    await rig.ledger.flush();
    (await rig.budgets.charge(request(of, 1)))?.refund();
    rig.store.add("lab", "k1", 60);
    rig.clock.at += 1000;
    await rig.ledger.flush();
    await refusal(() => rig.budgets.charge(request(of)));
    const [late] = [aRig()];
    end(late, await late.budgets.charge(request(of)), 100);
    await late.ledger.flush();
    late.store.add("lab", "k1", 950);
    late.clock.at += 61_000;
    await refusal(() => late.budgets.charge(request(of)));
  });

  it("serve with a warning where they only warn, and log once a day", async () => {
    const rig = aRig();
    rig.store.add("lab", "k1", 1000);
    const of = principal({ budgetDay: 1000, budget: "warn" });
    for (let n = 0; n < 3; n += 1) {
      const charge = await rig.budgets.charge(request(of));
      assert.deepEqual(charge?.warnings, ["budget-exceeded; of=key; period=day; used=1000; budget=1000"]);
    }
    assert.equal(rig.warned.length, 1);
    assert.match(rig.warned[0] ?? "", /a budget is used .*"mode":"warn"/);
  });

  it("log once that 90 % are used, in both modes", async () => {
    for (const budget of ["hard", "warn"] as const) {
      const rig = aRig();
      rig.store.add("lab", "k1", 900);
      const of = principal({ budgetDay: 1000, budget });
      for (let n = 0; n < 3; n += 1) (await rig.budgets.charge(request(of, 1)))?.refund();
      assert.equal(rig.warned.length, 1);
      assert.match(rig.warned[0] ?? "", /a budget is nearly used .*"used":900/);
      assert.deepEqual(rig.budgets.shares(), [{ tenant: "lab", period: "day", share: 0.9 }]);
    }
  });

  it("fail with redis_down when Redis cannot be asked, and take nothing", async () => {
    const rig = aRig();
    rig.store.isAway = true;
    const of = principal({ budgetDay: 100 });
    const fault = await refusal(() => rig.budgets.charge(request(of)));
    assert.equal(fault.code, "redis_down");
    rig.store.isAway = false;
    assert.ok(await rig.budgets.charge(request(of)));
  });

  it("let a budget of 0 serve nothing", async () => {
    const rig = aRig();
    await refusal(() => rig.budgets.charge(request(principal({ budgetDay: 0 }))));
  });
});
