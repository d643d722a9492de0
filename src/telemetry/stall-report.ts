import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import { RateLimitedLog } from "./rate-limited-log.ts";
import { processStalls } from "./stall-detector.ts";

/** Reports each stall of this process to the log and the metrics. Returns a function that ends this. */
export function reportStalls(log: Pick<Log, "warn">, metrics: Pick<Metrics, "stalled">): () => void {
  const limited = new RateLimitedLog(log);
  return processStalls.onStall((ms) => {
    metrics.stalled(ms);
    limited.line("stall", () => {
      log.warn(`this process ${stallText(ms)}: silence of others in that time is not judged`, {
        stalledMs: Math.round(ms),
      });
    });
  });
}

/** The words about a process that stood still. @param ms how long it stood still */
export function stallText(ms: number): string {
  return `stood still for ${(ms / 1000).toFixed(1)} s`;
}
