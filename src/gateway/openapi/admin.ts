import { json, TASK_ERRORS, answersWith } from "./operation.ts";
import type { Answers, Chapter, Operation } from "./operation.ts";
import { boolean, integer, list, object, anyObject, string } from "./schema.ts";
import type { Schema } from "./schema.ts";

/** The actions of admins on the live page. */

const LETTER_NAME: Schema = object(
  { model: string("The key of its queue."), id: string("The id in the list.") },
  ["model", "id"],
);

const WORKER_NAME: Schema = object({ worker: string("The id of the worker.") }, ["worker"]);

const SENT: Answers = answersWith(
  object({ worker: string(), told: string("`drain` or `undrain`.") }, ["worker", "told"]),
  "The command was sent to the worker.",
);

const LETTER: Schema = object(
  {
    id: string(),
    at: integer("Ms since 1970."),
    model: string(),
    code: string("The code of the fault."),
    message: string(),
    deliveries: integer(),
    worker: string(),
    cause: string("The side that caused the fault."),
    attempts: list(anyObject("A failed attempt.")),
    task: string(),
    request: string("The id of the request."),
    endpoint: string(),
    stream: boolean(),
    acceptedAt: integer("Ms since 1970."),
    bodyBytes: integer(),
  },
  ["id", "at", "model", "code", "message", "deliveries", "worker"],
);

const RETRIED: Schema = object(
  {
    task: string(),
    code: string("`ok`, or the code of the fault."),
    status: integer(),
    totalMs: integer(),
    removed: boolean("True when the letter was removed."),
    message: string("The message of the fault."),
  },
  ["task", "code", "status", "totalMs", "removed"],
);

function act(path: string, action: { summary: string; request: Schema; answers: Answers }): Operation {
  const { summary, request, answers } = action;
  const body = { contents: json(request) };
  return { method: "POST", path, tag: "Admin", access: "admin", errors: TASK_ERRORS, summary, body, answers };
}

const OPERATIONS: Chapter["operations"] = [
  {
    method: "GET",
    path: "/admin/dead",
    tag: "Admin",
    summary: "Lists dead letters, the newest first",
    answers: answersWith(
      object({ letters: list(LETTER) }, ["letters"]),
      "The dead letters, without their prompts.",
    ),
    errors: TASK_ERRORS,
    access: "admin",
  },
  act("/admin/dead/retry", {
    summary: "Runs a dead letter again; answers when its task is over",
    request: LETTER_NAME,
    answers: answersWith(RETRIED, "The result."),
  }),
  act("/admin/dead/drop", {
    summary: "Removes a dead letter",
    request: LETTER_NAME,
    answers: answersWith(object({ dropped: boolean() }, ["dropped"]), "True when the letter existed."),
  }),
  act("/admin/workers/drain", {
    summary: "Drains a worker: it finishes its tasks and takes no more",
    request: WORKER_NAME,
    answers: SENT,
  }),
  act("/admin/workers/undrain", { summary: "Ends a drain", request: WORKER_NAME, answers: SENT }),
];

export const ADMIN: Chapter = { operations: OPERATIONS, schemas: {} };
