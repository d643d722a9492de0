/**
 * The life of a task as its gateway sees it.
 *
 *   opening -> queued <-> running -> answering -> ended
 *      \          \          \            \-----> gone      (the client is gone)
 *       \----------\----------\-----------------> ended     (a fault before the first byte)
 *
 * Running begins with a claim by a worker, answering with the first frame for the client. A heartbeat changes no phase.
 * A frame can arrive before Redis confirms the enqueue, so opening -> running and opening -> answering are legal. A
 * requeued task, or one of a lost worker, is queued again. Answering never goes back, because the client has bytes of
 * the answer.
 */
export type TaskPhase = "opening" | "queued" | "running" | "answering" | "ended" | "gone";

/** The phases of a task that is open, in their order. */
export const OPEN_PHASES: readonly TaskPhase[] = ["opening", "queued", "running", "answering"];

const NEXT: Readonly<Record<TaskPhase, readonly TaskPhase[]>> = {
  opening: ["queued", "running", "answering", "ended", "gone"],
  queued: ["running", "answering", "ended", "gone"],
  running: ["queued", "answering", "ended", "gone"],
  answering: ["ended", "gone"],
  ended: [],
  gone: [],
};

/** Returns `to`. Throws for an illegal change, which is a bug of the gateway. */
export function changePhase(from: TaskPhase, to: TaskPhase): TaskPhase {
  if (!NEXT[from].includes(to)) throw new Error(`illegal phase change ${from} -> ${to}`);
  return to;
}

/** True when the task has ended. */
export function hasEnded(phase: TaskPhase): boolean {
  return NEXT[phase].length === 0;
}
