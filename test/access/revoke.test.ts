import assert from "node:assert/strict";
import test from "node:test";
import { holds, renderClaims } from "../../bench/sharing/claim.ts";
import { REVOKE } from "../../bench/sharing/revoke.ts";

/** The short form of L4; `make bench-sharing` has the long one. */
test("a revoked key is refused everywhere within 4 s, without a message", { timeout: 300_000 }, async (t) => {
  const claims = await REVOKE.measure({ quick: true });
  t.diagnostic(renderClaims([["l4", claims]]));
  assert.deepEqual(
    claims.filter((claim) => !holds(claim)),
    [],
  );
});
