import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { TokenMeter, METER_SECONDS } from "../../src/gateway/monitor/token-meter.ts";
import type { Outcome } from "../../src/core/outcome.ts";
import type { Metered } from "../../src/gateway/monitor/token-meter.ts";

type Stream = { -readonly [Key in keyof Metered]: Metered[Key] };

function stream(options: Partial<Metered> = {}): Stream {
  let counted = 0;
  const countTokens = (tokens: number): number => {
    const fresh = tokens - counted;
    counted = tokens;
    return fresh;
  };
  return {
    task: { endpoint: "openai-chat", stream: true },
    model: "tiny",
    bytes: 0,
    countTokens,
    ...options,
  };
}

/** The report of a worker that counted these tokens. */
function usage(completionTokens: number): Pick<Outcome, "end"> {
  return { end: { usage: { promptTokens: 1, completionTokens } } };
}

describe("the meter", () => {
  it("learns the bytes per token of a kind of stream from those that ended", () => {
    const meter = new TokenMeter();
    meter.ended(stream({ bytes: 5000 }), usage(100));
    assert.equal(meter.tokensOf(stream({ bytes: 1000 })), 20);
    assert.notEqual(meter.tokensOf(stream({ bytes: 1000, model: "other" })), 20);
  });

  it("counts no tokens of a whole answer before its end", () => {
    const meter = new TokenMeter();
    const whole = stream({ task: { endpoint: "openai-chat", stream: false }, bytes: 4000 });
    assert.equal(meter.tokensOf(whole), 0);
    meter.ended(whole, usage(30));
    meter.tick([]);
    assert.equal(meter.seconds.at(-1), 30);
  });

  it("takes sound for no tokens, and a fill in the middle for some", () => {
    const meter = new TokenMeter();
    const sound = stream({ task: { endpoint: "openai-speech", stream: true }, bytes: 1_000_000 });
    meter.ended(sound, usage(50));
    assert.equal(meter.tokensOf({ ...sound }), 0);
    const fill = stream({ task: { endpoint: "openai-infill", stream: true }, bytes: 1900 });
    assert.equal(meter.tokensOf(fill), 10);
  });

  it("counts every token once, whatever was estimated before the end", () => {
    const tick = fc.nat({ max: 5000 });
    fc.assert(
      fc.property(fc.array(tick, { maxLength: 20 }), fc.nat({ max: 300 }), (growth, tokens) => {
        const meter = new TokenMeter();
        meter.ended(stream({ bytes: 100 }), usage(1));
        meter.tick([]);
        const one = stream();
        for (const bytes of growth) {
          one.bytes += bytes;
          meter.tick([one]);
        }
        meter.ended(one, usage(tokens));
        meter.tick([]);
        // More than any estimate could be too high.
        meter.ended(stream(), usage(2000));
        meter.tick([]);
        const counted = meter.seconds.reduce((sum, second) => sum + second, 0);
        assert.equal(counted, 1 + tokens + 2000);
      }),
    );
  });

  it("forgets a model that is silent, and seconds that are long gone", () => {
    const meter = new TokenMeter();
    meter.ended(stream(), usage(50));
    meter.tick([]);
    assert.deepEqual([...meter.rates.keys()], ["tiny"]);
    for (let second = 0; second < METER_SECONDS; second++) meter.tick([]);
    assert.deepEqual([...meter.rates], []);
    assert.equal(meter.seconds.length, METER_SECONDS);
    assert.ok(meter.seconds.every((tokens) => tokens === 0));
  });
});
