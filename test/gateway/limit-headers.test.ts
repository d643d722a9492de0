import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { LimitState } from "../../src/gateway/access/limit-check.ts";
import { durationText, limitHeaders } from "../../src/gateway/access/limit-headers.ts";

const NOW = Date.parse("2026-11-30T23:59:00.250Z");

const REQUESTS: LimitState = { limit: "requests", perMinute: 60, remaining: 9, resetMs: 1000 };
const INPUT: LimitState = { limit: "inputTokens", perMinute: 6000, remaining: 600, resetMs: 360_000 };
const OUTPUT: LimitState = { limit: "outputTokens", perMinute: 1000, remaining: 500.9, resetMs: 120 };

function names(dialect: "openai" | "anthropic", ...states: readonly LimitState[]): string[] {
  return limitHeaders(dialect, states, NOW).map(([name]) => name);
}

describe("the headers about limits", () => {
  it("of OpenAI's API name requests, and the tokens with the smaller share left", () => {
    assert.deepEqual(limitHeaders("openai", [REQUESTS, INPUT, OUTPUT], NOW), [
      ["x-ratelimit-limit-requests", "60"],
      ["x-ratelimit-limit-tokens", "6000"],
      ["x-ratelimit-remaining-requests", "9"],
      ["x-ratelimit-remaining-tokens", "600"],
      ["x-ratelimit-reset-requests", "1s"],
      ["x-ratelimit-reset-tokens", "6m0s"],
    ]);
  });

  it("of Anthropic's API name all limits, with the time of the gateway's clock", () => {
    assert.deepEqual(limitHeaders("anthropic", [REQUESTS, INPUT, OUTPUT], NOW), [
      ["anthropic-ratelimit-requests-limit", "60"],
      ["anthropic-ratelimit-requests-remaining", "9"],
      ["anthropic-ratelimit-requests-reset", "2026-11-30T23:59:02Z"],
      ["anthropic-ratelimit-tokens-limit", "6000"],
      ["anthropic-ratelimit-tokens-remaining", "600"],
      ["anthropic-ratelimit-tokens-reset", "2026-12-01T00:05:01Z"],
      ["anthropic-ratelimit-input-tokens-limit", "6000"],
      ["anthropic-ratelimit-input-tokens-remaining", "600"],
      ["anthropic-ratelimit-input-tokens-reset", "2026-12-01T00:05:01Z"],
      ["anthropic-ratelimit-output-tokens-limit", "1000"],
      ["anthropic-ratelimit-output-tokens-remaining", "500"],
      ["anthropic-ratelimit-output-tokens-reset", "2026-11-30T23:59:01Z"],
    ]);
  });

  it("are none in Ollama's API, and none without limits", () => {
    assert.deepEqual(limitHeaders("ollama", [REQUESTS, INPUT, OUTPUT], NOW), []);
    assert.deepEqual(limitHeaders("openai", [], NOW), []);
    assert.deepEqual(limitHeaders("anthropic", [], NOW), []);
  });

  it("are only those of limits that exist", () => {
    assert.equal(
      names("openai", REQUESTS).join(),
      "x-ratelimit-limit-requests,x-ratelimit-remaining-requests,x-ratelimit-reset-requests",
    );
    assert.ok(names("anthropic", OUTPUT).every((name) => name.includes("tokens")));
    assert.ok(!names("anthropic", OUTPUT).some((name) => name.includes("input")));
  });

  it("show the limit that refuses first, of a key and its tenant in any order", () => {
    const tenant: LimitState = { limit: "requests", perMinute: 600, remaining: 3, resetMs: 50 };
    for (const states of [
      [REQUESTS, tenant],
      [tenant, REQUESTS],
    ]) {
      assert.deepEqual(limitHeaders("openai", states, NOW), [
        ["x-ratelimit-limit-requests", "600"],
        ["x-ratelimit-remaining-requests", "3"],
        ["x-ratelimit-reset-requests", "50ms"],
      ]);
    }
  });

  it("never show units below 0", () => {
    const headers = new Map(limitHeaders("openai", [{ ...INPUT, remaining: -12.5 }], NOW));
    assert.equal(headers.get("x-ratelimit-remaining-tokens"), "0");
  });
});

describe("a duration", () => {
  const cases: readonly (readonly [ms: number, text: string])[] = [
    [-5, "0s"],
    [0, "0s"],
    [0.2, "1ms"],
    [120, "120ms"],
    [999.5, "1s"],
    [8640, "8.64s"],
    [59_999, "59.999s"],
    [60_000, "1m0s"],
    [360_000, "6m0s"],
    [86_400, "1m26.4s"],
    [3_600_000, "1h0m0s"],
    [90_061_001, "25h1m1.001s"],
  ];
  for (const [ms, text] of cases) it(`of ${ms} ms is ${text}`, () => assert.equal(durationText(ms), text));

  it("is read back as the same ms", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e11 }), (ms) => {
        assert.equal(Math.round(msOf(durationText(ms))), ms);
      }),
    );
  });
});

/** Reads a duration as clients of OpenAI's API do. */
function msOf(text: string): number {
  const sizes: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
  let sum = 0;
  for (const [, number = "", unit = ""] of text.matchAll(/([\d.]+)(ms|[hms])/g))
    sum += Number(number) * (sizes[unit] ?? Number.NaN);
  return sum;
}
