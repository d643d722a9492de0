import { stoodStill } from "../core/own-stall.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import { SparingLog } from "./sparing-log.ts";
import { ownStalls } from "./stall-meter.ts";

/** Tells log and metrics of each time that this process stood still. Returns what ends it. */
export function tellOwnStalls(log: Pick<Log, "warn">, metrics: Pick<Metrics, "stalled">): () => void {
  const sparing = new SparingLog(log);
  return ownStalls.onStall((ms) => {
    metrics.stalled(ms);
    sparing.line("stall", () => {
      log.warn(`this process ${stoodStill(ms)}: silence of others in that time is not judged`, {
        stalledMs: Math.round(ms),
      });
    });
  });
}
