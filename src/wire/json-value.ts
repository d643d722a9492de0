/** Finds where a JSON value ends, without reading it. */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENERS = new Set([0x7b, 0x5b]);
const CLOSERS = new Set([0x7d, 0x5d]);
const BLANKS = new Set([0x20, 0x09, 0x0a, 0x0d]);

/**
 * The bytes of the object or array that a text begins with (blanks before it are skipped), whatever follows it;
 * undefined when it begins with something else, or ends before the value does. Only brackets and strings are looked
 * at: what is inside may still be no JSON.
 */
export function firstJsonValue(text: Buffer): Buffer | undefined {
  let start = 0;
  while (BLANKS.has(text[start] ?? 0)) start += 1;
  if (!OPENERS.has(text[start] ?? 0)) return undefined;
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    const byte = text[at] ?? 0;
    if (byte === QUOTE) at = endOfString(text, at);
    else if (OPENERS.has(byte)) depth += 1;
    else if (CLOSERS.has(byte)) depth -= 1;
    if (depth === 0) return text.subarray(start, at + 1);
  }
  return undefined;
}

/** Where the string that opens at `open` closes; the end of the text when it does not. */
function endOfString(text: Buffer, open: number): number {
  for (let at = open + 1; at < text.length; at += 1) {
    if (text[at] === BACKSLASH) at += 1;
    else if (text[at] === QUOTE) return at;
  }
  return text.length;
}

/** Where a text of pieces stands that should be one JSON object. */
export type ObjectState =
  /** Only blanks so far. */
  | "blank"
  /** It began as an object and has not ended. */
  | "open"
  | "complete"
  /** It begins as something else. */
  | "other";

/** Watches a JSON object that comes in pieces for its end. Only brackets and strings are looked at, each byte once. */
export class ObjectWatch {
  #state: ObjectState = "blank";
  #depth = 0;
  #inString = false;
  #escaped = false;

  get state(): ObjectState {
    return this.#state;
  }

  /** The part of a piece that belongs to the object: what follows its end is left out. */
  push(piece: string): string {
    for (let at = 0; at < piece.length; at += 1) {
      if (this.#state === "complete") return piece.slice(0, at);
      if (this.#state === "other") return piece;
      this.#step(piece.charCodeAt(at));
    }
    return piece;
  }

  #step(code: number): void {
    if (this.#inString) this.#stepInString(code);
    else if (this.#state === "blank" && code !== 0x7b) {
      if (!BLANKS.has(code)) this.#state = "other";
    } else if (code === QUOTE) this.#inString = true;
    else if (OPENERS.has(code)) {
      this.#state = "open";
      this.#depth += 1;
    } else if (CLOSERS.has(code)) {
      this.#depth -= 1;
      if (this.#depth === 0) this.#state = "complete";
    }
  }

  #stepInString(code: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (code === BACKSLASH) this.#escaped = true;
    else if (code === QUOTE) this.#inString = false;
  }
}
