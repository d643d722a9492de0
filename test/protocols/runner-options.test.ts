import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { JsonObject } from "../../src/core/json.ts";
import { NUM_CTX, readNumCtxPolicy } from "../../src/core/num-ctx.ts";
import { fitToRunner, keepAliveMs, mayHaveRunnerOptions } from "../../src/protocols/ollama/runner-options.ts";
import type { FitOptions, LoadedRunner } from "../../src/protocols/ollama/runner-options.ts";

const FIVE_MINUTES = 300_000;

function options(given: Partial<FitOptions> & { readonly numCtx?: string } = {}): FitOptions {
  const { numCtx = "grow", ...rest } = given;
  const policy = { numCtx: readNumCtxPolicy(numCtx), keepAliveMinMs: FIVE_MINUTES };
  return { policy, loaded: undefined, most: 0, admin: false, ...rest };
}

/** A runner that was asked for with so many tokens; its context is its own choice when absent. */
function runner(numCtx?: number, tokens?: number, launch: JsonObject = {}): LoadedRunner {
  return { numCtx, tokens, launch };
}

function sentCtx(numCtx: unknown, given: Parameters<typeof options>[0] = {}): unknown {
  const body = numCtx === undefined ? {} : { options: { num_ctx: numCtx as number } };
  const sent = fitToRunner(body, options(given)).body["options"] as JsonObject | undefined;
  return sent?.["num_ctx"];
}

describe("num_ctx", () => {
  const cases: readonly (readonly [string, unknown, Parameters<typeof options>[0], unknown])[] = [
    ["is not made up", undefined, {}, undefined],
    ["is rounded up", 5000, {}, 8192],
    ["of a size stays", 32_768, {}, 32_768],
    ["beyond the sizes stays", 200_000, {}, 200_000],
    ["is not rounded beyond what the model was made for", 2048, { most: 2048 }, 2048],
    ["beyond what the model was made for is that", 9000, { most: 2048 }, 2048],
    ["beyond any number is none", Infinity, { loaded: runner(8192) }, 8192],
    ["is that of the loaded runner when none is asked for", undefined, { loaded: runner(8192) }, 8192],
    ["never shrinks what is loaded", 4096, { loaded: runner(8192) }, 8192],
    ["grows what is loaded", 9000, { loaded: runner(8192) }, 16_384],
    [
      "is not asked for beside one that Ollama chose",
      undefined,
      { loaded: runner(undefined, 4096) },
      undefined,
    ],
    ["below what Ollama chose is that", 4096, { loaded: runner(undefined, 32_768) }, 32_768],
    ["beyond what Ollama chose grows it", 40_000, { loaded: runner(undefined, 32_768) }, 65_536],
    ["of null is none", null, { loaded: runner(8192) }, 8192],
    ["of 0 is none", 0, { loaded: runner(8192) }, 8192],
    ["is pinned", 9000, { numCtx: "pin:6000" }, 6000],
    ["is pinned when none is asked for", undefined, { numCtx: "pin:6000" }, 6000],
    ["is capped", 100_000, { numCtx: "cap:10000" }, 10_000],
    ["below the cap is rounded up", 3000, { numCtx: "cap:10000" }, 4096],
    ["is passed on", 5000, { numCtx: "pass", loaded: runner(8192) }, 5000],
    ["that is none is passed on", undefined, { numCtx: "pass", loaded: runner(8192) }, undefined],
  ];
  for (const [name, asked, given, sent] of cases) {
    it(name, () => assert.equal(sentCtx(asked, given), sent));
  }

  it("never has a runner loaded anew for less than it has", () => {
    const sizes = fc.option(fc.integer({ min: 1, max: 300_000 }), { nil: undefined });
    fc.assert(
      fc.property(fc.array(sizes, { maxLength: 20 }), (asked) => {
        let loaded: LoadedRunner | undefined;
        let most = 0;
        for (const size of asked) {
          const body = size === undefined ? {} : { options: { num_ctx: size } };
          const fitted = fitToRunner(body, options({ loaded }));
          if (fitted.runner !== loaded && loaded !== undefined) {
            assert.ok((fitted.runner.numCtx ?? 0) > most, "a reload is only for more");
          }
          loaded = fitted.runner;
          most = loaded.numCtx ?? 0;
          assert.ok(most >= (size ?? 0) || most === 0, "it has what was asked for");
        }
      }),
    );
  });
});

describe("other options of a runner", () => {
  it("stay as the model was loaded, and those who asked otherwise are told", () => {
    const loaded = runner(undefined, 4096, { num_gpu: 0 });
    const {
      body,
      dropped,
      runner: after,
    } = fitToRunner({ options: { num_gpu: 9, use_mmap: false, temperature: 1 } }, options({ loaded }));
    assert.deepEqual(body, { options: { num_gpu: 0, temperature: 1 } });
    assert.deepEqual(dropped, ["num_gpu", "use_mmap"]);
    assert.equal(after, loaded);
  });

  it("are those of the first request", () => {
    const { body, dropped, runner: after } = fitToRunner({ options: { num_thread: 4 } }, options());
    assert.deepEqual(body, { options: { num_thread: 4 } });
    assert.deepEqual(dropped, []);
    assert.deepEqual(after, runner(undefined, undefined, { num_thread: 4 }));
  });

  it("are passed on where num_ctx is", () => {
    const { body } = fitToRunner({ options: { num_gpu: 9 } }, options({ numCtx: "pass", loaded: runner() }));
    assert.deepEqual(body, { options: { num_gpu: 9 } });
  });
});

describe("keep_alive", () => {
  const cases: readonly (readonly [number | string, number])[] = [
    [0, 0],
    [-1, -1000],
    ["-1s", -1000],
    ["0", 0],
    ["1h30m", 5_400_000],
    ["1.5s", 1500],
    ["250ms", 250],
    ["+3m", 180_000],
    ["99ns", 99e-6],
  ];
  for (const [given, ms] of cases) {
    it(`of ${given} is ${ms} ms`, () => assert.ok(Math.abs(keepAliveMs(given) - ms) < 1e-9));
  }

  it("may be longer than the least, and not shorter", () => {
    const kept = (keepAlive: number | string, admin = false): unknown =>
      fitToRunner({ keep_alive: keepAlive }, options({ admin })).body["keep_alive"];
    assert.deepEqual([kept("10m"), kept(-1), kept(300)], ["10m", -1, 300]);
    assert.deepEqual([kept("10s"), kept(0), kept("0s")], [300, 300, 300]);
    assert.deepEqual([kept("10s", true), kept(0, true)], ["10s", 0]);
    assert.deepEqual(fitToRunner({ keep_alive: 0 }, options()).dropped, ["keep_alive"]);
  });
});

it("a body is looked into only when it may tell something about its runner", () => {
  assert.equal(mayHaveRunnerOptions(Buffer.from('{"options":{"temperature":1}}')), false);
  assert.equal(mayHaveRunnerOptions('{"options":{"num_ctx":1}}'), true);
  assert.equal(mayHaveRunnerOptions('{"keep_alive":0}'), true);
});

it("the setting takes what it says", () => {
  for (const text of ["grow", "pass", "pin:1", "cap:131072"]) assert.match(text, NUM_CTX);
  for (const text of ["", "pin", "pin:0", "cap:-1", "cap:1.5", "grow:1", "pin:999999999"]) {
    assert.doesNotMatch(text, NUM_CTX);
  }
});
