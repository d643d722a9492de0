import { ERRANDS } from "../../core/errand.ts";
import type { Errand } from "../../core/errand.ts";
import { errorIn } from "./errors.ts";
import { json, TASK_ERRORS, tells, tellsOrStreams } from "./operation.ts";
import type { Answers, Body, Chapter, Operation } from "./operation.ts";
import { asked, bytes, either, flag, integer, list, named, object, open, text } from "./schema.ts";
import type { Members, Schema } from "./schema.ts";

/** Ollama's API: the models of the fleet, and the orders that change those of its Ollama servers. */

const DETAILS: Schema = object({
  parent_model: text(),
  format: text(),
  family: text(),
  families: { type: ["array", "null"], items: text() },
  parameter_size: text(),
  quantization_level: text(),
  context_length: integer(),
  embedding_length: integer(),
});

const TIME: Schema = { type: "string", format: "date-time" };

const LISTED: Members = {
  name: text(),
  model: text(),
  size: integer("Bytes."),
  digest: text(),
  details: DETAILS,
};

/** A model by either of two names of the member. */
const NAMED: Members = { model: text(), name: text("The older name of `model`.") };

const SCHEMAS: Chapter["schemas"] = {
  OllamaTags: object(
    {
      models: list(
        object({ ...LISTED, modified_at: TIME, capabilities: list(text()) }, ["name", "model", "details"]),
      ),
    },
    ["models"],
  ),
  OllamaRunning: object(
    {
      models: list(
        object({ ...LISTED, expires_at: TIME, size_vram: integer("Bytes."), context_length: integer() }, [
          "name",
          "model",
        ]),
      ),
    },
    ["models"],
  ),
  OllamaVersion: object(
    {
      version: text("The version of Ollama's API that is followed."),
      stargazer: text("The gateway's own version."),
    },
    ["version"],
  ),
  OllamaStatus: object({ cloud: object({ disabled: flag(), source: text() }) }, ["cloud"]),
  OllamaShowRequest: asked({ ...NAMED, verbose: flag() }),
  OllamaShow: object(
    {
      modelfile: text(),
      parameters: text(),
      template: text(),
      details: DETAILS,
      model_info: open("Facts of the model's file, by its own names."),
      capabilities: list(text()),
      modified_at: TIME,
    },
    ["details", "model_info"],
  ),
  OllamaProgress: object({
    status: text(),
    digest: text(),
    total: integer("Bytes."),
    completed: integer("Bytes."),
    error: text("Why it broke off: the last line."),
  }),
  OllamaOrder: asked(
    { ...NAMED, stream: flag("Whether progress comes as lines; true when absent.") },
    [],
    "All else is passed on as sent.",
  ),
  OllamaCopyRequest: object({ source: text(), destination: text() }, ["source", "destination"]),
  OllamaDeleteRequest: asked(NAMED),
};

const ADMIN_ERRORS: readonly number[] = TASK_ERRORS;

const DONE: Answers = { 200: { description: "Done by every server that was asked." } };

/** An order for admins, at the method and path that its errand has. */
function order(
  errand: Errand,
  told: {
    readonly summary: string;
    readonly body?: Body;
    readonly answers: Answers;
    readonly parameters?: Members;
  },
): Operation {
  const { method, path } = ERRANDS[errand];
  return {
    ...told,
    method,
    path: path.endsWith("/") ? `${path}{digest}` : path,
    tag: "Models",
    errors: ADMIN_ERRORS,
    access: "admin",
  };
}

const PROGRESS: Answers = tellsOrStreams(named("OllamaProgress"), {
  lines: either([named("OllamaProgress"), errorIn("ollama")]),
});

const ORDER: Body = { contents: json(named("OllamaOrder")) };

const DIGEST: Members = { digest: { type: "string", pattern: "^sha256[:-][0-9a-f]{64}$" } };

const OPERATIONS: Chapter["operations"] = [
  {
    method: "GET",
    path: "/api/tags",
    tag: "Models",
    summary: "Every model that some worker serves, the newest first",
    answers: tells(named("OllamaTags"), "The models."),
  },
  {
    method: "GET",
    path: "/api/ps",
    tag: "Models",
    summary: "The models in memory, of all backends together",
    answers: tells(named("OllamaRunning"), "The models."),
  },
  {
    method: "POST",
    path: "/api/show",
    tag: "Models",
    summary: "Tells what is known of a model",
    body: { contents: json(named("OllamaShowRequest")) },
    answers: tells(named("OllamaShow"), "The model."),
    errors: TASK_ERRORS,
  },
  {
    method: "GET",
    path: "/api/version",
    tag: "Ollama",
    summary: "The version of Ollama's API that is followed",
    answers: tells(named("OllamaVersion"), "The versions."),
  },
  {
    method: "GET",
    path: "/api/status",
    tag: "Ollama",
    summary: "That there is no cloud",
    answers: tells(named("OllamaStatus"), "It is disabled."),
  },
  order("ollama-pull", { summary: "Pulls a model to every Ollama server", body: ORDER, answers: PROGRESS }),
  order("ollama-push", { summary: "Pushes a model from one Ollama server", body: ORDER, answers: PROGRESS }),
  order("ollama-create", {
    summary: "Creates a model on every Ollama server",
    body: ORDER,
    answers: PROGRESS,
  }),
  order("ollama-copy", {
    summary: "Copies a model on every Ollama server that has it",
    body: { contents: json(named("OllamaCopyRequest")) },
    answers: DONE,
  }),
  order("ollama-delete", {
    summary: "Deletes a model from every Ollama server that has it",
    body: { contents: json(named("OllamaDeleteRequest")) },
    answers: DONE,
  }),
  order("ollama-blob-look", {
    summary: "Whether every Ollama server has a blob",
    parameters: DIGEST,
    answers: { 200: { description: "Every server has it." } },
  }),
  order("ollama-blob-put", {
    summary: "Puts a blob on every Ollama server",
    parameters: DIGEST,
    body: { contents: { "application/octet-stream": bytes("The blob.") } },
    answers: {
      200: { description: "Every server had it." },
      201: { description: "A server had to make it." },
    },
  }),
];

export const OLLAMA_MODELS: Chapter = { operations: OPERATIONS, schemas: SCHEMAS };
