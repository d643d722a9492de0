import { Fault } from "../../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";

/**
 * Translates a client's JSON schema into the subset that the grammar builder supports. The builder would read unknown
 * schemas as null. Annotations and numeric bounds are left out. Objects are generated with all their properties, which
 * every schema allows.
 */

/** Most repetitions that the native parser accepts. */
const MAX_REPEAT = 1000;
const MAX_DEPTH = 50;
const TYPES = new Set(["object", "array", "string", "number", "integer", "boolean", "null"]);
const COUNTS = ["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"];
/** Keywords whose constraints no grammar can express. */
const REFUSED = [
  "pattern",
  "not",
  "if",
  "patternProperties",
  "propertyNames",
  "contains",
  "dependentSchemas",
];
const FORMATS = new Set(["date-time", "time", "date"]);
const REFERENCE = /^#\/(?:\$defs|definitions)\/([^/]+)$/;

const ANYTHING: JsonObject = {
  oneOf: [
    { type: ["string", "number", "boolean", "null"] },
    { type: "object", additionalProperties: true },
    { type: "array" },
  ],
};

/** The schema for the grammar builder. Throws `unsupported` for constraints that a grammar cannot express. */
export function grammarSchema(schema: JsonObject): JsonObject {
  const definitions = { ...objectOf(schema["definitions"]), ...objectOf(schema["$defs"]) };
  const reader = new SchemaReader(new Set(Object.keys(definitions)));
  const read = reader.read(schema, 0);
  const defs = Object.entries(definitions).map(([name, entry]) => [name, reader.read(entry ?? {}, 0)]);
  return defs.length === 0 ? read : { ...read, $defs: Object.fromEntries(defs) as JsonObject };
}

class SchemaReader {
  readonly #known: ReadonlySet<string>;

  constructor(known: ReadonlySet<string>) {
    this.#known = known;
  }

  read(schema: Json, depth: number): JsonObject {
    if (depth > MAX_DEPTH) throw refused("nesting this deep");
    if (schema === true) return ANYTHING;
    if (!isObject(schema)) throw refused("a schema that is not an object");
    const keyword = REFUSED.find((name) => Object.hasOwn(schema, name));
    if (keyword !== undefined) throw refused(`"${keyword}"`);
    return this.#readObject(schema, depth + 1);
  }

  #readObject(schema: JsonObject, depth: number): JsonObject {
    if (schema["$ref"] !== undefined) return { $ref: this.#reference(schema["$ref"]) };
    if (schema["const"] !== undefined) return { const: plain(schema["const"]) };
    if (schema["enum"] !== undefined) return { enum: listOf(schema["enum"]).map(plain) };
    const choices = schema["oneOf"] ?? schema["anyOf"];
    if (choices !== undefined) return { oneOf: listOf(choices).map((entry) => this.read(entry, depth)) };
    if (schema["allOf"] !== undefined) return this.#readAllOf(listOf(schema["allOf"]), depth);
    return this.#readTyped(schema, depth);
  }

  #readAllOf(entries: readonly Json[], depth: number): JsonObject {
    const [only] = entries;
    if (only === undefined || entries.length > 1) throw refused('"allOf" with several schemas');
    return this.read(only, depth);
  }

  #readTyped(schema: JsonObject, depth: number): JsonObject {
    const type = schema["type"] ?? impliedType(schema);
    if (type === undefined) return ANYTHING;
    if (Array.isArray(type)) {
      return { oneOf: type.map((each) => this.#readTyped({ ...schema, type: each }, depth)) };
    }
    if (typeof type !== "string" || !TYPES.has(type)) throw refused("an unknown type");
    if (type === "object") return { type, ...countsOf(schema), ...this.#members(schema, depth) };
    if (type === "array") return { type, ...countsOf(schema), ...this.#items(schema, depth) };
    return type === "string" ? { type, ...stringLimits(schema) } : { type };
  }

  #members(schema: JsonObject, depth: number): JsonObject {
    const properties = Object.entries(objectOf(schema["properties"]));
    const rest = schema["additionalProperties"];
    const open = rest ?? properties.length === 0;
    return {
      additionalProperties: typeof open === "boolean" ? open : this.read(open, depth),
      properties: Object.fromEntries(
        properties.map(([name, entry]) => [name, this.read(entry ?? {}, depth)]),
      ),
    };
  }

  #items(schema: JsonObject, depth: number): JsonObject {
    const read: JsonObject = {};
    if (schema["items"] !== undefined) read["items"] = this.read(schema["items"], depth);
    const prefix = schema["prefixItems"];
    if (prefix !== undefined) read["prefixItems"] = listOf(prefix).map((entry) => this.read(entry, depth));
    return read;
  }

  #reference(value: Json): string {
    const name = typeof value === "string" ? REFERENCE.exec(value)?.[1] : undefined;
    if (name === undefined || !this.#known.has(name)) throw refused('a "$ref" beyond the definitions');
    return `#/$defs/${name}`;
  }
}

function impliedType(schema: JsonObject): string | undefined {
  if (schema["properties"] !== undefined || schema["additionalProperties"] !== undefined) return "object";
  return schema["items"] === undefined && schema["prefixItems"] === undefined ? undefined : "array";
}

/** Limits of strings: the builder supports either a format or a length. */
function stringLimits(schema: JsonObject): JsonObject {
  const format = schema["format"];
  return typeof format === "string" && FORMATS.has(format) ? { format } : countsOf(schema);
}

function countsOf(schema: JsonObject): JsonObject {
  const counts: JsonObject = {};
  for (const name of COUNTS) {
    const count = schema[name];
    if (count === undefined) continue;
    if (typeof count !== "number" || !Number.isInteger(count) || count < 0) throw refused(`this "${name}"`);
    if (count > MAX_REPEAT) throw refused(`"${name}" above ${MAX_REPEAT}`);
    counts[name] = count;
  }
  return counts;
}

function plain(value: Json): Json {
  if (typeof value === "object" && value !== null) throw refused('"const" and "enum" of lists and objects');
  return value;
}

function listOf(value: Json): readonly Json[] {
  if (!Array.isArray(value) || value.length === 0) throw refused("an empty list of schemas");
  return value;
}

function objectOf(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

function refused(what: string): Fault {
  return new Fault("unsupported", `The embedded model's format does not support ${what}.`);
}
