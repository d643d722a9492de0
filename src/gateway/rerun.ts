import { queueFor } from "../core/ability.ts";
import type { Task } from "../core/task.ts";
import type { TaskEnvelope } from "../wire/task-codec.ts";
import { ErrandReply } from "./errand-reply.ts";
import type { ErrandAnswer } from "./errand-reply.ts";
import type { Outcome } from "./exchange.ts";
import type { IntakeHost } from "./intake.ts";

/** What running a task again needs of its gateway. */
export interface RerunHost extends Pick<IntakeHost, "now" | "newTaskId" | "admit" | "accept"> {
  watch(task: string, onOver: (outcome: Outcome) => void): void;
}

/** A dead letter with all that running it again needs. */
export interface Revived {
  /** Model key. */
  readonly model: string;
  readonly task: TaskEnvelope;
  readonly body: Buffer;
}

/** A task that runs again. Both promises always resolve. */
export interface Rerun {
  /** The new task's id. */
  readonly task: string;
  readonly outcome: Promise<Outcome>;
  /** The reply, or what of it was not handed over as it came. */
  readonly answer: Promise<ErrandAnswer>;
  /** Nobody waits for it any more. */
  cancel(): void;
}

/**
 * Sends a task that was given up through its queue once more, as a new task with as long a life as the old one had.
 * Its client is gone: the reply is for whoever asks here. Throws `overloaded` or `queue_full`, like the intake.
 * @param onBytes takes a streamed reply in pieces as it comes
 */
export function rerun(
  host: RerunHost,
  { model, task, body }: Revived,
  onBytes?: (bytes: Buffer) => void,
): Rerun {
  host.admit(model, body.length);
  const reply = new ErrandReply(onBytes);
  const over = Promise.withResolvers<Outcome>();
  const again: Task = { ...task, ...timesFrom(host.now(), task), id: host.newTaskId(), body };
  host.watch(again.id, over.resolve);
  host.accept(again, queueFor(model, task.endpoint), reply);
  return {
    task: again.id,
    outcome: over.promise,
    answer: reply.answer,
    cancel: () => reply.giveUp(499, "given up"),
  };
}

/** True when the letter may go: it was answered, or given up once more and so lies there as a letter of its own. */
export function isSettled({ fault }: Outcome): boolean {
  return fault === undefined || fault.code === "delivery_limit";
}

/** The task's times as if it had been accepted now, ms since 1970. */
function timesFrom(
  now: number,
  { createdAt, deadline, limits }: TaskEnvelope,
): Pick<Task, "createdAt" | "deadline" | "limits"> {
  const later = now - createdAt;
  const times = { createdAt: now, deadline: Math.max(now + 1, deadline + later) };
  if (limits === undefined) return times;
  const queueUntil = limits.queueUntil > 0 ? limits.queueUntil + later : limits.queueUntil;
  return { ...times, limits: { ...limits, queueUntil } };
}
