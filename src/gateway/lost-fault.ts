import { Fault } from "../core/fault.ts";
import { ownFault } from "../core/own-stall.ts";
import { ANNOUNCE_MS, PRESENCE_MS } from "../redis/registry.ts";
import type { StallMeter } from "../telemetry/stall-meter.ts";
import type { Exchange } from "./exchange.ts";

/** A gateway counts as lost when it has not announced itself for this long (ms). Its replies are removed. */
const TAKEN_FOR_LOST_MS = PRESENCE_MS - ANNOUNCE_MS - 1000;

/**
 * Why an answer that had begun is not there any more: Redis lost it, or this gateway stood still so long that workers
 * took it for lost, and removed replies that no client seemed to wait for.
 */
export function lostFault(
  { startedAt }: Pick<Exchange, "startedAt">,
  stalls: Pick<StallMeter, "since">,
  what: string,
): Fault {
  const stalledMs = stalls.since(startedAt);
  if (stalledMs >= TAKEN_FOR_LOST_MS) return ownFault(stalledMs, what);
  return new Fault("worker_lost", `${what} with a part of Redis's data`, { blame: "redis" });
}
