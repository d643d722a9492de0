import { FAULTS } from "../../core/fault.ts";
import type { JsonObject } from "../../core/json.ts";
import type { Dialect } from "../../core/task.ts";
import { headersOf, idHeadersIn } from "./parts.ts";
import { anyOf, named, object, string, stringOrNull } from "./schema.ts";
import type { Schema } from "./schema.ts";

/** The forms of errors in each dialect. */

const FORMS: Readonly<Record<Dialect, { readonly name: string; readonly schema: Schema }>> = {
  ollama: {
    name: "OllamaError",
    schema: object({ error: string("For people.") }, ["error"]),
  },
  openai: {
    name: "OpenAIError",
    schema: object(
      {
        error: object(
          {
            message: string("For people."),
            type: string("The kind, by status: `invalid_request_error`, `not_found_error`, …"),
            param: stringOrNull(),
            code: stringOrNull("A stable code for programs: `model_not_found`, `server_busy`, …"),
          },
          ["message", "type", "param", "code"],
        ),
      },
      ["error"],
    ),
  },
  anthropic: {
    name: "AnthropicError",
    schema: object(
      {
        type: { const: "error" },
        error: object({ type: string("The kind, by status."), message: string("For people.") }, [
          "type",
          "message",
        ]),
        request_id: stringOrNull(),
      },
      ["type", "error", "request_id"],
    ),
  },
};

/** The error forms of all dialects, by name. */
export const ERROR_SCHEMAS: Readonly<Record<string, Schema>> = Object.fromEntries(
  Object.values(FORMS).map(({ name, schema }) => [name, schema]),
);

/** The form of the errors of a path: `shared` for one that clients of OpenAI and of Anthropic use. */
export type ErrorForm = Dialect | "shared";

/** The schema of an error in a dialect. */
export function errorIn(dialect: Dialect): Schema {
  return named(FORMS[dialect].name);
}

/** The text before the codes of a status. */
const REASONS: Readonly<Record<number, string>> = {
  400: "The request is invalid",
  401: "A key is missing or wrong",
  403: "Forbidden: by policy, or (with an empty body) by the Host or Origin header",
  404: "Not found",
  409: "The record has changed meanwhile, or its name is taken",
  413: "The request is too large",
  415: "The body is compressed, or its type does not fit the path",
  429: "Too many requests",
  500: "The gateway failed",
  501: "No backend of this model has the endpoint",
  502: "The backend or its worker failed",
  503: "The request cannot be served now",
  504: "A time limit has passed",
};

/** Statuses whose answers have `Retry-After`. */
const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);

export function errorName(form: ErrorForm, status: number): string {
  return `${form === "shared" ? "SharedError" : FORMS[form].name}${status}`;
}

function retryHeadersOf(status: number): readonly string[] {
  if (status === 429) return ["retry-after", "retry-after-ms", "x-should-retry"];
  return RETRYABLE.has(status) ? ["retry-after"] : [];
}

/** The answer with an error of this status, for the components of the document. */
export function errorAnswer(form: ErrorForm, status: number): JsonObject {
  const codes = Object.entries(FAULTS).flatMap(([code, { http }]) =>
    http === status ? [`\`${code}\``] : [],
  );
  const reason = REASONS[status] ?? "An error";
  const ids = idHeadersIn(form === "shared" ? "anthropic" : form);
  const schema = form === "shared" ? anyOf([errorIn("openai"), errorIn("anthropic")]) : errorIn(form);
  return {
    description: codes.length === 0 ? `${reason}.` : `${reason}: ${codes.join(", ")}.`,
    headers: headersOf([...ids, ...retryHeadersOf(status)]),
    content: { "application/json": { schema } },
  };
}
