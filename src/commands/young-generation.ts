import { setFlagsFromString } from "node:v8";

/**
 * Growth factor of V8's young generation. Nearly all memory of a program start survives. V8 then lets the young
 * generation grow to its limit, where it would mostly hold garbage. V8 reads this flag at each growth; its default is
 * 2.
 */
const GROWTH_FACTOR = "--semi-space-growth-factor";

/** Stops the growth of the young generation until {@link unlimitYoungGeneration}. */
export function limitYoungGeneration(): void {
  setFlagsFromString(`${GROWTH_FACTOR}=1`);
}

/** Lets the young generation grow with the load. A permanent limit would make each collection copy live objects. */
export function unlimitYoungGeneration(): void {
  setFlagsFromString(`${GROWTH_FACTOR}=2`);
}
