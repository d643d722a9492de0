import type { AttemptNote } from "../core/attempt-note.ts";
import type { Cause } from "../core/cause.ts";
import type { Fault } from "../core/fault.ts";
import type { Attempt } from "./attempt.ts";
import type { SlotLease } from "./slot-lease.ts";
import type { Strength } from "./streak.ts";

/** Failures that the request itself may cause, when the backend received it. */
const MAYBE_REQUEST: ReadonlySet<string> = new Set([
  "backend_error",
  "backend_lost",
  "backend_unreachable",
  "first_token_timeout",
  "idle_timeout",
]);

/** The worker and the backend of an attempt. */
interface Where {
  readonly worker: string;
  readonly backend: string;
}

/**
 * Returns the fault of an attempt with the cause that its worker sees. A bug in this process is the worker's. A model
 * that the backend lists and does not know is the model's. A failure that two backends had is the request's.
 * @param isProven true when the backend is known to be broken already
 */
export function blamed(fault: Fault, attempt: Attempt, where: Where, isProven: boolean): Fault {
  const blame = blameOf(fault, attempt, where, isProven);
  return blame === fault.blame ? fault : fault.blamedOn(blame);
}

function blameOf(fault: Fault, attempt: Attempt, where: Where, isProven: boolean): Cause {
  if (fault.code === "internal") return "worker";
  if (fault.code === "model_not_found" && attempt.outbox.progress.wasSent) return "model";
  return !isProven && isPoison(fault, attempt, where) ? "request" : fault.blame;
}

/** True when another backend has failed with the request before, and both received it. */
function isPoison({ code, blame }: Fault, { outbox, earlier }: Attempt, here: Where): boolean {
  if (blame !== "backend" || !MAYBE_REQUEST.has(code) || !outbox.progress.wasSent) return false;
  return earlier.some(
    (note) =>
      note.asked === true &&
      note.cause === "backend" &&
      MAYBE_REQUEST.has(note.code) &&
      (note.worker !== here.worker || note.backend !== here.backend),
  );
}

/** Returns the strength of a failure as evidence against its backend; undefined when it is none. */
export function strengthOf({ code, blame, http }: Fault, wasSent: boolean): Strength | undefined {
  if (code === "backend_lost" && blame === "request") return "doubtful";
  if (blame !== "backend" && blame !== "model") return undefined;
  if (code === "connect_timeout" || (code === "backend_unreachable" && !wasSent)) return "hard";
  const isRejected = code === "backend_error" && (http < 500 || http === 501);
  return MAYBE_REQUEST.has(code) && !isRejected ? "soft" : undefined;
}

/** Reports to the lease of an attempt that failed what its fault says of the backend. */
export function judgeBackend(lease: SlotLease, attempt: Attempt, fault: Fault): void {
  if (!lease.backendSlots.announced) return;
  const { outbox, client, endpoint } = attempt;
  const { wasSent } = outbox.progress;
  const strength = strengthOf(fault, wasSent);
  if (fault.code === "backend_busy") lease.busy(1000 * (fault.statedRetryAfter ?? 0));
  // A reply that breaks off in the middle is often cut by a proxy between the two.
  else if (strength !== undefined && !outbox.begun) lease.failed({ strength, client, endpoint });
  // The backend's own refusal shows that it works. Other refusals may come from elsewhere.
  else if (isRefusal(fault, wasSent)) lease.succeeded();
}

function isRefusal({ code, http }: Fault, wasSent: boolean): boolean {
  if (code === "backend_error") return http < 500 || http === 501;
  return code === "model_not_found" || (code === "not_implemented" && wasSent);
}

/**
 * Reports an attempt without an answer to its lease, when that may have stopped the load of its model. A request that
 * was never sent, or that the backend refused, stopped none.
 */
export function judgeLoad(lease: SlotLease, attempt: Attempt, fault: Fault): void {
  const isStopped = attempt.stopReason !== undefined || fault.blame !== "request";
  if (isStopped && attempt.outbox.progress.wasSent) lease.loadFailed();
}

/** Returns the note on an attempt that failed. @param ms time from its claim (ms) */
export function noteOf(fault: Fault, attempt: Attempt, where: Where, ms: number): AttemptNote {
  const { code, blame: cause, http } = fault;
  const note = { ...where, code, cause, http, ms: Math.round(ms) };
  return attempt.outbox.progress.wasSent ? { ...note, asked: true } : note;
}
