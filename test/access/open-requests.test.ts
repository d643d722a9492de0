import assert from "node:assert/strict";
import test from "node:test";
import { holds, renderClaims } from "../../bench/sharing/claim.ts";
import { OPEN_REQUESTS } from "../../bench/sharing/slots.ts";

/** The short form of L2; `make bench-sharing` has the long one. */
test("no slot leaks when gateways, workers, Redis and clients go away", { timeout: 300_000 }, async (t) => {
  const claims = await OPEN_REQUESTS.measure({ quick: true });
  t.diagnostic(renderClaims([["l2", claims]]));
  assert.deepEqual(
    claims.filter((claim) => !holds(claim)),
    [],
  );
});
