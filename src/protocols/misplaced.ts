import type { Part } from "../core/chat.ts";
import { Fault } from "../core/fault.ts";

/** The fault of a part that the endpoint of a reply cannot carry: text where vectors were asked for, or the reverse. */
export function misplaced({ type }: Part): Fault {
  return new Fault("backend_lost", `the backend's reply has a ${type} that was not asked for`);
}
