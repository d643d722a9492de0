import { Fault } from "../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../core/json.ts";

/**
 * Reads the fields of a client's body and checks their types. null counts as unset. A value of the wrong type is an
 * `invalid_request` in the words of Go's `encoding/json`, as with Ollama.
 */

/** A type of a field. */
interface FieldType<T extends Json> {
  /** The name of the type in Go, for error messages. */
  readonly name: string;
  is(value: Json): value is T;
}

const TEXT: FieldType<string> = { name: "string", is: (value) => typeof value === "string" };
const FLAG: FieldType<boolean> = { name: "bool", is: (value) => typeof value === "boolean" };
const NUMBER: FieldType<number> = { name: "float64", is: (value) => typeof value === "number" };
const INTEGER: FieldType<number> = { name: "int", is: (value): value is number => Number.isInteger(value) };
const OBJECT: FieldType<JsonObject> = { name: "object", is: isObject };
const isList = (value: Json): value is Json[] => Array.isArray(value);
const LIST: FieldType<Json[]> = { name: "array", is: isList };

/** @param path the Go struct of the object, and the fields that lead to it */
function readField<T extends Json>(
  object: JsonObject,
  name: string,
  type: FieldType<T>,
  path: string,
): T | undefined {
  const value = object[name] ?? undefined;
  if (value === undefined || type.is(value)) return value;
  throw typeMismatch(value, `${path}.${name}`, type.name);
}

function typeMismatch(value: Json, field: string, wanted: string): Fault {
  return invalidRequest(
    `json: cannot unmarshal ${goTypeName(value)} into Go struct field ${field} of type ${wanted}`,
  );
}

function goTypeName(value: Json): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
}

/** The fault of a malformed request: 400. */
export function invalidRequest(message: string): Fault {
  return new Fault("invalid_request", message);
}

/** The fields of one object in a body of Ollama's or Anthropic's API. Methods throw `invalid_request`. */
export class BodyFields {
  readonly #object: JsonObject;
  readonly #path: string;

  /** @param path the Go struct and the fields that lead to the object, e.g. `ChatRequest.messages` */
  constructor(object: JsonObject, path: string) {
    this.#object = object;
    this.#path = path;
  }

  /** Undefined when unset or null. */
  any(name: string): Json | undefined {
    return this.#object[name] ?? undefined;
  }

  /** "" when unset. */
  text(name: string): string {
    return readField(this.#object, name, TEXT, this.#path) ?? "";
  }

  flag(name: string): boolean | undefined {
    return readField(this.#object, name, FLAG, this.#path);
  }

  integer(name: string): number | undefined {
    return readField(this.#object, name, INTEGER, this.#path);
  }

  number(name: string): number | undefined {
    return readField(this.#object, name, NUMBER, this.#path);
  }

  object(name: string, type: string): JsonObject | undefined {
    return readField(this.#object, name, { name: type, is: isObject }, this.#path);
  }

  /** Empty when unset. */
  list(name: string, type: string): readonly Json[] {
    return readField(this.#object, name, { name: type, is: isList }, this.#path) ?? [];
  }

  texts(name: string): string[] {
    return this.list(name, "[]string").map((item) => this.#checked(name, item, TEXT));
  }

  integers(name: string): number[] {
    return this.list(name, "[]int").map((item) => this.#checked(name, item, INTEGER));
  }

  /** The objects of a list, each with its own path. */
  objects(name: string, type: string): BodyFields[] {
    const path = `${this.#path}.${name}`;
    return this.list(name, `[]${type}`).map(
      (item) => new BodyFields(this.#checked(name, item, { name: type, is: isObject }), path),
    );
  }

  /** The fields of an object within this one; none when unset. */
  inner(name: string, type: string): BodyFields {
    return new BodyFields(this.object(name, type) ?? {}, `${this.#path}.${name}`);
  }

  /** The fields that are set and not known; undefined for none. */
  others(known: ReadonlySet<string>): JsonObject | undefined {
    const entries = Object.entries(this.#object).filter(
      ([name, value]) => !known.has(name) && value !== null && value !== undefined,
    );
    return entries.length === 0 ? undefined : Object.fromEntries(entries);
  }

  #checked<T extends Json>(name: string, item: Json, type: FieldType<T>): T {
    if (type.is(item)) return item;
    throw typeMismatch(item, `${this.#path}.${name}`, type.name);
  }
}

/** The one struct that Ollama's errors name for all fields of OpenAI's API. */
const OPENAI_STRUCT = "ChatCompletionRequest";

/**
 * Returns a field of a body of OpenAI's API; undefined when unset. This and the next four functions throw
 * `invalid_request`.
 */
export function textField(holder: JsonObject, name: string): string | undefined {
  return readField(holder, name, TEXT, OPENAI_STRUCT);
}

export function numberField(holder: JsonObject, name: string): number | undefined {
  return readField(holder, name, NUMBER, OPENAI_STRUCT);
}

export function flagField(holder: JsonObject, name: string): boolean | undefined {
  return readField(holder, name, FLAG, OPENAI_STRUCT);
}

export function objectField(holder: JsonObject, name: string): JsonObject | undefined {
  return readField(holder, name, OBJECT, OPENAI_STRUCT);
}

export function listField(holder: JsonObject, name: string): readonly Json[] | undefined {
  return readField(holder, name, LIST, OPENAI_STRUCT);
}

/** The fault of a field of OpenAI's API whose value has the wrong type. @param wanted the type in Go */
export function mismatch(name: string, value: Json, wanted: string): Fault {
  return typeMismatch(value, `${OPENAI_STRUCT}.${name}`, wanted);
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Returns the defined fields. Names must be this program's own, never a client's. */
export function definedFields<T extends object>(fields: T): Present<T> {
  const kept: Present<T> = {};
  for (const name of Object.keys(fields) as (keyof T)[]) {
    const value = fields[name];
    if (value !== undefined) kept[name] = value as Exclude<T[keyof T], undefined>;
  }
  return kept;
}

/** Like {@link definedFields}, for a known type. */
export function withoutUndefined<T extends object>(fields: { readonly [K in keyof T]: T[K] | undefined }): T {
  return definedFields(fields) as T;
}
