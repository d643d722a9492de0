import { setFlagsFromString } from "node:v8";

/**
 * Of what a program loads at its start nearly everything stays, which V8 takes for a young generation that is too small:
 * it lets it grow up to its limit, where most of it would be garbage. V8 reads this flag whenever it is about to let it
 * grow; 2 is its default.
 */
const GROWTH_FACTOR = "--semi-space-growth-factor";

/** Keeps the young generation of this process as small as it is, until {@link freeYoungGeneration}. */
export function holdYoungGeneration(): void {
  setFlagsFromString(`${GROWTH_FACTOR}=1`);
}

/** Lets it grow with the load: held for good, each collection would meet what is still in use. */
export function freeYoungGeneration(): void {
  setFlagsFromString(`${GROWTH_FACTOR}=2`);
}
