import type { Fault } from "../../core/fault.ts";
import { isObject } from "../../core/json.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import { goKind, refusal } from "../fields.ts";

/**
 * Reading of optional fields of a client's body. null counts as absent. A wrong type is an `invalid_request`
 * with the phrase Ollama's Go decoder uses.
 */

export function textField(holder: JsonObject, name: string): string | undefined {
  const value = holder[name] ?? undefined;
  if (value === undefined || typeof value === "string") return value;
  throw mismatch(name, value, "string");
}

export function numberField(holder: JsonObject, name: string): number | undefined {
  const value = holder[name] ?? undefined;
  if (value === undefined || typeof value === "number") return value;
  throw mismatch(name, value, "float64");
}

export function flagField(holder: JsonObject, name: string): boolean | undefined {
  const value = holder[name] ?? undefined;
  if (value === undefined || typeof value === "boolean") return value;
  throw mismatch(name, value, "bool");
}

export function objectField(holder: JsonObject, name: string): JsonObject | undefined {
  const value = holder[name] ?? undefined;
  if (value === undefined || isObject(value)) return value;
  throw mismatch(name, value, "object");
}

export function listField(holder: JsonObject, name: string): readonly Json[] | undefined {
  const value = holder[name] ?? undefined;
  if (value === undefined || Array.isArray(value)) return value;
  throw mismatch(name, value, "array");
}

/** The fault of a field whose value has the wrong JSON type. */
export function mismatch(name: string, value: Json, wanted: string): Fault {
  return refusal(
    `json: cannot unmarshal ${goKind(value)} into Go struct field ChatCompletionRequest.${name} of type ${wanted}`,
  );
}
