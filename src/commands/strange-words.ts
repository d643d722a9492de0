import { meantWord } from "../core/nearest.ts";

/** Words of a command line that mean nothing, told with the word that was meant. */

/** The sentence on a command that is none. */
export function unknownCommand(word: string, commands: readonly string[]): Error {
  const meant = meantWord(word, commands);
  const guess = meant === undefined ? "" : ` Did you mean sgnet ${meant}?`;
  return new Error(`Unknown command: ${word}.${guess} Try sgnet --help.`);
}

export interface Given {
  /** Values by name, as read. */
  readonly flags: Readonly<Record<string, unknown>>;
  /** Words beside the command and its own. */
  readonly extra: readonly string[];
}

/**
 * Refuses options and words that a command does not know, and options of its own that are given twice.
 * @param known.taken names that are read; @param known.once those of them that may be given once
 */
export function refuseStrange(
  command: string,
  { flags, extra }: Given,
  known: { readonly taken: readonly string[]; readonly once: readonly string[] },
): void {
  const strange = Object.keys(flags).filter((name) => !known.taken.includes(name));
  const words = [...strange, ...extra];
  if (words.length > 0) {
    const options = known.taken.filter((name) => name.length > 1);
    const meant = words.map((word) => meantWord(word, options)).find((word) => word !== undefined);
    const guess = meant === undefined ? "" : ` Did you mean --${meant}?`;
    const noun = words.length === 1 ? "argument" : "arguments";
    throw new Error(`Unknown ${noun}: ${words.join(", ")}.${guess} Try sgnet ${command} --help.`);
  }
  const twice = known.once.find((name) => Array.isArray(flags[name]));
  if (twice !== undefined) throw new Error(`--${twice} is given more than once.`);
}
