/** Finds a member of a JSON object by its bytes, without building the value. */

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPENERS: ReadonlySet<number> = new Set([0x7b, 0x5b]);
const CLOSERS: ReadonlySet<number> = new Set([0x7d, 0x5d]);
const BLANKS: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** Where the value of a member stands. */
export interface Span {
  readonly from: number;
  /** One past its last byte. */
  readonly to: number;
}

/**
 * The place of the value of a member of the outermost object; undefined when there is no such member. Of several the
 * last one, as JSON.parse takes it. @param text a JSON object
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
    const keyEnd = stringEnd(text, at);
    const key = text.subarray(at, keyEnd);
    const from = skipBlanks(text, skipBlanks(text, keyEnd) + 1);
    const to = valueEnd(text, from);
    if (text[skipBlanks(text, keyEnd)] !== COLON || to <= from) break;
    if (isNamed(key, name)) found = { from, to };
    at = to;
  }
  return found;
}

function skipBlanks(text: Buffer, from: number): number {
  let at = from;
  while (BLANKS.has(text[at] ?? 0)) at += 1;
  return at;
}

/** One past the closing quote of the string that begins here. */
function stringEnd(text: Buffer, from: number): number {
  for (let at = text.indexOf(QUOTE, from + 1); at >= 0; at = text.indexOf(QUOTE, at + 1)) {
    let slashes = 0;
    while (text[at - 1 - slashes] === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return at + 1;
  }
  return text.length;
}

/** One past the last byte of the value that begins here. */
function valueEnd(text: Buffer, from: number): number {
  let depth = 0;
  let at = from;
  while (at < text.length) {
    const byte = text[at] ?? 0;
    if (byte === QUOTE) at = stringEnd(text, at);
    else if (OPENERS.has(byte)) {
      depth += 1;
      at += 1;
    } else if (CLOSERS.has(byte)) {
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
