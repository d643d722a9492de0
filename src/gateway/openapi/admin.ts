import { json, TASK_ERRORS, tells } from "./operation.ts";
import type { Answers, Chapter, Operation } from "./operation.ts";
import { flag, integer, list, object, open, text } from "./schema.ts";
import type { Schema } from "./schema.ts";

/** The acts of admins on the live page. */

const LETTER_NAME: Schema = object({ model: text("The key of its queue."), id: text("As listed.") }, [
  "model",
  "id",
]);

const WORKER_NAME: Schema = object({ worker: text("The id of the worker.") }, ["worker"]);

const TOLD: Answers = tells(
  object({ worker: text(), told: text("`drain` or `undrain`.") }, ["worker", "told"]),
  "The worker is told.",
);

const LETTER: Schema = object(
  {
    id: text(),
    at: integer("Ms since 1970."),
    model: text(),
    code: text("The fault's."),
    message: text(),
    deliveries: integer(),
    worker: text(),
    cause: text("The side that it is put down to."),
    attempts: list(open("How an attempt failed.")),
    task: text(),
    request: text("The request's id."),
    endpoint: text(),
    stream: flag(),
    acceptedAt: integer("Ms since 1970."),
    bodyBytes: integer(),
  },
  ["id", "at", "model", "code", "message", "deliveries", "worker"],
);

const RETRIED: Schema = object(
  {
    task: text(),
    code: text("`ok`, or that of the fault."),
    status: integer(),
    totalMs: integer(),
    removed: flag("Whether the letter is gone."),
    message: text("The fault's."),
  },
  ["task", "code", "status", "totalMs", "removed"],
);

function act(path: string, told: { summary: string; asked: Schema; answers: Answers }): Operation {
  const { summary, asked, answers } = told;
  const body = { contents: json(asked) };
  return { method: "POST", path, tag: "Admin", access: "admin", errors: TASK_ERRORS, summary, body, answers };
}

const OPERATIONS: Chapter["operations"] = [
  {
    method: "GET",
    path: "/admin/dead",
    tag: "Admin",
    summary: "Requests that were given up, the newest first",
    answers: tells(object({ letters: list(LETTER) }, ["letters"]), "The dead letters; no word of a prompt."),
    errors: TASK_ERRORS,
    access: "admin",
  },
  act("/admin/dead/retry", {
    summary: "Runs a request again that was given up; answers when it is over",
    asked: LETTER_NAME,
    answers: tells(RETRIED, "How it ended."),
  }),
  act("/admin/dead/drop", {
    summary: "Forgets a request that was given up",
    asked: LETTER_NAME,
    answers: tells(object({ dropped: flag() }, ["dropped"]), "Whether it was there."),
  }),
  act("/admin/workers/drain", {
    summary: "Has a worker finish what it runs and take no more",
    asked: WORKER_NAME,
    answers: TOLD,
  }),
  act("/admin/workers/undrain", { summary: "Undoes a drain", asked: WORKER_NAME, answers: TOLD }),
];

export const ADMIN: Chapter = { operations: OPERATIONS, schemas: {} };
