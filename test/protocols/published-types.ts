import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Json, JsonObject } from "../../src/core/json.ts";

/**
 * Reads the types that a vendor's library publishes, and makes an example of each member of a union. Only the forms that
 * these generated files have are understood.
 */

type Declared =
  | { readonly kind: "union"; readonly text: string }
  | {
      readonly kind: "object";
      readonly members: ReadonlyMap<string, Member>;
      readonly bases: readonly string[];
    };

interface Member {
  readonly text: string;
  readonly isOptional: boolean;
}

/** An example of one member of a union. */
export interface Example {
  /** Its name in the library. */
  readonly name: string;
  readonly value: JsonObject;
}

/** The text in all examples, which the tests search for. */
export const WORD = "marked";

const MODULES = join(import.meta.dirname, "../../node_modules");
const DEEPEST = 6;

export class PublishedTypes {
  readonly #declared = new Map<string, Declared>();

  /** @param files below `node_modules`; the first of two with one name counts */
  constructor(files: readonly string[], folder: string = MODULES) {
    for (const file of files) this.#read(readFileSync(join(folder, file), "utf8"));
  }

  /** An example of each object in a union, with its required members, or with all. */
  examples(name: string, isFull: boolean): Example[] {
    return this.#objects(name).map((one) => ({ name: one, value: this.#object(one, isFull, DEEPEST) }));
  }

  /** The members of an object with an example of each. */
  members(name: string): JsonObject {
    return this.#object(name, true, DEEPEST);
  }

  #read(source: string): void {
    const text = source.replaceAll(/\/\*[\s\S]*?\*\//g, "");
    let space = "";
    for (let line of text.split(/^(?=(?: {4})?(?:export|interface) )/m)) {
      const isInner = line.startsWith(" ");
      line = line.trim();
      const opened = /^export declare namespace ([\w.]+) \{/.exec(line);
      if (opened !== null) space = opened[1] ?? "";
      const declaration = /^(?:export )?(type|interface) (\w+)/.exec(line);
      if (declaration === null) continue;
      const [, kind, own = ""] = declaration;
      const name = isInner && space !== "" ? `${space}.${own}` : own;
      if (!this.#declared.has(name)) this.#declared.set(name, kind === "type" ? alias(line) : object(line));
    }
  }

  #find(name: string): [string, Declared] | undefined {
    const found = this.#declared.get(name);
    if (found !== undefined) return [name, found];
    const inner = name.includes(".") ? name.slice(name.indexOf(".") + 1) : "";
    return inner === "" ? undefined : this.#find(inner);
  }

  /** The names of the objects that a union is made of, those of unions within it too. */
  #objects(name: string): string[] {
    const [own, declared] = this.#find(name) ?? ["", undefined];
    if (declared === undefined) return [];
    if (declared.kind === "object") return [own];
    return parts(declared.text, "|").flatMap((one) => this.#objects(one));
  }

  #object(name: string, isFull: boolean, depth: number): JsonObject {
    const [, declared] = this.#find(name) ?? ["", undefined];
    if (declared?.kind !== "object") throw new Error(`${name} is no object`);
    const based = declared.bases.map((base) => this.#object(base, isFull, depth));
    const entries = [...declared.members]
      .filter(([, { isOptional }]) => isFull || !isOptional)
      .map(([member, { text }]) => [member, this.#example(text, isFull && depth > DEEPEST - 2, depth - 1)]);
    return Object.assign({}, ...based, Object.fromEntries(entries)) as JsonObject;
  }

  #example(text: string, isFull: boolean, depth: number): Json {
    const first = parts(text, "|").find((one) => one !== "null" && one !== "undefined") ?? "";
    const literal = /^'(.*)'$/.exec(first);
    if (literal !== null) return literal[1] ?? "";
    const list = /^(?:Readonly)?Array<(.*)>$/s.exec(first);
    if (list !== null) return depth <= 0 ? [] : [this.#example(list[1] ?? "", isFull, depth - 1)];
    const plain = PLAIN.get(first);
    if (plain !== undefined) return plain;
    const [name, declared] = this.#find(first.replace(/<.*$/s, "")) ?? ["", undefined];
    if (declared === undefined || depth <= 0) return {};
    return declared.kind === "object"
      ? this.#object(name, isFull, depth)
      : this.#example(declared.text, isFull, depth);
  }
}

const PLAIN: ReadonlyMap<string, Json> = new Map<string, Json>([
  ["string", WORD],
  ["number", 1],
  ["boolean", true],
  ["true", true],
  ["false", false],
]);

function alias(line: string): Declared {
  const text = line.slice(line.indexOf("=") + 1).replace(/;\s*$/, "");
  return { kind: "union", text: text.split(/;\n/)[0] ?? "" };
}

function object(line: string): Declared {
  const open = line.indexOf("{");
  const bases = /extends ([\w., ]+)/.exec(line.slice(0, open))?.[1]?.split(",") ?? [];
  const members = new Map<string, Member>();
  const body = line.slice(open + 1, line.lastIndexOf("}"));
  for (const part of parts(body, ";")) {
    const found = /^(\w+)(\??):\s*([\s\S]*)$/.exec(part);
    if (found === null) continue;
    const [, name = "", mark, text = ""] = found;
    members.set(name, { text, isOptional: mark === "?" });
  }
  return {
    kind: "object",
    members,
    bases: bases.map((base) => base.trim()).filter((base) => base !== "Omit"),
  };
}

/** The pieces of a text between separators that stand in no bracket. */
function parts(text: string, separator: "|" | ";"): string[] {
  const found: string[] = [];
  let [depth, start] = [0, 0];
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charAt(at);
    if ("<({[".includes(char)) depth += 1;
    if (">)}]".includes(char) && text.charAt(at - 1) !== "=") depth -= 1;
    if (char !== separator || depth > 0) continue;
    found.push(text.slice(start, at));
    start = at + 1;
  }
  return [...found, text.slice(start)].map((one) => one.trim()).filter((one) => one !== "");
}
