/** Longest text that is compared. The cost is the product of both lengths. */
const LONGEST = 64;

/**
 * Returns the known name that a misspelt one most likely means; undefined when none is similar.
 * @param mostWrong letters that may be wrong
 */
export function similarName(name: string, known: readonly string[], mostWrong: number): string | undefined {
  if (name.length > LONGEST) return undefined;
  const [best] = known
    .map((one) => ({ one, wrong: distance(name, one) }))
    .toSorted((a, b) => a.wrong - b.wrong);
  return best !== undefined && best.wrong <= mostWrong ? best.one : undefined;
}

/**
 * Like {@link similarName} for a word typed by a person, case-insensitive. Half of its letters may be wrong, three at
 * most. A unique prefix matches as well. @param known in lower case
 */
export function similarWord(typed: string, known: readonly string[]): string | undefined {
  const word = typed.toLowerCase();
  const near = similarName(word, known, Math.min(3, Math.floor(word.length / 2)));
  if (near !== undefined) return near;
  const begun = known.filter((one) => word.length > 1 && one.startsWith(word));
  return begun.length === 1 ? begun[0] : undefined;
}

/** The Levenshtein distance of two texts. */
function distance(from: string, to: string): number {
  let before = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [row, letter] of Array.from(from).entries()) {
    const now = [row + 1];
    for (const [column, other] of Array.from(to).entries()) {
      const replaced = (before[column] ?? 0) + Number(letter !== other);
      now.push(Math.min(replaced, (before[column + 1] ?? 0) + 1, (now[column] ?? 0) + 1));
    }
    before = now;
  }
  return before.at(-1) ?? 0;
}
