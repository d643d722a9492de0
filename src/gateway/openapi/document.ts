import type { Json, JsonObject } from "../../core/json.ts";
import { dialectOfPath } from "../http/reply-headers.ts";
import { ACCESS } from "./access.ts";
import { ADMIN } from "./admin.ts";
import { ANTHROPIC } from "./anthropic.ts";
import { ERROR_SCHEMAS, errorAnswer, errorName } from "./errors.ts";
import type { ErrorForm } from "./errors.ts";
import { livePageChapter } from "./live-page.ts";
import type { PageFile } from "./live-page.ts";
import { OLLAMA_MODELS } from "./ollama-models.ts";
import { OLLAMA } from "./ollama.ts";
import { RESPONSES } from "./openai-responses.ts";
import { RELAYED_FORMS } from "./relayed-forms.ts";
import { RELAYED } from "./relayed.ts";
import { OPENAI } from "./openai.ts";
import { TAGS } from "./operation.ts";
import type { Chapter, Contents, Operation } from "./operation.ts";
import { OWN } from "./own.ts";
import { COMPONENT_HEADERS, COMPONENT_PARAMETERS, headersOf, idHeadersIn, limitHeadersIn } from "./parts.ts";
import { SECURITY_SCHEMES, securityOf, SHARED_PARAMETERS } from "./parts.ts";

/**
 * The chapters that are the same for every gateway. A test fails for a path that is served and not described, and the
 * other way round.
 */
export const CHAPTERS: readonly Chapter[] = [
  OLLAMA,
  OLLAMA_MODELS,
  OPENAI,
  RESPONSES,
  RELAYED,
  RELAYED_FORMS,
  ANTHROPIC,
  OWN,
  ACCESS,
  ADMIN,
];

/** The facts that differ between gateways. */
export interface Described {
  readonly version: string;
  /** True when clients need a key. */
  readonly needsKey: boolean;
  readonly pageFiles: readonly PageFile[];
}

/** Statuses of the guard, and of a gateway with too many connections. */
const GUARD_ERRORS = [403, 503] as const;

/** The OpenAPI document of a gateway. */
export function openApi(gateway: Described, fixed: readonly Chapter[] = CHAPTERS): JsonObject {
  const chapters = [...fixed, livePageChapter(gateway.pageFiles)];
  const described = withHeads(chapters.flatMap(({ operations }) => operations));
  return {
    openapi: "3.1.0",
    info: {
      title: "Stargazer Network Gateway",
      version: gateway.version,
      summary: "One address in front of many LLM servers, in the dialects of Ollama, OpenAI and Anthropic",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths: pathsOf(described, gateway),
    components: {
      schemas: schemasOf(chapters),
      responses: responsesOf(described),
      parameters: { ...COMPONENT_PARAMETERS, ...SHARED_PARAMETERS },
      headers: COMPONENT_HEADERS,
      securitySchemes: SECURITY_SCHEMES,
    },
  };
}

function schemasOf(chapters: readonly Chapter[]): JsonObject {
  const named = chapters.flatMap((chapter) => Object.entries(chapter.schemas));
  return Object.fromEntries([...Object.entries(ERROR_SCHEMAS), ...named]);
}

/** Adds HEAD to each GET. */
function withHeads(operations: readonly Operation[]): readonly Operation[] {
  return operations.flatMap((operation) =>
    operation.method === "GET" ? [operation, headOf(operation)] : [operation],
  );
}

function headOf(operation: Operation): Operation {
  const answers = Object.entries(operation.answers).map(([status, { description }]) => [
    status,
    { description },
  ]);
  return {
    ...operation,
    method: "HEAD",
    summary: `The head of GET: ${operation.summary}`,
    answers: Object.fromEntries(answers) as Operation["answers"],
  };
}

function pathsOf(operations: readonly Operation[], gateway: Described): JsonObject {
  const paths: Record<string, JsonObject> = {};
  for (const operation of operations) {
    const path = (paths[operation.path] ??= {});
    path[operation.method.toLowerCase()] = operationOf(operation, gateway);
  }
  return paths;
}

function operationOf(operation: Operation, gateway: Described): JsonObject {
  const { tag, summary, description, body } = operation;
  const parameters = parametersOf(operation);
  return {
    operationId: idOf(operation),
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: { ...bodyOf(body), required: true } }),
    responses: { ...answersOf(operation), ...errorsOf(operation) },
    security: securityOf(operation, gateway.needsKey),
  };
}

/** `GET /v1/models/{id}` is `getV1ModelsId`. */
function idOf({ method, path }: Operation): string {
  const words = path.split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
  const capitals = words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1));
  return method.toLowerCase() + (capitals.length === 0 ? "Root" : capitals.join(""));
}

function parametersOf({ parameters = {}, query = {}, isTask, isShared }: Operation): Json[] {
  const inPath = Object.entries(parameters).map(([name, schema]): Json => ({
    name,
    in: "path",
    required: true,
    schema,
  }));
  const inQuery = Object.entries(query).map(([name, schema]): Json => ({ name, in: "query", schema }));
  const headers = isTask === true ? Object.keys(COMPONENT_PARAMETERS) : ["x-request-id"];
  const names = isShared === true ? [...headers, ...Object.keys(SHARED_PARAMETERS)] : headers;
  return [...inPath, ...inQuery, ...names.map((name): Json => ({ $ref: `#/components/parameters/${name}` }))];
}

function bodyOf({ description, contents }: NonNullable<Operation["body"]>): JsonObject {
  return { ...(description === undefined ? {} : { description }), content: contentOf(contents) };
}

function contentOf(contents: Contents): JsonObject {
  return Object.fromEntries(Object.entries(contents).map(([type, schema]) => [type, { schema }]));
}

function answersOf({ path, answers, isTask, isShared }: Operation): JsonObject {
  const dialect = isShared === true ? "anthropic" : dialectOfPath(path);
  const ids = idHeadersIn(dialect);
  const ofTask = ["x-sgnet-dropped", "x-sgnet-warning", ...limitHeadersIn(dialect)];
  const headers = headersOf(isTask === true ? [...ids, ...ofTask] : ids);
  const described = Object.entries(answers).map(([status, { description, contents }]): [string, Json] => {
    return [
      status,
      { description, headers, ...(contents === undefined ? {} : { content: contentOf(contents) }) },
    ];
  });
  return Object.fromEntries(described);
}

function errorStatuses({ errors = [], access, answers }: Operation): readonly number[] {
  const statuses = [...errors, ...GUARD_ERRORS, ...(access === "open" ? [] : [401])];
  return [...new Set(statuses)].filter((status) => !Object.hasOwn(answers, status)).toSorted((a, b) => a - b);
}

function formOf({ path, isShared }: Operation): ErrorForm {
  return isShared === true ? "shared" : dialectOfPath(path);
}

function errorsOf(operation: Operation): JsonObject {
  const form = formOf(operation);
  const refs = errorStatuses(operation).map((status): [string, Json] => [
    String(status),
    { $ref: `#/components/responses/${errorName(form, status)}` },
  ]);
  return Object.fromEntries(refs);
}

/** The errors that operations refer to. */
function responsesOf(operations: readonly Operation[]): JsonObject {
  const found: JsonObject = {};
  for (const operation of operations) {
    const form = formOf(operation);
    for (const status of errorStatuses(operation)) {
      found[errorName(form, status)] ??= errorAnswer(form, status);
    }
  }
  return found;
}
