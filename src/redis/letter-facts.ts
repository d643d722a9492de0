import type { AttemptNote } from "../core/attempt-note.ts";
import type { DeadLetter } from "./dead-letters.ts";

/** What people and programs are told of a dead letter: never a word of its prompt. */
export interface LetterFacts {
  readonly id: string;
  /** Ms since 1970, by Redis's clock, when it was given up. */
  readonly at: number;
  readonly model: string;
  /** A fault code, and its message. */
  readonly code: string;
  readonly message: string;
  readonly deliveries: number;
  /** The worker that gave it up. */
  readonly worker: string;
  /** To whom it is put down. */
  readonly cause?: string;
  /** How its attempts failed, as far as is known; the oldest first. */
  readonly attempts?: readonly AttemptNote[];
  /** Absent when what lay in the queue was no task. */
  readonly task?: string;
  readonly request?: string;
  readonly endpoint?: string;
  readonly stream?: boolean;
  /** Ms since 1970, when its gateway accepted it. */
  readonly acceptedAt?: number;
  /** Absent when it was not looked at, or is not kept. */
  readonly bodyBytes?: number | undefined;
}

export function factsOf(letter: DeadLetter): LetterFacts {
  const { id, model, code, message, deliveries, worker, cause, attempts, task } = letter;
  const at = Number(id.split("-")[0]);
  const facts = { id, at, model, code, message, deliveries, worker, cause, attempts };
  if (task === undefined) return facts;
  return {
    ...facts,
    task: task.id,
    request: task.requestId,
    endpoint: task.endpoint,
    stream: task.stream,
    acceptedAt: task.createdAt,
    bodyBytes: task.body?.length,
  };
}
