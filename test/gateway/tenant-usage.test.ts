import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { NO_USAGE } from "../../src/core/access/usage-record.ts";
import { TenantUsage } from "../../src/gateway/access/tenant-usage.ts";

function aUsage(clock: { at: number }): TenantUsage {
  let numbers = 0;
  return new TenantUsage(
    () => clock.at,
    () => (numbers += 1),
  );
}

function tokens(input: number): typeof NO_USAGE {
  return { ...NO_USAGE, inputTokens: input, requests: 1 };
}

describe("the use of a tenant at one gateway", () => {
  it("counts each batch once when Redis loses answers, and its latest batches", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("add", "close", "send", "send unheard", "lose", "check"), { maxLength: 60 }),
        (steps) => {
          const clock = { at: 0 };
          const usage = aUsage(clock);
          /** Batches that Redis has added, the latest last. */
          const redis: { number: number; sum: number }[] = [];
          let added = 0;
          const last = (): number => redis.at(-1)?.number ?? 0;
          const send = (isHeard: boolean): void => {
            const batch = usage.next();
            if (batch === undefined) return;
            if (batch.number > last() && last() >= batch.after) {
              const sum = [...batch.counts].reduce((all, { inputTokens }) => all + inputTokens, 0);
              redis.push({ number: batch.number, sum });
            }
            if (isHeard) usage.confirmed(last());
          };
          for (const step of steps) {
            clock.at += 10;
            if (step === "add") {
              usage.add("k", "m", tokens(1));
              added += 1;
            }
            if (step === "close") usage.close();
            if (step === "send") send(true);
            if (step === "send unheard") send(false);
            if (step === "lose") redis.pop();
            if (step === "check") usage.confirmed(last());
          }
          usage.close();
          usage.confirmed(last());
          while (usage.isWaiting) send(true);
          assert.equal(
            redis.reduce((all, { sum }) => all + sum, 0),
            added,
          );
          assert.equal(usage.unsent("k"), 0);
          assert.equal(usage.unsent(""), 0);
        },
      ),
    );
  });

  it("is bounded while Redis is away: further models count as other, and no token is lost", () => {
    const usage = aUsage({ at: 0 });
    for (let n = 0; n < 30_000; n += 1) usage.add("k", `m${n}`, tokens(1));
    assert.equal(usage.unsent("k"), 30_000);
    let [rows, sum] = [0, 0];
    for (usage.close(); usage.isWaiting; usage.close()) {
      const batch = usage.next();
      for (const row of batch?.counts ?? []) {
        rows += 1;
        sum += row.inputTokens;
      }
      usage.confirmed(batch?.number ?? 0);
    }
    assert.equal(sum, 30_000);
    assert.ok(rows <= 21_000, String(rows));
  });

  it("gives up a batch that Redis has not answered for a day", () => {
    const clock = { at: 0 };
    const usage = aUsage(clock);
    usage.add("k", "m", tokens(1));
    usage.close();
    clock.at = 86_400_000;
    assert.equal(usage.next(), undefined);
    assert.deepEqual([usage.isWaiting, usage.unsent("k")], [false, 0]);
  });
});
