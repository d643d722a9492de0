import type { ColdModel, PlacementAnnouncement } from "../../core/fleet.ts";

/** Cold models that are named. The others are counted. */
const MOST_NAMED = 3;

/**
 * Describes a backend's memory in a few words: loads, swaps, waiting models and their times. "" for nothing to
 * report.
 */
export function placementText(placement: PlacementAnnouncement | undefined): string {
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
