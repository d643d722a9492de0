import {
  BACKSLASH,
  BLANKS,
  CLOSE_BRACKETS,
  COLON,
  COMMA,
  endOfString,
  OPEN_OBJECT,
  OPEN_BRACKETS,
  QUOTE,
  skipBlanks,
} from "./json-bytes.ts";

/** Locates JSON values by their bytes, without building them. Brackets and strings are checked, nothing else. */

/**
 * Returns the bytes of the object or array that a text begins with, without leading blanks. Bytes after it are
 * ignored. Undefined when the text begins with something else, or ends before the value does.
 */
export function firstJsonValue(text: Buffer): Buffer | undefined {
  const start = skipBlanks(text, 0);
  if (!OPEN_BRACKETS.has(text[start] ?? 0)) return undefined;
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    const byte = text[at] ?? 0;
    if (byte === QUOTE) at = endOfString(text, at + 1);
    else if (OPEN_BRACKETS.has(byte)) depth += 1;
    else if (CLOSE_BRACKETS.has(byte)) depth -= 1;
    if (depth === 0) return text.subarray(start, at + 1);
  }
  return undefined;
}

/** The range of bytes of a member's value. */
export interface Span {
  readonly from: number;
  /** One past the last byte. */
  readonly to: number;
}

/**
 * Returns the range of the value of a member of the outermost object. Undefined without such a member. Where the name
 * is repeated the last one counts, as for JSON.parse.
 * @param text a JSON object
 */
export function topMember(text: Buffer, name: string): Span | undefined {
  let found: Span | undefined;
  let at = text.indexOf("{") + 1;
  while (at > 0 && at < text.length) {
    at = skipBlanks(text, at);
    if (text[at] === COMMA) {
      at += 1;
      continue;
    }
    if (text[at] !== QUOTE) break;
    const keyEnd = afterString(text, at);
    const key = text.subarray(at, keyEnd);
    const colon = skipBlanks(text, keyEnd);
    const from = skipBlanks(text, colon + 1);
    const to = afterValue(text, from);
    if (text[colon] !== COLON || to <= from) break;
    if (isNamed(key, name)) found = { from, to };
    at = to;
  }
  return found;
}

/** Returns the offset behind the string whose opening quote is at `from`. */
function afterString(text: Buffer, from: number): number {
  return Math.min(endOfString(text, from + 1) + 1, text.length);
}

/** Returns the offset behind the value that begins at `from`. */
function afterValue(text: Buffer, from: number): number {
  let depth = 0;
  let at = from;
  while (at < text.length) {
    const byte = text[at] ?? 0;
    if (byte === QUOTE) at = afterString(text, at);
    else if (OPEN_BRACKETS.has(byte)) {
      depth += 1;
      at += 1;
    } else if (CLOSE_BRACKETS.has(byte)) {
      if (depth === 0) return at;
      depth -= 1;
      at += 1;
      if (depth === 0) return at;
      continue;
    } else if (depth === 0 && (byte === COMMA || BLANKS.has(byte))) return at;
    else at += 1;
    if (depth === 0 && byte === QUOTE) return at;
  }
  return at;
}

/** @param key with its quotes */
function isNamed(key: Buffer, name: string): boolean {
  if (!key.includes(BACKSLASH)) return key.toString("utf8", 1, key.length - 1) === name;
  try {
    return JSON.parse(key.toString("utf8")) === name;
  } catch {
    return false;
  }
}

/** The state of an {@link ObjectScanner}. */
type ObjectState =
  /** Only blanks so far. */
  | "blank"
  /** An object has begun and has not ended. */
  | "open"
  | "complete"
  /** The text begins as something else. */
  | "other";

/** Finds the end of a JSON object that comes in pieces. Each character is checked once, however small the pieces. */
export class ObjectScanner {
  #state: ObjectState = "blank";
  #depth = 0;
  #inString = false;
  #escaped = false;

  get state(): ObjectState {
    return this.#state;
  }

  /** Returns the part of a piece that belongs to the object, without text behind its end. */
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
    else if (this.#state === "blank" && code !== OPEN_OBJECT) {
      if (!BLANKS.has(code)) this.#state = "other";
    } else if (code === QUOTE) this.#inString = true;
    else if (OPEN_BRACKETS.has(code)) {
      this.#state = "open";
      this.#depth += 1;
    } else if (CLOSE_BRACKETS.has(code)) {
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
