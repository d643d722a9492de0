import { MANAGEMENT_ENDPOINTS } from "../../core/management-endpoint.ts";
import type { ManagementEndpoint } from "../../core/management-endpoint.ts";
import { errorIn } from "./errors.ts";
import { json, TASK_ERRORS, answersWith, answersOrStreams } from "./operation.ts";
import type { Answers, Body, Chapter, Operation } from "./operation.ts";
import { bodyOf, binary, anyOf, boolean, integer, list, named, object, anyObject, string } from "./schema.ts";
import type { Members, Schema } from "./schema.ts";

/** Ollama's API: the models of the fleet, and the requests that change the models of its Ollama servers. */

const DETAILS: Schema = object({
  parent_model: string(),
  format: string(),
  family: string(),
  families: { type: ["array", "null"], items: string() },
  parameter_size: string(),
  quantization_level: string(),
  context_length: integer(),
  embedding_length: integer(),
});

const TIME: Schema = { type: "string", format: "date-time" };

const LISTED: Members = {
  name: string(),
  model: string(),
  size: integer("Bytes."),
  digest: string(),
  details: DETAILS,
};

/** A model, under either of two member names. */
const NAMED: Members = { model: string(), name: string("The older name of `model`.") };

const SCHEMAS: Chapter["schemas"] = {
  OllamaTags: object(
    {
      models: list(
        object({ ...LISTED, modified_at: TIME, capabilities: list(string()) }, ["name", "model", "details"]),
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
      version: string("The version of Ollama whose API this is."),
      stargazer: string("The gateway's own version."),
    },
    ["version"],
  ),
  OllamaStatus: object({ cloud: object({ disabled: boolean(), source: string() }) }, ["cloud"]),
  OllamaShowRequest: bodyOf({ ...NAMED, verbose: boolean() }),
  OllamaShow: object(
    {
      modelfile: string(),
      parameters: string(),
      template: string(),
      details: DETAILS,
      model_info: anyObject("Metadata of the model's file, by its own names."),
      capabilities: list(string()),
      modified_at: TIME,
    },
    ["details", "model_info"],
  ),
  OllamaProgress: object({
    status: string(),
    digest: string(),
    total: integer("Bytes."),
    completed: integer("Bytes."),
    error: string("The reason of a failure, in the last line."),
  }),
  OllamaOrder: bodyOf(
    { ...NAMED, stream: boolean("True for progress as lines; true when absent.") },
    [],
    "Other members are passed on as sent.",
  ),
  OllamaCopyRequest: object({ source: string(), destination: string() }, ["source", "destination"]),
  OllamaDeleteRequest: bodyOf(NAMED),
};

const ADMIN_ERRORS: readonly number[] = TASK_ERRORS;

const DONE: Answers = { 200: { description: "Every server has done it." } };

/** A request for admins, at the method and path of its management endpoint. */
function order(
  endpoint: ManagementEndpoint,
  operation: {
    readonly summary: string;
    readonly body?: Body;
    readonly answers: Answers;
    readonly parameters?: Members;
  },
): Operation {
  const { method, path } = MANAGEMENT_ENDPOINTS[endpoint];
  return {
    ...operation,
    method,
    path: path.endsWith("/") ? `${path}{digest}` : path,
    tag: "Models",
    errors: ADMIN_ERRORS,
    access: "admin",
  };
}

const PROGRESS: Answers = answersOrStreams(named("OllamaProgress"), {
  lines: anyOf([named("OllamaProgress"), errorIn("ollama")]),
});

const ORDER: Body = { contents: json(named("OllamaOrder")) };

const DIGEST: Members = { digest: { type: "string", pattern: "^sha256[:-][0-9a-f]{64}$" } };

const OPERATIONS: Chapter["operations"] = [
  {
    method: "GET",
    path: "/api/tags",
    tag: "Models",
    summary: "Lists the models that workers serve, the newest first",
    answers: answersWith(named("OllamaTags"), "The models."),
  },
  {
    method: "GET",
    path: "/api/ps",
    tag: "Models",
    summary: "Lists the models in memory of all backends",
    answers: answersWith(named("OllamaRunning"), "The models."),
  },
  {
    method: "POST",
    path: "/api/show",
    tag: "Models",
    summary: "Describes a model",
    body: { contents: json(named("OllamaShowRequest")) },
    answers: answersWith(named("OllamaShow"), "The model."),
    errors: TASK_ERRORS,
  },
  {
    method: "GET",
    path: "/api/version",
    tag: "Ollama",
    summary: "Returns the version of Ollama whose API this is",
    answers: answersWith(named("OllamaVersion"), "The versions."),
  },
  {
    method: "GET",
    path: "/api/status",
    tag: "Ollama",
    summary: "Reports that Ollama's cloud is disabled",
    answers: answersWith(named("OllamaStatus"), "It is disabled."),
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
    summary: "Checks that every Ollama server has a blob",
    parameters: DIGEST,
    answers: { 200: { description: "Every server has it." } },
  }),
  order("ollama-blob-put", {
    summary: "Uploads a blob to every Ollama server",
    parameters: DIGEST,
    body: { contents: { "application/octet-stream": binary("The blob.") } },
    answers: {
      200: { description: "Every server had it." },
      201: { description: "A server has created it." },
    },
  }),
];

export const OLLAMA_MODELS: Chapter = { operations: OPERATIONS, schemas: SCHEMAS };
