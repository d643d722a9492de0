import { queueFor } from "../../core/ability.ts";
import type { Task } from "../../core/task.ts";
import type { TaskEnvelope } from "../../wire/task-codec.ts";
import { ManagementReply } from "../models/management-reply.ts";
import type { ManagementAnswer } from "../models/management-reply.ts";
import type { Outcome } from "../../core/outcome.ts";
import type { TaskSender } from "../requests/assembly.ts";

/** The part of a gateway that runs a task again. */
export type RerunHost = TaskSender;

/** A dead letter with all that a new run needs. */
export interface RerunTask {
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
  /** The whole reply; without the pieces that were passed on as they arrived. */
  readonly answer: Promise<ManagementAnswer>;
  /** Stops it: its answer is no longer wanted. */
  cancel(): void;
}

/**
 * Sends a dead task through its queue once more, as a new task with the lifetime of the old one. Its client is gone: the
 * reply is for the caller.
 * @param onBytes takes a streamed reply in pieces as they arrive
 * @throws Fault `overloaded` or `queue_full`, like intake
 */
export function rerun(
  host: RerunHost,
  { model, task, body }: RerunTask,
  onBytes?: (bytes: Buffer) => void,
): Rerun {
  host.admit(model, body.length);
  const reply = new ManagementReply(onBytes);
  const end = Promise.withResolvers<Outcome>();
  const again: Task = { ...task, ...timesFrom(host.now(), task), id: host.newTaskId(), body };
  host.watch(again.id, end.resolve);
  host.accept(again, queueFor(model, task.endpoint), reply);
  return {
    task: again.id,
    outcome: end.promise,
    answer: reply.answer,
    cancel: () => reply.cancel(499, "given up"),
  };
}

/** Returns true when the old letter can go: the task was answered, or failed again and has a new letter. */
export function isSettled({ fault }: Outcome): boolean {
  return fault === undefined || fault.code === "delivery_limit";
}

/** Returns the task's times as if it had been accepted now (ms since 1970). */
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
