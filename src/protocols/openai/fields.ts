import { Fault } from "../../core/fault.ts";
import { isObject } from "../../core/json.ts";
import type { Json, JsonObject } from "../../core/json.ts";

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
  return invalid(
    `json: cannot unmarshal ${kindOf(value)} into Go struct field ChatCompletionRequest.${name} of type ${wanted}`,
  );
}

export function invalid(message: string): Fault {
  return new Fault("invalid_request", message);
}

function kindOf(value: Json): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The fields without those that are undefined. The names are the caller's own, never a client's. */
export function present<T extends object>(fields: T): Present<T> {
  const kept: Present<T> = {};
  for (const name of Object.keys(fields) as (keyof T)[]) {
    const value = fields[name];
    if (value !== undefined) kept[name] = value as Exclude<T[keyof T], undefined>;
  }
  return kept;
}
