import type { AttemptNote } from "./attempt-note.ts";
import type { FaultRecord } from "./fault.ts";
import type { Usage } from "./usage.ts";

/**
 * A frame is one record of a reply stream. Frames of a task are ordered by (attempt, seq). The id of the stream entry
 * is `<attempt>-<seq>`, so Redis itself rejects an old attempt and a repeated seq.
 */
export interface Frame {
  readonly task: string;
  /** One run of the task by one worker. A later attempt has a larger number. */
  readonly attempt: number;
  /** 1, 2, 3, … within the attempt, without gaps. */
  readonly seq: number;
  /** Present on seq 1 only: status and content type of the reply. */
  readonly head?: FrameHead | undefined;
  /** Bytes for the client in its own dialect; may be empty. */
  readonly bytes: Buffer;
  /** Present on the last frame of an attempt only. */
  readonly end?: FrameEnd | undefined;
  /**
   * Present on seq 0 only, which is no part of the reply: the failure of an earlier, requeued attempt. The frame's
   * attempt is one more than that attempt, which it fences.
   */
  readonly note?: AttemptNote | undefined;
}

export interface FrameHead {
  readonly status: number;
  readonly contentType: string;
  /** The worker that runs the attempt, and gets a cancel. */
  readonly worker: string;
  /** The client's fields that the translation left out. Absent: none. */
  readonly dropped?: readonly string[];
}

export interface FrameEnd {
  /** Absent when the answer is complete. */
  readonly fault?: FaultRecord;
  readonly usage?: Usage;
  /** Ms from the claim to the backend's first byte, and to its last byte. */
  readonly firstByteMs?: number;
  readonly totalMs?: number;
  /** The backend that received the request. Absent: none did. */
  readonly backend?: string;
  /** The number of this attempt, from 1. Absent: 1. */
  readonly ordinal?: number;
  /** The worker that was lost with the previous attempt. */
  readonly lost?: string;
}
