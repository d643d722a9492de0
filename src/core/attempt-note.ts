import { isCause } from "./cause.ts";
import type { Cause } from "./cause.ts";
import { isObject } from "./json.ts";
import type { Json } from "./json.ts";

/** Describes one attempt that failed. It holds no text of prompt, answer or backend. */
export interface AttemptNote {
  readonly worker: string;
  /** Absent for a lost worker: its backend is unknown. */
  readonly backend?: string | undefined;
  /** A fault code. */
  readonly code: string;
  readonly cause: Cause;
  /** The HTTP status of the code, or the backend's own status. */
  readonly http: number;
  /** Duration from claim to end, ms. Absent for a lost worker. */
  readonly ms?: number | undefined;
  /** True when the backend had received the request, which may have broken it. */
  readonly asked?: boolean | undefined;
}

/** Most notes kept for one request. */
export const MOST_NOTES = 16;

/** Reads a note of a process of any version. Undefined for a malformed one. */
export function readNote(value: Json | undefined): AttemptNote | undefined {
  if (!isObject(value)) return undefined;
  const { worker, backend, code, cause, http, ms, asked } = value;
  if (typeof worker !== "string" || typeof code !== "string") return undefined;
  return {
    worker,
    code,
    cause: isCause(cause) ? cause : "worker",
    http: typeof http === "number" ? http : 0,
    ...(typeof backend === "string" ? { backend } : {}),
    ...(typeof ms === "number" ? { ms } : {}),
    ...(asked === true ? { asked } : {}),
  };
}

/** The note for a worker that was lost with a claimed task. */
export function lostWorkerNote(worker: string): AttemptNote {
  return { worker, code: "worker_lost", cause: "worker", http: 502 };
}

/** True for an attempt that requeued its task, false for a lost worker. */
export function isRequeued({ backend }: AttemptNote): boolean {
  return backend !== undefined;
}

/** A note as one log line: `worker backend code cause`. */
export function noteLine({ worker, backend = "-", code, cause }: AttemptNote): string {
  return `${worker} ${backend} ${code} ${cause}`;
}
