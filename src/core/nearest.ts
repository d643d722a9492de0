/** Longest text that is compared: the distance costs the product of both lengths. */
const LONGEST = 64;

/**
 * The one of some known names that a person most likely meant; undefined when none is near.
 * @param mostWrong letters that may be wrong
 */
export function nearest(name: string, known: readonly string[], mostWrong: number): string | undefined {
  if (name.length > LONGEST) return undefined;
  const [best] = known
    .map((one) => ({ one, wrong: distance(name, one) }))
    .toSorted((a, b) => a.wrong - b.wrong);
  return best !== undefined && best.wrong <= mostWrong ? best.one : undefined;
}

/**
 * As {@link nearest} for words typed by a person, in letters of any size: half of a word's letters may be wrong, three
 * at most; or it is cut short. @param known in small letters
 */
export function meantWord(typed: string, known: readonly string[]): string | undefined {
  const word = typed.toLowerCase();
  const near = nearest(word, known, Math.min(3, Math.floor(word.length / 2)));
  if (near !== undefined) return near;
  const begun = known.filter((one) => word.length > 1 && one.startsWith(word));
  return begun.length === 1 ? begun[0] : undefined;
}

/** Letters to insert, remove or replace until one text is the other (Levenshtein). */
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
