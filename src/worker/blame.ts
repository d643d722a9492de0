import type { AttemptNote } from "../core/attempt-note.ts";
import type { Cause } from "../core/cause.ts";
import type { Fault } from "../core/fault.ts";
import type { Attempt } from "./attempt.ts";
import type { Strength } from "./streak.ts";

/** Failures that the request itself may cause, when the backend had it. */
const MAYBE_REQUEST: ReadonlySet<string> = new Set([
  "backend_error",
  "backend_lost",
  "backend_unreachable",
  "first_token_timeout",
  "idle_timeout",
]);

/** Where an attempt ran. */
interface Where {
  readonly worker: string;
  readonly backend: string;
}

/**
 * The fault of an attempt, put down to whom it belongs as its worker sees it. A bug in this process is the worker's; a
 * model that the backend lists and does not know is the model's; what two backends failed with is the request's.
 * @param isProven true when the backend is known to be broken already
 */
export function blamed(fault: Fault, attempt: Attempt, where: Where, isProven: boolean): Fault {
  const blame = blameOf(fault, attempt, where, isProven);
  return blame === fault.blame ? fault : fault.blamedOn(blame);
}

function blameOf(fault: Fault, attempt: Attempt, where: Where, isProven: boolean): Cause {
  if (fault.code === "internal") return "worker";
  if (fault.code === "model_not_found" && attempt.outbox.pulse.asked) return "model";
  return !isProven && isPoison(fault, attempt, where) ? "request" : fault.blame;
}

/** True when another backend has failed with the request before, and both had it. */
function isPoison({ code, blame }: Fault, { outbox, earlier }: Attempt, here: Where): boolean {
  if (blame !== "backend" || !MAYBE_REQUEST.has(code) || !outbox.pulse.asked) return false;
  return earlier.some(
    (note) =>
      note.asked === true &&
      note.cause === "backend" &&
      MAYBE_REQUEST.has(note.code) &&
      (note.worker !== here.worker || note.backend !== here.backend),
  );
}

/** How much the failure of an attempt says of its backend; undefined when it says nothing. */
export function strengthOf({ code, blame, http }: Fault, wasAsked: boolean): Strength | undefined {
  if (code === "backend_lost" && blame === "request") return "doubtful";
  if (blame !== "backend" && blame !== "model") return undefined;
  if (code === "connect_timeout" || (code === "backend_unreachable" && !wasAsked)) return "hard";
  const isRefusal = code === "backend_error" && (http < 500 || http === 501);
  return MAYBE_REQUEST.has(code) && !isRefusal ? "soft" : undefined;
}

/** Returns the note on an attempt that failed. @param ms from its claim */
export function noteOf(fault: Fault, attempt: Attempt, where: Where, ms: number): AttemptNote {
  const { code, blame: cause, http } = fault;
  const note = { ...where, code, cause, http, ms: Math.round(ms) };
  return attempt.outbox.pulse.asked ? { ...note, asked: true } : note;
}
