/** Bounds that the placement policy promises with automatic settings (docs/performance.md, "Placement"). */

const WAIT_LOADS = 4;
const WAIT_LEAST_MS = 2000;
const WAIT_MOST_MS = 60_000;
const RESIDENCY_LOADS = 2;
const RESIDENCY_LEAST_MS = 2000;

/** Longest wait of an unloaded model before a loaded one is unloaded, ms. */
export function swapWaitMs(loadMs: number): number {
  return Math.min(WAIT_MOST_MS, Math.max(WAIT_LEAST_MS, WAIT_LOADS * loadMs));
}

/** Shortest time that a model with work stays loaded, ms. */
export function residencyMs(loadMs: number): number {
  return Math.max(RESIDENCY_LEAST_MS, RESIDENCY_LOADS * loadMs);
}

/** The longest wait of any model, ms, when so many share so many places. */
export function longestWaitMs(loadMs: number, models: number, places: number): number {
  return swapWaitMs(loadMs) + ((residencyMs(loadMs) + loadMs) * models) / places;
}

/** The longest wait of a rare model beside a busy one, ms. */
export function rareWaitMs(loadMs: number): number {
  return swapWaitMs(loadMs) + residencyMs(loadMs) + loadMs;
}
