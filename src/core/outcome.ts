import type { AttemptNote } from "./attempt-note.ts";
import type { Fault } from "./fault.ts";
import type { FrameEnd } from "./frame.ts";
import type { TaskPhase } from "./task-phase.ts";

/** The end of a task, as its gateway saw it. */
export interface Outcome {
  /** HTTP status sent; 499 when the client was gone before any. */
  readonly status: number;
  /** Absent when the client has the whole answer. */
  readonly fault: Fault | undefined;
  /** The worker's own report; undefined when none came. */
  readonly end: FrameEnd | undefined;
  /** The phase in which the client was gone; undefined when it stayed. */
  readonly goneIn: TaskPhase | undefined;
  /** Ms from accepting the request. */
  readonly firstByteMs: number | undefined;
  readonly totalMs: number;
  /** True when a worker may still run the task and needs a cancel. */
  readonly abandon: boolean;
}

/** The number of attempts that the gateway knows; 0 when it knows of no worker that began. */
export function attemptsOf({ attempts, tries, worker }: AttemptsSeen, { end }: Pick<Outcome, "end">): number {
  if (end?.ordinal !== undefined) return end.ordinal;
  return Math.max(attempts, tries.length + (end !== undefined || worker !== undefined ? 1 : 0));
}

/** Attempts at a task, as frames and notes have shown them. */
export interface AttemptsSeen {
  readonly attempts: number;
  readonly tries: readonly AttemptNote[];
  readonly worker: string | undefined;
}

/**
 * Ms from accepting the request to the claim of the attempt that answered. Gateway and worker each report durations by
 * their own clock, never a time, so their clocks may differ. The frame's way to the gateway (about 1 ms) is included. A
 * stream is measured by its first byte: its last byte may have waited for a slow client.
 */
export function queueWaitMs(stream: boolean, { end, firstByteMs, totalMs }: Outcome): number | undefined {
  if (stream && firstByteMs !== undefined) return difference(firstByteMs, end?.firstByteMs);
  return difference(totalMs, end?.totalMs);
}

function difference(here: number, there: number | undefined): number | undefined {
  return there === undefined ? undefined : Math.max(0, here - there);
}
