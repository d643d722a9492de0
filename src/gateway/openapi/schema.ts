import type { Json, JsonObject } from "../../core/json.ts";

/** A JSON Schema (2020-12), as OpenAPI 3.1 uses it. The functions below write one in few words. */
export type Schema = JsonObject;

/** Schemas by the names of an object's members. */
export type Members = Readonly<Record<string, Schema>>;

function described(schema: Schema, description: string): Schema {
  return description === "" ? schema : { ...schema, description };
}

export function string(description = ""): Schema {
  return described({ type: "string" }, description);
}

/** A string that is not empty. */
export function nonEmptyString(description = ""): Schema {
  return described({ type: "string", minLength: 1 }, description);
}

export function integer(description = ""): Schema {
  return described({ type: "integer" }, description);
}

/** A whole number between two bounds, both included. */
export function integerFrom(minimum: number, maximum: number, description = ""): Schema {
  return described({ type: "integer", minimum, maximum }, description);
}

export function number(description = ""): Schema {
  return described({ type: "number" }, description);
}

export function boolean(description = ""): Schema {
  return described({ type: "boolean" }, description);
}

/** A value of any type. */
export function anyValue(description: string): Schema {
  return { description };
}

export function list(items: Schema, description = ""): Schema {
  return described({ type: "array", items }, description);
}

/** A list that is not empty. */
export function nonEmptyList(items: Schema, description = ""): Schema {
  return { ...list(items, description), minItems: 1 };
}

/** One of several strings. */
export function enumOf(values: readonly string[], description = ""): Schema {
  return described({ type: "string", enum: [...values] }, description);
}

export function anyOf(schemas: readonly Schema[], description = ""): Schema {
  return described({ anyOf: [...schemas] }, description);
}

export function nullValue(): Schema {
  return { type: "null" };
}

/** A string, or null. */
export function stringOrNull(description = ""): Schema {
  return described({ type: ["string", "null"] }, description);
}

export function integerOrNull(description = ""): Schema {
  return described({ type: ["integer", "null"] }, description);
}

/** An object with these members and any others. */
export function object(members: Members, required: readonly string[] = [], description = ""): Schema {
  const shape = { type: "object", properties: { ...members } };
  return described(required.length === 0 ? shape : { ...shape, required: [...required] }, description);
}

/** An object with any members. */
export function anyObject(description: string): Schema {
  return { type: "object", description };
}

/** A string of any bytes. */
export function binary(description: string): Schema {
  return { type: "string", format: "binary", description };
}

/** The schema with this name among the document's components. */
export function named(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

/** The body of a request, or a part of it. Members that are not required may be null, which counts as absent. */
export function bodyOf(members: Members, required: readonly string[] = [], description = ""): Schema {
  const entries = Object.entries(members).map(([name, schema]) => [
    name,
    required.includes(name) ? schema : nullable(schema),
  ]);
  return object(Object.fromEntries(entries) as Members, required, description);
}

function nullable(schema: Schema): Schema {
  const { type, enum: values, anyOf: alternatives, $ref } = schema;
  if (typeof $ref === "string") return { anyOf: [schema, nullValue()] };
  if (Array.isArray(alternatives)) return { ...schema, anyOf: [...alternatives, nullValue()] };
  if (typeof type !== "string") return schema;
  const widened: Json[] = [type, "null"];
  return { ...schema, type: widened, ...(Array.isArray(values) ? { enum: [...values, null] } : {}) };
}
