import { FAULTS } from "../../core/fault.ts";
import type { JsonObject } from "../../core/json.ts";
import type { Dialect } from "../../core/task.ts";
import { headersOf, idHeadersIn } from "./parts.ts";
import { either, named, object, text, textOrNull } from "./schema.ts";
import type { Schema } from "./schema.ts";

/** How errors are told, in each dialect. */

const FORMS: Readonly<Record<Dialect, { readonly name: string; readonly schema: Schema }>> = {
  ollama: {
    name: "OllamaError",
    schema: object({ error: text("For people.") }, ["error"]),
  },
  openai: {
    name: "OpenAIError",
    schema: object(
      {
        error: object(
          {
            message: text("For people."),
            type: text("The kind, by status: `invalid_request_error`, `not_found_error`, …"),
            param: textOrNull(),
            code: textOrNull("What programs switch on: `model_not_found`, `server_busy`, …"),
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
        error: object({ type: text("The kind, by status."), message: text("For people.") }, [
          "type",
          "message",
        ]),
        request_id: textOrNull(),
      },
      ["type", "error", "request_id"],
    ),
  },
};

/** The error forms of all dialects, by name. */
export const ERROR_SCHEMAS: Readonly<Record<string, Schema>> = Object.fromEntries(
  Object.values(FORMS).map(({ name, schema }) => [name, schema]),
);

/** The form of the errors of a path: `shared` for one whose clients are of OpenAI or of Anthropic. */
export type ErrorForm = Dialect | "shared";

/** The schema of an error in a dialect. */
export function errorIn(dialect: Dialect): Schema {
  return named(FORMS[dialect].name);
}

/** The words before the codes of a status. */
const REASONS: Readonly<Record<number, string>> = {
  400: "The request cannot be done as it is",
  401: "A key is missing or wrong",
  403: "Forbidden: by policy, or (with an empty body) by the Host or Origin header",
  404: "Not found",
  413: "The request is too large",
  415: "The body is compressed, or of another type than the path takes",
  429: "Too many requests",
  500: "The gateway failed",
  501: "No backend of this model offers it",
  502: "The backend or its worker failed",
  503: "Nothing can serve it now",
  504: "It took too long",
};

/** Statuses whose answers say when to come again. */
const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);

export function errorName(form: ErrorForm, status: number): string {
  return `${form === "shared" ? "SharedError" : FORMS[form].name}${status}`;
}

/** The answer with an error of this status, for the components of the document. */
export function errorAnswer(form: ErrorForm, status: number): JsonObject {
  const codes = Object.entries(FAULTS).flatMap(([code, { http }]) =>
    http === status ? [`\`${code}\``] : [],
  );
  const reason = REASONS[status] ?? "An error";
  const ids = idHeadersIn(form === "shared" ? "anthropic" : form);
  const schema = form === "shared" ? either([errorIn("openai"), errorIn("anthropic")]) : errorIn(form);
  return {
    description: codes.length === 0 ? `${reason}.` : `${reason}: ${codes.join(", ")}.`,
    headers: headersOf(RETRYABLE.has(status) ? [...ids, "retry-after"] : ids),
    content: { "application/json": { schema } },
  };
}
