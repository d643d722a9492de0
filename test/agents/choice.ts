/** The words of a command line that are no options, against the names that they may choose among. */
export interface Choice {
  readonly words: readonly string[];
  /** Names of agents; a variant has its own word in brackets: `cline (openai)`. */
  readonly clients: readonly string[];
  readonly kinds: readonly string[];
}

function isMeant(word: string, name: string): boolean {
  return name === word || name.split(" (")[0] === word;
}

function chosen(words: readonly string[], names: readonly string[]): readonly string[] {
  const named = names.filter((name) => words.some((word) => isMeant(word, name)));
  return named.length === 0 ? names : named;
}

/**
 * Agents and kinds of backends to run: the named ones, or all when none is named.
 * Throws when a word names neither: all agents together are 2 GB to install.
 */
export function choose({ words, clients, kinds }: Choice): Pick<Choice, "clients" | "kinds"> {
  const names = [...clients, ...kinds];
  const strange = words.filter((word) => !names.some((name) => isMeant(word, name)));
  if (strange.length > 0)
    throw new Error(
      `There is no agent and no kind of backend ${strange.join(", ")}: there are ${names.join(", ")}.`,
    );
  return { clients: chosen(words, clients), kinds: chosen(words, kinds) };
}
