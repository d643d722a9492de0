/**
 * Text from outside, fit to be shown: what steers a terminal, turns the direction of what follows, or is not seen at
 * all is told as an escape of JSON. These are control characters (C0, DEL, C1), format characters (those of Unicode's
 * category Cf: direction marks, zero-width letters, tags), separators of lines and paragraphs, and halves of letters.
 */
const UNFIT = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** As above, but for the ends of lines and tabs. */
const UNFIT_IN_LINES = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** One line of text: ends of lines are escaped, too. */
export function plainLine(text: string): string {
  return text.replaceAll(UNFIT, escaped);
}

/** Text of any number of lines. A JSON document that is written without needless escapes stays the same document. */
export function plainText(text: string): string {
  return text.replaceAll(UNFIT_IN_LINES, escaped);
}

/** `\u001b`, as JSON writes it; two of them for what is no single UTF-16 unit. */
function escaped(character: string): string {
  return Array.from({ length: character.length }, (_, index) => {
    return `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`;
  }).join("");
}
