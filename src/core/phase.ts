/**
 * The life of a task as its gateway sees it.
 *
 *   opening -> queued <-> running -> answering -> ended
 *      \          \          \            \-----> gone      (the client left)
 *       \----------\----------\-----------------> ended     (a fault before the first byte)
 *
 * Running begins when a worker is known to have the task, answering with the first frame for the client. A heartbeat
 * changes no phase: it says nothing of the answer. A frame can come before Redis has confirmed the enqueue, so
 * opening -> running and opening -> answering are legal. A task that was handed back, or whose worker was lost, is
 * queued again. Once answering it never goes back: bytes that the client has are not taken back.
 */
export type Phase = "opening" | "queued" | "running" | "answering" | "ended" | "gone";

/** The phases of a task that is open, in their order. */
export const OPEN_PHASES: readonly Phase[] = ["opening", "queued", "running", "answering"];

const NEXT: Readonly<Record<Phase, readonly Phase[]>> = {
  opening: ["queued", "running", "answering", "ended", "gone"],
  queued: ["running", "answering", "ended", "gone"],
  running: ["queued", "answering", "ended", "gone"],
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
