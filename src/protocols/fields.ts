import { Fault } from "../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../core/json.ts";

/**
 * Reads the fields of a request body, checked, as Ollama's Go decoder does: null counts as unset, and a value
 * of the wrong type is told with the words of `encoding/json`. Every method throws `invalid_request`.
 */
export class Fields {
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
    const value = this.any(name) ?? "";
    return typeof value === "string" ? value : this.#refuse(name, value, "string");
  }

  flag(name: string): boolean | undefined {
    const value = this.any(name);
    if (value === undefined || typeof value === "boolean") return value;
    return this.#refuse(name, value, "bool");
  }

  integer(name: string): number | undefined {
    const value = this.any(name);
    if (value === undefined || (typeof value === "number" && Number.isInteger(value))) return value;
    return this.#refuse(name, value, "int");
  }

  number(name: string): number | undefined {
    const value = this.any(name);
    if (value === undefined || typeof value === "number") return value;
    return this.#refuse(name, value, "float64");
  }

  object(name: string, type: string): JsonObject | undefined {
    const value = this.any(name);
    if (value === undefined || isObject(value)) return value;
    return this.#refuse(name, value, type);
  }

  /** Empty when unset. */
  list(name: string, type: string): readonly Json[] {
    const value = this.any(name) ?? [];
    return Array.isArray(value) ? value : this.#refuse(name, value, type);
  }

  texts(name: string): string[] {
    return this.list(name, "[]string").map((item) =>
      typeof item === "string" ? item : this.#refuse(name, item, "string"),
    );
  }

  integers(name: string): number[] {
    return this.list(name, "[]int").map((item) =>
      Number.isInteger(item) ? (item as number) : this.#refuse(name, item, "int"),
    );
  }

  /** The objects of a list, each with its own path. */
  objects(name: string, type: string): Fields[] {
    return this.list(name, `[]${type}`).map((item) =>
      isObject(item) ? new Fields(item, `${this.#path}.${name}`) : this.#refuse(name, item, type),
    );
  }

  /** An object within this one; one without fields when unset. */
  inner(name: string, type: string): Fields {
    return new Fields(this.object(name, type) ?? {}, `${this.#path}.${name}`);
  }

  /** What is set beyond the fields named. */
  beyond(known: ReadonlySet<string>): JsonObject | undefined {
    const entries = Object.entries(this.#object).filter(
      ([name, value]) => !known.has(name) && value !== null && value !== undefined,
    );
    return entries.length === 0 ? undefined : Object.fromEntries(entries);
  }

  #refuse(name: string, value: Json, type: string): never {
    const field = `${this.#path}.${name}`;
    throw refusal(`json: cannot unmarshal ${goKind(value)} into Go struct field ${field} of type ${type}`);
  }
}

/** The JSON type of a value as Go's decoder calls it. */
export function goKind(value: Json): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
}

/** A request that does not say what it wants in a way that can be understood: 400. */
export function refusal(message: string): Fault {
  return new Fault("invalid_request", message);
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The fields without those that are undefined. The names must be our own, never a client's. */
export function present<T extends object>(fields: T): Present<T> {
  const kept: Present<T> = {};
  for (const name of Object.keys(fields) as (keyof T)[]) {
    const value = fields[name];
    if (value !== undefined) kept[name] = value as Exclude<T[keyof T], undefined>;
  }
  return kept;
}

/** As {@link present}, for a type that is known. */
export function setOnly<T extends object>(fields: { readonly [K in keyof T]: T[K] | undefined }): T {
  return present(fields) as T;
}
