import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { NO_USAGE } from "../../src/core/access/usage-record.ts";
import { dayOf } from "../../src/core/access/calendar.ts";
import { Fault } from "../../src/core/fault.ts";
import { UsageLedger } from "../../src/gateway/access/usage-ledger.ts";
import { UsageStore } from "../../src/redis/access/usage-store.ts";
import type { Connection } from "../../src/redis/connection/connection.ts";
import { Keys } from "../../src/redis/keys.ts";
import { restartableRig } from "../rig/redis/restartable-rig.ts";
import { until } from "../rig/until.ts";

const QUIET = { info: () => {}, warn: () => {} };
const mono = (): number => performance.now();
const ONE = { ...NO_USAGE, requests: 1, inputTokens: 3, outputTokens: 2 };

function ledgerOf(connection: Connection, prefix: string, tag: string): UsageLedger {
  const store = new UsageStore(connection, new Keys(prefix));
  const ledger = new UsageLedger({ store, tag, mono, log: QUIET });
  connection.onReconnect((moved) => {
    if (moved) ledger.doubt();
  });
  return ledger;
}

/** All that a tenant used, on any day of the test. */
async function usedBy(store: UsageStore, tenant: string): Promise<{ tokens: number; requests: number }> {
  const now = await store.now();
  const days = [now, now - 86_400_000].map(dayOf);
  const records = (await Promise.all(days.map(async (day) => store.usageOn(tenant, day)))).flat();
  const sum = (of: "inputTokens" | "outputTokens" | "requests"): number =>
    records.reduce((all, record) => all + record[of], 0);
  return { tokens: sum("inputTokens") + sum("outputTokens"), requests: sum("requests") };
}

describe("usage while Redis dies", () => {
  const rig = restartableRig("--appendonly yes --appendfsync everysec");

  it("is whole, and nothing counts twice, when Redis is killed twice under load (L5)", async () => {
    const connections = [await rig.opened(), await rig.opened()];
    const ledgers = connections.map((connection, index) => ledgerOf(connection, "l5", `g${index}`));
    let count = 0;
    const add = (): void => {
      for (const [index, ledger] of ledgers.entries()) {
        count += 1;
        ledger.add({ tenant: "lab", key: `k${count % 7}`, model: `m${index}` }, ONE);
      }
    };
    for (let round = 0; round < 3; round += 1) {
      for (let n = 0; n < 200; n += 1) {
        add();
        // Flushes are under way when it dies: their answers are lost.
        for (const ledger of ledgers) void ledger.flush();
        if (n % 10 === 0) await ledgers[0]?.flush();
      }
      if (round === 2) break;
      const killed = rig.server.kill();
      for (let n = 0; n < 50; n += 1) {
        add();
        void ledgers[1]?.flush();
      }
      await killed;
      await rig.server.startAgain();
      await until("both are back", () => connections.every(({ ready }) => ready));
    }
    await Promise.all(ledgers.map(async (ledger) => ledger.stop()));
    const store = new UsageStore(await rig.opened(), new Keys("l5"));
    await until("all is there", async () => {
      await Promise.all(ledgers.map(async (ledger) => ledger.flush()));
      return (await usedBy(store, "lab")).requests >= count;
    });
    assert.deepEqual(await usedBy(store, "lab"), { requests: count, tokens: count * 5 });
    const totals = await store.totalsOf("lab", await store.now());
    assert.equal(totals.get("")?.month, count * 5);
  });

  it("is sent again when a server comes back without its latest batches, even when no task ends any more", async () => {
    const connection = await rig.opened();
    const ledger = ledgerOf(connection, "lossy", "g1");
    const store = new UsageStore(connection, new Keys("lossy"));
    const keys = new Keys("lossy");
    ledger.add({ tenant: "lab", key: "k", model: "m" }, ONE);
    await ledger.flush();
    const copies = await Promise.all(
      [keys.budgets("lab"), keys.usage("lab", dayOf(await store.now()))].map(async (key) => {
        const dump = await connection.command("DUMP", key);
        return [key, dump as Buffer] as const;
      }),
    );
    for (let n = 0; n < 3; n += 1) {
      ledger.add({ tenant: "lab", key: "k", model: "m" }, ONE);
      await ledger.flush();
    }
    assert.equal((await usedBy(store, "lab")).requests, 4);
    // A replica takes over that has only the first batch.
    for (const [key, dump] of copies) await connection.command("RESTORE", key, "0", dump, "REPLACE");
    assert.equal((await usedBy(store, "lab")).requests, 1);
    ledger.doubt();
    await ledger.flush();
    assert.deepEqual(await usedBy(store, "lab"), { requests: 4, tokens: 20 });
    await ledger.flush();
    assert.deepEqual(await usedBy(store, "lab"), { requests: 4, tokens: 20 });
  });

  it("is sent again when a server comes back empty", async () => {
    const connection = await rig.opened();
    const ledger = ledgerOf(connection, "empty", "g1");
    const store = new UsageStore(connection, new Keys("empty"));
    for (let n = 0; n < 3; n += 1) {
      ledger.add({ tenant: "lab", key: "k", model: "m" }, ONE);
      await ledger.flush();
    }
    await connection.command("FLUSHALL");
    ledger.add({ tenant: "lab", key: "k", model: "m" }, ONE);
    await ledger.flush();
    assert.deepEqual(await usedBy(store, "lab"), { requests: 4, tokens: 20 });
  });

  it("counts once when only the answer is lost", async () => {
    const connection = await rig.opened();
    const real = new UsageStore(connection, new Keys("unheard"));
    let lost = 0;
    const deaf: Pick<UsageStore, "use" | "noteTenant"> = {
      noteTenant: async (tenant, now) => real.noteTenant(tenant, now),
      use: async (user, batch, asked) => {
        const answer = await real.use(user, batch, asked);
        lost += 1;
        if (lost % 3 !== 0) throw new Fault("redis_down", "the answer was lost");
        return answer;
      },
    };
    const ledger = new UsageLedger({ store: deaf, tag: "g", mono, log: QUIET });
    for (let n = 0; n < 20; n += 1) {
      ledger.add({ tenant: "lab", key: "k", model: "m" }, ONE);
      await ledger.flush();
    }
    for (let n = 0; n < 70; n += 1) await ledger.flush();
    assert.deepEqual(await usedBy(real, "lab"), { requests: 20, tokens: 100 });
    assert.deepEqual(await real.tenants(), ["lab"]);
  });

  it("makes no call when nothing was used", async () => {
    const connection = await rig.opened();
    const ledger = ledgerOf(connection, "calm", "g1");
    ledger.add({ tenant: "lab", key: "k", model: "m" }, ONE);
    await ledger.flush();
    const calls = async (): Promise<string> =>
      String(await connection.command("INFO", "commandstats"))
        .match(/cmdstat_eval.*:calls=(\d+)/g)
        ?.join() ?? "";
    const before = await calls();
    await ledger.flush();
    await ledger.flush();
    assert.equal(await calls(), before);
  });
});
