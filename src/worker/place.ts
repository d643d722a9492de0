import type { Fault } from "../core/fault.ts";
import type { Attempt } from "./attempt.ts";
import { strengthOf } from "./blame.ts";
import type { Station, Visit } from "./station.ts";

/** Where an attempt runs: a slot of the station, and a way through its gate. */
export interface Place {
  readonly station: Station;
  readonly visit: Visit;
}

/** Leaves it. */
export function release({ station, visit }: Place): void {
  station.release(visit);
}

/**
 * Tells the station of an attempt without an answer, when that may have stopped the load of its model. What was never
 * sent, and what the backend refused, stopped none.
 */
export function judgeLoad({ station, visit }: Place, attempt: Attempt, fault: Fault): void {
  const isStopped = attempt.stopReason !== undefined || fault.blame !== "request";
  if (isStopped && attempt.outbox.pulse.asked) station.broke(visit);
}

/** Tells the gate what an attempt that failed says of the backend. */
export function judge({ station, visit }: Place, attempt: Attempt, fault: Fault): void {
  if (!station.announced) return;
  const { gate, era } = visit;
  const { outbox, client, endpoint } = attempt;
  const { asked } = outbox.pulse;
  const strength = strengthOf(fault, asked);
  if (fault.code === "backend_busy") gate.busy(era, 1000 * (fault.askedToWait ?? 0));
  // What breaks off in the middle is often cut by something between the two.
  else if (strength !== undefined && !outbox.begun) gate.failed(era, { strength, client, endpoint });
  // A refusal that is the backend's own tells that it works; others may not have reached it.
  else if (isRefusal(fault, asked)) gate.worked(era, station.slots);
}

function isRefusal({ code, http }: Fault, asked: boolean): boolean {
  if (code === "backend_error") return http < 500 || http === 501;
  return code === "model_not_found" || (code === "not_implemented" && asked);
}
