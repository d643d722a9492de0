import type { Fault } from "../core/fault.ts";
import type { Outbox } from "./outbox.ts";
import type { ReturnReason } from "./returner.ts";
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

/** Tells the gate what an attempt that failed says of the backend. */
export function judge(
  { station, visit: { gate, era } }: Place,
  { begun, pulse }: Outbox,
  { reason, fault }: { readonly reason: ReturnReason | undefined; readonly fault: Fault },
): void {
  if (!station.announced) return;
  if (reason === "busy") gate.busy(era, 1000 * (fault.askedToWait ?? 0));
  // What breaks off in the middle is often cut by something between the two.
  else if (reason !== undefined && !begun) gate.failed(era);
  // A refusal that is the backend's own tells that it works; others may not have reached it.
  else if (isBackends(fault) || (fault.code === "not_implemented" && pulse.asked))
    gate.worked(era, station.slots);
}

function isBackends({ code }: Fault): boolean {
  return code === "backend_error" || code === "model_not_found";
}
