import type { PendingEntry } from "../redis/pending.ts";

/** A claim as JSON for programs. They know {@link PendingEntry.requeued} as `handedBack`. */
export function claimFacts({ requeued: handedBack, ...claim }: PendingEntry): object {
  return { ...claim, handedBack };
}
