import { Fault } from "./fault.ts";

/** Says of a process that it stood still, for people. @param ms for how long */
export function stoodStill(ms: number): string {
  return `stood still for ${(ms / 1000).toFixed(1)} s`;
}

/** The fault of a gateway that stood still, told in the place of one that would blame others. */
export function ownFault(ms: number, consequence: string): Fault {
  return new Fault("gateway_stalled", `this gateway ${stoodStill(ms)}: ${consequence}`);
}
