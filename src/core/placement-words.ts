import type { ColdModel, PlacementAnnouncement } from "./fleet.ts";

/** Cold models that are named; the rest is counted. */
const MOST_NAMED = 3;

/** Returns a few words for people on a backend's memory: loads, swaps, waiting models and their times. "" for none. */
export function placementWords(placement: PlacementAnnouncement | undefined): string {
  if (placement === undefined) return "";
  const { swaps, loading, swapTo, cold } = placement;
  const more = cold.length - MOST_NAMED;
  return [
    ...(loading.length === 0 ? [] : [`loading ${loading.join(", ")}`]),
    ...(swapTo === undefined || loading.includes(swapTo) ? [] : [`makes room for ${swapTo}`]),
    ...cold.slice(0, MOST_NAMED).map(coldWords),
    ...(more > 0 ? [`${more} more wait`] : []),
    ...(swaps === 0 ? [] : [`${swaps} swap${swaps === 1 ? "" : "s"}`]),
  ].join("; ");
}

function coldWords({ model, waitedMs, dueMs }: ColdModel): string {
  const due = dueMs > 0 ? `due in ${Math.ceil(dueMs / 1000)} s` : "due";
  return `${model} waits for ${Math.round(waitedMs / 1000)} s, ${due}`;
}
