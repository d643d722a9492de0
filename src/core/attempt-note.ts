import { isCause } from "./cause.ts";
import type { Cause } from "./cause.ts";
import { isObject } from "./json.ts";
import type { Json } from "./json.ts";

/** Tells of one attempt that did not answer. It has no word of prompt or answer, and none of a backend's own. */
export interface AttemptNote {
  readonly worker: string;
  /** Absent for a worker that was lost: its backend is unknown. */
  readonly backend?: string | undefined;
  /** A fault code. */
  readonly code: string;
  readonly cause: Cause;
  /** The HTTP status that goes with the code; a backend's own status is kept. */
  readonly http: number;
  /** From its claim to its end, ms; absent for a worker that was lost. */
  readonly ms?: number | undefined;
  /** True when the backend had the request: it may be what broke it. */
  readonly asked?: boolean | undefined;
}

/** Most notes kept of one request. */
export const MOST_NOTES = 16;

/** A note as it comes from a process of any version; undefined for what is none. */
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

/** The note on behalf of a worker that was lost with a task in its hands. */
export function lostNote(worker: string): AttemptNote {
  return { worker, code: "worker_lost", cause: "worker", http: 502 };
}

/** True for the note of an attempt that gave its task back to the queue, false for that of a lost worker. */
export function isHandBack({ backend }: AttemptNote): boolean {
  return backend !== undefined;
}

/** A note in one line, for logs: `worker backend code cause`. */
export function noteLine({ worker, backend = "-", code, cause }: AttemptNote): string {
  return `${worker} ${backend} ${code} ${cause}`;
}
