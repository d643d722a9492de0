import { Fault } from "../../core/fault.ts";
import { stallText } from "../../telemetry/stall-report.ts";
import { ANNOUNCE_MS, PRESENCE_MS } from "../../redis/registry.ts";
import type { StallDetector } from "../../telemetry/stall-detector.ts";
import type { Exchange } from "./exchange.ts";

/** A gateway counts as lost when it has not announced itself for this long (ms). Workers then remove its replies. */
const COUNTS_AS_LOST_MS = PRESENCE_MS - ANNOUNCE_MS - 1000;

/**
 * The fault of an answer that had begun and is gone. Redis lost it, or this gateway stood still for so long that it
 * counted as lost: then workers removed the replies that no client seemed to wait for.
 */
export function lostFault(
  { startedAt }: Pick<Exchange, "startedAt">,
  stalls: Pick<StallDetector, "since">,
  what: string,
): Fault {
  const stalledMs = stalls.since(startedAt);
  if (stalledMs >= COUNTS_AS_LOST_MS) return stallFault(stalledMs, what);
  return new Fault("worker_lost", `${what} with a part of Redis's data`, { blame: "redis" });
}

/** The fault of a gateway that stood still, in the place of one that would blame others. @param ms how long it stood still */
export function stallFault(ms: number, consequence: string): Fault {
  return new Fault("gateway_stalled", `this gateway ${stallText(ms)}: ${consequence}`);
}
