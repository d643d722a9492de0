import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TimeoutPolicy } from "../../src/core/timeout-policy.ts";
import type { Principal } from "../../src/core/access/principal.ts";
import type { Charge, LimitRequest } from "../../src/gateway/access/limit-check.ts";
import type { BodyKind } from "../../src/gateway/requests/body.ts";
import { FakeReply } from "./fake-reply.ts";
import { intakeOf, NO_HEADERS } from "./intake-rig.ts";
import { principalWith } from "./rate-rig.ts";

const timeouts = new TimeoutPolicy({
  queueTimeoutMs: 0,
  connectTimeoutMs: 10,
  firstTokenTimeoutMs: 20,
  idleTimeoutMs: 30,
  taskTimeoutMs: 5000,
  modelTimeouts: "",
});

interface Seen {
  readonly charged: readonly LimitRequest[];
  readonly kept: readonly Charge[];
  readonly large: readonly BodyKind[];
}

/** Takes a chat of a principal, in one message of so many bytes. */
function take(principal: Principal, bytes: number): Seen {
  const seen = { charged: [] as LimitRequest[], kept: [] as Charge[], large: [] as BodyKind[] };
  const intake = intakeOf({
    timeouts,
    isAdmin: () => false,
    principal: () => principal,
    openLarge: (kind) => {
      seen.large.push(kind);
      return Promise.withResolvers<never>().promise;
    },
    limits: {
      charge: (request) => {
        seen.charged.push(request);
        return { settle: () => {}, refund: () => {} };
      },
      states: () => [],
    },
    keep: (_task, charge) => seen.kept.push(charge),
  });
  const messages = [{ role: "user", content: "x".repeat(bytes) }];
  const body = Buffer.from(JSON.stringify({ model: "tiny", messages }));
  const request = { method: "POST", path: "/api/chat", query: "", headers: NO_HEADERS, body, remote: "" };
  intake.take("ollama-chat", request, new FakeReply());
  return seen;
}

/** Whether the thread is to measure a large body. */
function measured(principal: Principal): unknown {
  return take(principal, 100_000).large[0]?.measures;
}

describe("the tokens of a request on its way in", () => {
  it("are estimated for a key whose tokens are limited", () => {
    const { charged } = take(principalWith({ otpm: 1000 }), 400);
    assert.deepEqual(
      charged.map(({ inputTokens, outputTokens }) => [inputTokens, outputTokens]),
      [[100, 256]],
    );
  });

  it("are not estimated for other keys, whose body is not measured", () => {
    const { charged } = take(principalWith({ rpm: 10 }), 400);
    assert.deepEqual(
      charged.map(({ inputTokens, outputTokens }) => [inputTokens, outputTokens]),
      [[0, 0]],
    );
  });

  it("are counted by the thread that reads a large body, for the same keys only", () => {
    assert.equal(measured(principalWith({}, { budgetDay: 5 })), true);
    assert.equal(measured(principalWith({ rpm: 5 })), false);
    assert.equal(measured({ role: "client" }), false);
  });
});
