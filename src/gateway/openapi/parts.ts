import type { Json, JsonObject } from "../../core/json.ts";
import type { Dialect } from "../../core/task.ts";
import type { Operation } from "./operation.ts";

/** Headers and keys, which many operations share. */

export const COMPONENT_HEADERS: JsonObject = {
  "x-request-id": {
    description: "The id of the request in logs and traces: the client's own when it sent a harmless one.",
    schema: { type: "string" },
  },
  "request-id": {
    description: "The same, where Anthropic's libraries look for it.",
    schema: { type: "string" },
  },
  "retry-after": {
    description: "Seconds after which to try again.",
    schema: { type: "integer", minimum: 0 },
  },
  "x-sgnet-dropped": {
    description: "Names of what this request asked for and its backend cannot be given, with commas between.",
    schema: { type: "string" },
  },
};

/** The headers with the id of a request. */
export function idHeadersIn(dialect: Dialect): readonly string[] {
  return dialect === "anthropic" ? ["x-request-id", "request-id"] : ["x-request-id"];
}

/** References to headers of an answer, by their names. */
export function headersOf(names: readonly string[]): JsonObject {
  return Object.fromEntries(
    names.map((name): [string, Json] => [name, { $ref: `#/components/headers/${name}` }]),
  );
}

/** Headers of requests for an answer. */
export const COMPONENT_PARAMETERS: JsonObject = {
  "x-request-id": {
    name: "x-request-id",
    in: "header",
    description: "Names the request in the answer, in logs and traces.",
    schema: { type: "string" },
  },
  "x-sgnet-timeouts": {
    name: "x-sgnet-timeouts",
    in: "header",
    description: "For how long the client wants to wait (ms), where that is less than the gateway is set to.",
    schema: { type: "string", examples: ["queue=5000, first-token=60000, idle=20000, total=120000"] },
  },
  traceparent: {
    name: "traceparent",
    in: "header",
    description: "The W3C trace that the request belongs to.",
    schema: { type: "string" },
  },
};

/** The header by which clients of Anthropic's API are known where OpenAI's ask at the same path. */
export const SHARED_PARAMETERS: JsonObject = {
  "anthropic-version": {
    name: "anthropic-version",
    in: "header",
    description: "Any value asks for Anthropic's form, errors too; without it the form is OpenAI's.",
    schema: { type: "string", examples: ["2023-06-01"] },
  },
};

export const SECURITY_SCHEMES: JsonObject = {
  bearer: {
    type: "http",
    scheme: "bearer",
    description: "A key of SGNET_API_KEY, or of SGNET_ADMIN_KEY, which orders of admins need.",
  },
  apiKey: { type: "apiKey", in: "header", name: "x-api-key", description: "The same keys." },
};

/** Which keys let a request in; an empty list or an empty object: none is needed. */
export function securityOf({ access }: Operation, needsKey: boolean): Json[] {
  const keys: Json[] = [{ bearer: [] }, { apiKey: [] }];
  if (access === "open") return [];
  return access === "admin" || needsKey ? keys : [...keys, {}];
}
