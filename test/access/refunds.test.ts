import assert from "node:assert/strict";
import test from "node:test";
import { holds, renderClaims } from "../../bench/sharing/claim.ts";
import { REFUNDS } from "../../bench/sharing/refunds.ts";

/** The short form of L3; `make bench-sharing` has the long one. */
test("a request that is refused costs the rates nothing", { timeout: 300_000 }, async (t) => {
  const claims = await REFUNDS.measure({ quick: true });
  t.diagnostic(renderClaims([["l3", claims]]));
  assert.deepEqual(
    claims.filter((claim) => !holds(claim)),
    [],
  );
});
