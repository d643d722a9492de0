import { similarWord } from "../core/similar-names.ts";

/** Unknown words of a command line, each with a suggestion. */

/** The error for an unknown command. */
export function unknownCommand(word: string, commands: readonly string[]): Error {
  const meant = similarWord(word, commands);
  const guess = meant === undefined ? "" : ` Did you mean sgnet ${meant}?`;
  return new Error(`Unknown command: ${word}.${guess} Try sgnet --help.`);
}

export interface CommandInput {
  /** Parsed values by name. */
  readonly flags: Readonly<Record<string, unknown>>;
  /** Words beyond the command and its arguments. */
  readonly extra: readonly string[];
}

/**
 * Refuses unknown options and words, and repeated options of the command.
 * @param known.accepted names that are read; @param known.once names of them that may be given once
 */
export function refuseUnknownOptions(
  command: string,
  { flags, extra }: CommandInput,
  known: { readonly accepted: readonly string[]; readonly once: readonly string[] },
): void {
  const unknown = Object.keys(flags).filter((name) => !known.accepted.includes(name));
  const words = [...unknown, ...extra];
  if (words.length > 0) {
    const options = known.accepted.filter((name) => name.length > 1);
    const meant = words.map((word) => similarWord(word, options)).find((word) => word !== undefined);
    const guess = meant === undefined ? "" : ` Did you mean --${meant}?`;
    const noun = words.length === 1 ? "argument" : "arguments";
    throw new Error(`Unknown ${noun}: ${words.join(", ")}.${guess} Try sgnet ${command} --help.`);
  }
  const repeated = known.once.find((name) => Array.isArray(flags[name]));
  if (repeated !== undefined) throw new Error(`--${repeated} is given more than once.`);
}
