/** Bytes of JSON's punctuation, and the searches that all scanners of JSON text share. */

export const QUOTE = 0x22;
export const COMMA = 0x2c;
export const COLON = 0x3a;
export const BACKSLASH = 0x5c;
export const OPEN_OBJECT = 0x7b;
export const CLOSE_OBJECT = 0x7d;
export const OPEN_ARRAY = 0x5b;
export const CLOSE_ARRAY = 0x5d;

export const OPEN_BRACKETS: ReadonlySet<number> = new Set([OPEN_OBJECT, OPEN_ARRAY]);
export const CLOSE_BRACKETS: ReadonlySet<number> = new Set([CLOSE_OBJECT, CLOSE_ARRAY]);
export const BLANKS: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** Returns the offset of the first byte from `from` on that is no blank. */
export function skipBlanks(text: Buffer, from: number): number {
  let at = from;
  while (BLANKS.has(text[at] ?? 0)) at += 1;
  return at;
}

/** Bytes checked one by one before a search for the quote: most strings are short, some are full of escapes. */
const NEAR = 48;

/**
 * Returns the offset of the quote that closes a string, or the length of the text when none does.
 * @param from offset behind the opening quote
 */
export function endOfString(text: Buffer, from: number): number {
  for (let at = from; at < text.length;) {
    const near = Math.min(at + NEAR, text.length);
    for (; at < near; at += 1) {
      if (text[at] === QUOTE) return at;
      if (text[at] === BACKSLASH) at += 1;
    }
    const quote = text.indexOf(QUOTE, at);
    if (quote < 0) return text.length;
    let first = quote;
    while (first > at && text[first - 1] === BACKSLASH) first -= 1;
    if ((quote - first) % 2 === 0) return quote;
    at = quote + 1;
  }
  return text.length;
}
