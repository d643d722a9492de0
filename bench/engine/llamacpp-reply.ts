/** `/slots` and `/metrics` as llama.cpp's server has them, over all loaded models. */
import type { Engine } from "./engine.ts";

/** One entry per slot of each loaded model. */
export function slotsOf({ runners }: Engine): readonly object[] {
  const slots = runners.flatMap(({ model, options, pool }) =>
    Array.from({ length: model.slots }, (_, index) => ({ nCtx: options.numCtx, isBusy: index < pool.busy })),
  );
  return slots.map(({ nCtx, isBusy }, id) => ({
    id,
    n_ctx: nCtx,
    speculative: false,
    is_processing: isBusy,
  }));
}

/** The text for Prometheus; times in simulated s. */
export function metricsOf(engine: Engine): string {
  const { counters, runners } = engine;
  const processing = runners.reduce((sum, { pool }) => sum + pool.busy, 0);
  const rows: readonly (readonly [string, "counter" | "gauge", string, number])[] = [
    [
      "prompt_tokens_total",
      "counter",
      "Number of prompt tokens processed, excluding cached tokens",
      counters.promptTokens - counters.cachedTokens,
    ],
    [
      "prompt_tokens_cached_total",
      "counter",
      "Number of prompt tokens reused from the cache",
      counters.cachedTokens,
    ],
    ["prompt_seconds_total", "counter", "Total time spent processing prompts", counters.prefillMs / 1000],
    ["tokens_predicted_total", "counter", "Number of generation tokens processed", counters.tokens],
    [
      "tokens_predicted_seconds_total",
      "counter",
      "Total time spent generating tokens",
      counters.decodeMs / 1000,
    ],
    ["requests_processing", "gauge", "Number of requests processing", processing],
    ["requests_deferred", "gauge", "Number of requests deferred", engine.deferred + engine.waiting],
  ];
  return rows
    .map(([name, kind, help, value]) => {
      const full = `llamacpp:${name}`;
      return `# HELP ${full} ${help}\n# TYPE ${full} ${kind}\n${full} ${Number(value.toPrecision(6))}\n`;
    })
    .join("");
}
