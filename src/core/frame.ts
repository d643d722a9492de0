import type { AttemptNote } from "./attempt-note.ts";
import type { FaultRecord } from "./fault.ts";
import type { Usage } from "./usage.ts";

/**
 * A frame is one record of a reply stream. Frames of a task are ordered by (attempt, seq); the id of the
 * stream entry is `<attempt>-<seq>`, so Redis itself refuses an old attempt and a repeated seq.
 */
export interface Frame {
  readonly task: string;
  /** One run of the task by one worker. A later attempt is a larger number. */
  readonly attempt: number;
  /** 1, 2, 3, … within the attempt, without a hole. */
  readonly seq: number;
  /** Only on seq 1: status and content type of the reply. */
  readonly head?: FrameHead | undefined;
  /** Bytes for the client in its own dialect; may be empty. */
  readonly bytes: Buffer;
  /** Only on the last frame of an attempt. */
  readonly end?: FrameEnd | undefined;
  /**
   * Only with seq 0, which stands for no part of the reply: how an earlier attempt failed that was handed back. Its
   * attempt is one more than that attempt's, so that it is fenced.
   */
  readonly note?: AttemptNote | undefined;
}

export interface FrameHead {
  readonly status: number;
  readonly contentType: string;
  /** Worker that runs the attempt: where a cancel goes. */
  readonly worker: string;
  /** The client's fields that the translation left out; absent = none. */
  readonly dropped?: readonly string[];
}

export interface FrameEnd {
  /** Absent when the answer is complete. */
  readonly fault?: FaultRecord;
  readonly usage?: Usage;
  /** Milliseconds from the claim to the backend's first byte, and to its last. */
  readonly firstByteMs?: number;
  readonly totalMs?: number;
  /** The backend that was asked; absent when none was. */
  readonly backend?: string;
  /** The number of this attempt, counted from 1; absent for the first. */
  readonly ordinal?: number;
  /** The worker that was lost with the attempt before. */
  readonly lost?: string;
}
