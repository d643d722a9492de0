import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { ANONYMOUS } from "../../src/core/access/principal.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Charge } from "../../src/gateway/access/limit-check.ts";
import { LimitChecks } from "../../src/gateway/access/limit-checks.ts";
import { refuses, ScriptedLimit } from "./limited-gateway.ts";

const REQUEST = { principal: ANONYMOUS, model: "tiny", inputTokens: 1, outputTokens: 2 };

/** The ways in which one limit answers. */
type Way = "absent" | "takes" | "takes later" | "refuses" | "refuses later";
const WAYS: readonly Way[] = ["absent", "takes", "takes later", "refuses", "refuses later"];

const FAULT = new Fault("rate_limited", "later");

function limitWith(way: Way, name: string, seen: string[]): ScriptedLimit {
  const limit = new ScriptedLimit(name, seen);
  const take = (): Charge => limit.take();
  const steps: Readonly<Record<Way, ScriptedLimit["steps"][number]>> = {
    absent: () => undefined,
    takes: take,
    "takes later": () => Promise.resolve().then(take),
    refuses: refuses(FAULT),
    "refuses later": () => Promise.reject(FAULT),
  };
  limit.steps.push(steps[way]);
  return limit;
}

function limitsOf(ways: readonly Way[]): { checks: LimitChecks; limits: ScriptedLimit[]; seen: string[] } {
  const seen: string[] = [];
  const limits = ways.map((way, index) => limitWith(way, String(index), seen));
  return { checks: new LimitChecks(limits), limits, seen };
}

describe("a chain of limits", () => {
  it("costs nothing when none applies", () => {
    assert.equal(limitsOf(["absent", "absent"]).checks.charge(REQUEST), undefined);
  });

  it("answers at once when all do", () => {
    const { checks, seen } = limitsOf(["takes", "absent", "takes"]);
    const charge = checks.charge(REQUEST);
    assert.ok(charge !== undefined && !(charge instanceof Promise));
    charge.settle({ promptTokens: 3, completionTokens: 4 });
    assert.deepEqual(seen, ["0 charged", "2 charged", "0 settled 3+4", "2 settled 3+4"]);
  });

  it("undoes those before a refusal, the last first, and asks none behind it", () => {
    const { checks, limits, seen } = limitsOf(["takes", "takes", "refuses", "takes"]);
    assert.throws(() => checks.charge(REQUEST), FAULT);
    assert.deepEqual(seen, ["0 charged", "1 charged", "1 refunded", "0 refunded"]);
    assert.equal(limits[3]?.requests.length, 0);
  });

  it("undoes those before a refusal that comes later", async () => {
    const { checks, limits, seen } = limitsOf(["takes", "takes later", "refuses later", "takes"]);
    await assert.rejects(Promise.resolve(checks.charge(REQUEST)), FAULT);
    assert.deepEqual(seen, ["0 charged", "1 charged", "1 refunded", "0 refunded"]);
    assert.equal(limits[3]?.requests.length, 0);
  });

  it("holds what it charged in each combination, or nothing at all", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...WAYS), { maxLength: 5 }),
        fc.boolean(),
        async (ways, isSettled) => {
          const { checks, seen } = limitsOf(ways);
          let charge: Charge | undefined;
          let refused = false;
          try {
            charge = await checks.charge(REQUEST);
          } catch (error) {
            assert.equal(error, FAULT);
            refused = true;
          }
          const count = (what: string): number => seen.filter((line) => line.endsWith(what)).length;
          assert.equal(
            refused,
            ways.some((way) => way.startsWith("refuses")),
          );
          if (refused) assert.equal(count("refunded"), count("charged"));
          else {
            const taken = ways.filter((way) => way.startsWith("takes")).length;
            assert.equal(count("charged"), taken);
            assert.equal(charge === undefined, taken === 0);
            if (isSettled) charge?.settle(undefined);
            else charge?.refund();
            assert.equal(count(isSettled ? "settled" : "refunded"), taken);
          }
        },
      ),
    );
  });
});
