/**
 * The life of a task as its gateway sees it.
 *
 *   opening -> queued -> answering -> ended
 *      \          \          \-----> gone      (the client left)
 *       \----------\---------------> ended     (a fault before the first byte)
 *
 * Answering begins with the first bytes to the client, of the answer or of a heartbeat. Both can come before Redis has
 * confirmed the enqueue: opening -> answering is legal. Once answering, a task never goes back to queued: bytes that
 * the client has are not taken back.
 */
export type Phase = "opening" | "queued" | "answering" | "ended" | "gone";

const NEXT: Readonly<Record<Phase, readonly Phase[]>> = {
  opening: ["queued", "answering", "ended", "gone"],
  queued: ["answering", "ended", "gone"],
  answering: ["ended", "gone"],
  ended: [],
  gone: [],
};

/** Returns `to`; throws when the move is not legal (a bug here, never a client's doing). */
export function move(from: Phase, to: Phase): Phase {
  if (!NEXT[from].includes(to)) throw new Error(`illegal phase change ${from} -> ${to}`);
  return to;
}

/** True when nothing more can happen to the task. */
export function isOver(phase: Phase): boolean {
  return NEXT[phase].length === 0;
}
