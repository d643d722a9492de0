/** Longest name of a function that OpenAI's API takes, in characters. */
const LONGEST = 64;

/**
 * Gives unique names to tools that a client tells apart by more than a name. The same order of asking gives the same
 * names: a second reader of a body finds them again.
 */
export class FlatNames {
  readonly #taken = new Set<string>();
  /** The number to try next, by the name that was wanted. */
  readonly #next = new Map<string, number>();

  /** Makes a name unavailable; false when it already was. */
  take(name: string): boolean {
    if (this.#taken.has(name)) return false;
    this.#taken.add(name);
    return true;
  }

  /** A name of letters, digits, `_` and `-` that no other tool has: the one wanted when it can be had. */
  give(wanted: string): string {
    const plain = wanted.replace(/[^\w-]/g, "_").slice(0, LONGEST);
    if (this.take(plain)) return plain;
    for (let number = this.#next.get(plain) ?? 2; ; number += 1) {
      const name = `${plain.slice(0, LONGEST - 1 - String(number).length)}_${number}`;
      if (!this.take(name)) continue;
      this.#next.set(plain, number + 1);
      return name;
    }
  }
}

/** A name within a namespace as one name, as agents of the field write it: `mcp__server__tool`. */
export function joinNames(namespace: string | undefined, name: string): string {
  if (namespace === undefined || namespace === "") return name;
  return namespace.endsWith("__") ? namespace + name : `${namespace}__${name}`;
}
