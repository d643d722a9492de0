/**
 * Makes foreign text safe to show. Characters that steer a terminal, reverse the writing direction or are invisible
 * become JSON escapes. They are control characters (C0, DEL, C1), format characters (Unicode's category Cf), line and
 * paragraph separators, and lone surrogates.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** The same without line feeds and tabs. */
const UNPRINTABLE_IN_LINES = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Escapes a single line, line breaks included. */
export function escapedLine(text: string): string {
  return text.replaceAll(UNPRINTABLE, escaped);
}

/** Escapes text of any number of lines. A JSON document without needless escapes stays the same document. */
export function escapedText(text: string): string {
  return text.replaceAll(UNPRINTABLE_IN_LINES, escaped);
}

/** The JSON escape of each UTF-16 unit, such as `\u001b`. */
function escaped(character: string): string {
  return Array.from({ length: character.length }, (_, index) => {
    return `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`;
  }).join("");
}
