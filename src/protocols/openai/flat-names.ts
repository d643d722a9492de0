/** Longest name of a function in OpenAI's API, in characters. */
const LONGEST = 64;

/**
 * Gives unique names to tools that have more than a name, such as a namespace. The same order of calls gives the same
 * names, so a second reader of a body finds them again.
 */
export class FlatNames {
  readonly #taken = new Set<string>();
  /** The next number to try, by wanted name. */
  readonly #next = new Map<string, number>();

  /** Reserves a name. False when it was taken. */
  take(name: string): boolean {
    if (this.#taken.has(name)) return false;
    this.#taken.add(name);
    return true;
  }

  /** Returns an unused name of letters, digits, `_` and `-`: the wanted one if possible. */
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

/** Joins namespace and name, in the common form of agents: `mcp__server__tool`. */
export function joinNames(namespace: string | undefined, name: string): string {
  if (namespace === undefined || namespace === "") return name;
  return namespace.endsWith("__") ? namespace + name : `${namespace}__${name}`;
}
