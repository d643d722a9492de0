import type { Json, JsonObject } from "../../core/json.ts";

/** JSON Schema (2020-12), as OpenAPI 3.1 has it, in few words. */
export type Schema = JsonObject;

/** Schemas by the names of an object's members. */
export type Members = Readonly<Record<string, Schema>>;

function told(schema: Schema, description: string): Schema {
  return description === "" ? schema : { ...schema, description };
}

export function text(description = ""): Schema {
  return told({ type: "string" }, description);
}

/** A text that is not empty. */
export function label(description = ""): Schema {
  return told({ type: "string", minLength: 1 }, description);
}

export function integer(description = ""): Schema {
  return told({ type: "integer" }, description);
}

/** A whole number with bounds, both of which it may be. */
export function integerFrom(minimum: number, maximum: number, description = ""): Schema {
  return told({ type: "integer", minimum, maximum }, description);
}

export function number(description = ""): Schema {
  return told({ type: "number" }, description);
}

export function flag(description = ""): Schema {
  return told({ type: "boolean" }, description);
}

/** A value of any type. */
export function anything(description: string): Schema {
  return { description };
}

export function list(items: Schema, description = ""): Schema {
  return told({ type: "array", items }, description);
}

/** A list that is not empty. */
export function some(items: Schema, description = ""): Schema {
  return { ...list(items, description), minItems: 1 };
}

/** One of some texts. */
export function word(values: readonly string[], description = ""): Schema {
  return told({ type: "string", enum: [...values] }, description);
}

export function either(schemas: readonly Schema[], description = ""): Schema {
  return told({ anyOf: [...schemas] }, description);
}

export function nothing(): Schema {
  return { type: "null" };
}

/** A text, or null. */
export function textOrNull(description = ""): Schema {
  return told({ type: ["string", "null"] }, description);
}

export function integerOrNull(description = ""): Schema {
  return told({ type: ["integer", "null"] }, description);
}

/** An object with these members and any others. */
export function object(members: Members, required: readonly string[] = [], description = ""): Schema {
  const shape = { type: "object", properties: { ...members } };
  return told(required.length === 0 ? shape : { ...shape, required: [...required] }, description);
}

/** An object of whatever members. */
export function open(description: string): Schema {
  return { type: "object", description };
}

/** A text of whatever bytes. */
export function bytes(description: string): Schema {
  return { type: "string", format: "binary", description };
}

/** The schema with this name among the document's components. */
export function named(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

/** The body of a request: members that are not required may be null, which is as good as absent. */
export function asked(members: Members, required: readonly string[] = [], description = ""): Schema {
  const entries = Object.entries(members).map(([name, schema]) => [
    name,
    required.includes(name) ? schema : nullable(schema),
  ]);
  return object(Object.fromEntries(entries) as Members, required, description);
}

function nullable(schema: Schema): Schema {
  const { type, enum: values, anyOf, $ref } = schema;
  if (typeof $ref === "string") return { anyOf: [schema, nothing()] };
  if (Array.isArray(anyOf)) return { ...schema, anyOf: [...anyOf, nothing()] };
  if (typeof type !== "string") return schema;
  const widened: Json[] = [type, "null"];
  return { ...schema, type: widened, ...(Array.isArray(values) ? { enum: [...values, null] } : {}) };
}
