import type { Json, JsonObject } from "../../core/json.ts";
import type { Dialect } from "../../core/task.ts";
import type { Operation } from "./operation.ts";

/** Headers and keys that many operations share. */

/** The parts of a limit as each dialect's headers name them. Ollama's API has none. */
const LIMIT_HEADERS: Readonly<Record<Dialect, readonly string[]>> = {
  ollama: [],
  openai: ["requests", "tokens"].flatMap((unit) =>
    ["limit", "remaining", "reset"].map((part) => `x-ratelimit-${part}-${unit}`),
  ),
  anthropic: ["requests", "tokens", "input-tokens", "output-tokens"].flatMap((unit) =>
    ["limit", "remaining", "reset"].map((part) => `anthropic-ratelimit-${unit}-${part}`),
  ),
};

/** Descriptions of the parts, by their words. */
const LIMIT_PARTS: Readonly<Record<string, string>> = {
  limit: "Units per minute that the key may use. Absent without such a limit, as are the other two.",
  remaining: "Units that may be used now.",
  reset:
    "The end of the wait until all units of the burst are there again: a duration, or a time in Anthropic's form.",
};

function limitHeader(name: string): Json {
  const part = Object.keys(LIMIT_PARTS).find((word) => name.split("-").includes(word)) ?? "";
  return {
    description: LIMIT_PARTS[part] ?? "",
    schema: part === "reset" ? { type: "string" } : { type: "integer", minimum: 0 },
  };
}

export const COMPONENT_HEADERS: JsonObject = {
  ...Object.fromEntries(
    Object.values(LIMIT_HEADERS)
      .flat()
      .map((name) => [name, limitHeader(name)]),
  ),
  "x-request-id": {
    description: "The id of the request in logs and traces. It is the client's own when that is harmless.",
    schema: { type: "string" },
  },
  "request-id": {
    description: "The same id, under the name that Anthropic's libraries read.",
    schema: { type: "string" },
  },
  "retry-after": {
    description: "Time after which to try again (s).",
    schema: { type: "integer", minimum: 0 },
  },
  "retry-after-ms": {
    description: "The same time, for a request that a limit of its key refused (ms).",
    schema: { type: "integer", minimum: 0 },
  },
  "x-should-retry": {
    description: "`false` when another try is of no use, or not for long. Official clients obey it.",
    schema: { type: "string", enum: ["true", "false"] },
  },
  "x-sgnet-warning": {
    description: "A budget of the key or its tenant is used up, or nearly; the request was served.",
    schema: { type: "string" },
  },
  "x-sgnet-dropped": {
    description: "Comma list of request fields that the backend does not support and that were left out.",
    schema: { type: "string" },
  },
};

/** Returns the names of the headers with the id of a request. */
export function idHeadersIn(dialect: Dialect): readonly string[] {
  return dialect === "anthropic" ? ["x-request-id", "request-id"] : ["x-request-id"];
}

/** Returns the names of the headers that tell of the limits of a key. */
export function limitHeadersIn(dialect: Dialect): readonly string[] {
  return LIMIT_HEADERS[dialect];
}

/** Returns references to headers of an answer, by their names. */
export function headersOf(names: readonly string[]): JsonObject {
  return Object.fromEntries(
    names.map((name): [string, Json] => [name, { $ref: `#/components/headers/${name}` }]),
  );
}

/** Headers of requests that become tasks. */
export const COMPONENT_PARAMETERS: JsonObject = {
  "x-request-id": {
    name: "x-request-id",
    in: "header",
    description: "Id of the request in the answer, in logs and in traces.",
    schema: { type: "string" },
  },
  "x-sgnet-timeouts": {
    name: "x-sgnet-timeouts",
    in: "header",
    description: "Time limits of the client (ms). They count where they are shorter than the gateway's.",
    schema: { type: "string", examples: ["queue=5000, first-token=60000, idle=20000, total=120000"] },
  },
  traceparent: {
    name: "traceparent",
    in: "header",
    description: "The W3C trace of the request.",
    schema: { type: "string" },
  },
};

/** The header that marks clients of Anthropic's API at paths that OpenAI's clients use, too. */
export const SHARED_PARAMETERS: JsonObject = {
  "anthropic-version": {
    name: "anthropic-version",
    in: "header",
    description: "Any value selects Anthropic's form, for errors too. Without it the form is OpenAI's.",
    schema: { type: "string", examples: ["2023-06-01"] },
  },
};

export const SECURITY_SCHEMES: JsonObject = {
  bearer: {
    type: "http",
    scheme: "bearer",
    description:
      "A key with a record, of SGNET_API_KEY or of SGNET_ADMIN_KEY. Requests of admins need the latter, or one with the role admin.",
  },
  apiKey: { type: "apiKey", in: "header", name: "x-api-key", description: "The same keys." },
};

/** Returns the keys that let a request in. An empty list or object means that none is needed. */
export function securityOf({ access }: Operation, needsKey: boolean): Json[] {
  const keys: Json[] = [{ bearer: [] }, { apiKey: [] }];
  if (access === "open") return [];
  return access === "admin" || needsKey ? keys : [...keys, {}];
}
