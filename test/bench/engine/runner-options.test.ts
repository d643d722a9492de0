import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { needsReload, runnerOptions } from "../../../bench/engine/runner-options.ts";

const SERVER_CONTEXT = 4096;

const CASES: readonly (readonly [loaded: object, asked: object, reload: boolean])[] = [
  [{}, {}, false],
  [{ num_ctx: 8192 }, { num_ctx: 8192 }, false],
  [{ num_ctx: 4096 }, { num_ctx: 8192 }, true],
  [{ num_ctx: 8192 }, { num_ctx: 4096 }, true],
  // An automatic context is the server's own number, unless both are automatic.
  [{ num_ctx: 8192 }, {}, true],
  [{}, { num_ctx: 8192 }, true],
  [{}, { num_ctx: 4096 }, false],
  [{ num_ctx: 4096 }, {}, false],
  // A context below 4 is 4.
  [{ num_ctx: 1 }, { num_ctx: 4 }, false],
  [{ num_ctx: 0 }, {}, false],
  [{ num_batch: 256 }, {}, true],
  [{ num_batch: 256 }, { num_batch: 256 }, false],
  [{ num_gpu: 10 }, {}, false],
  [{ num_gpu: 10 }, { num_gpu: -1 }, false],
  [{ num_gpu: 10 }, { num_gpu: 20 }, true],
  [{}, { num_gpu: 20 }, true],
  [{ use_mmap: true }, { use_mmap: false }, true],
  [{ num_thread: 4 }, { num_thread: 8 }, true],
  [{ main_gpu: 0 }, { main_gpu: 1 }, true],
  // Options that only shape an answer are not the runner's business.
  [{ temperature: 1, num_predict: 5 }, { temperature: 0, seed: 3, top_p: 1 }, false],
];

describe("the reload rule", () => {
  for (const [loaded, asked, reload] of CASES) {
    it(`${JSON.stringify(asked)} ${reload ? "reloads" : "suits"} a runner with ${JSON.stringify(loaded)}`, () => {
      const [one, other] = [loaded, asked].map((options) =>
        runnerOptions(options as Record<string, unknown>, SERVER_CONTEXT),
      );
      assert.ok(one !== undefined && other !== undefined);
      assert.equal(needsReload(one, other), reload);
    });
  }
});
