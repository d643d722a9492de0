import { readKeyNames } from "../core/access/key-names.ts";
import type { KeyNames } from "../core/access/key-names.ts";
import type { AttemptNote } from "../core/attempt-note.ts";
import type { DeadLetter } from "./dead-letters.ts";

/** Facts about a dead letter for people and programs. They contain no part of its prompt. */
export interface LetterFacts extends KeyNames {
  readonly id: string;
  /** Time it was given up, ms since 1970 by Redis's clock. */
  readonly at: number;
  readonly model: string;
  /** Code and message of the fault. */
  readonly code: string;
  readonly message: string;
  readonly deliveries: number;
  /** The worker that gave it up. */
  readonly worker: string;
  /** The party to blame. */
  readonly cause?: string;
  /** Notes on failed attempts as far as known, the oldest first. */
  readonly attempts?: readonly AttemptNote[];
  /** Absent when the queue entry was no task. */
  readonly task?: string;
  readonly request?: string;
  readonly endpoint?: string;
  readonly stream?: boolean;
  /** Time its gateway accepted it, ms since 1970. */
  readonly acceptedAt?: number;
  /** Absent when the body was not read, or has expired. */
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
    ...readKeyNames(task.keyName, task.tenant),
    stream: task.stream,
    acceptedAt: task.createdAt,
    bodyBytes: task.body?.length,
  };
}
