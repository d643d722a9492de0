/**
 * Whether a reply is one JSON value or events. Its own bytes tell: some servers answer a stream request with an error in
 * one piece, and some stream whatever was asked for.
 */
export type ReplyForm = "json" | "events";

const BLANKS: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d, 0xef, 0xbb, 0xbf]);
const OPENERS: ReadonlySet<number> = new Set([0x7b, 0x5b]);

/** The form of a reply by its first bytes; undefined while there are only blanks and a byte order mark. */
export function formOf(bytes: Buffer): ReplyForm | undefined {
  const first = bytes.find((byte) => !BLANKS.has(byte));
  if (first === undefined) return undefined;
  return OPENERS.has(first) ? "json" : "events";
}

/** The place of the first byte that is neither a blank nor of a byte order mark; -1 when there is none. */
export function firstByteIn(bytes: Buffer): number {
  return bytes.findIndex((byte) => !BLANKS.has(byte));
}

const MARK = "\uFEFF";

/** The text without a byte order mark before it. */
export function withoutMark(text: string): string {
  return text.startsWith(MARK) ? text.slice(1) : text;
}

/** The bytes without a byte order mark before them. */
export function withoutMarkBytes(bytes: Buffer): Buffer {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

const MARK_BYTES: Buffer = Buffer.from(MARK);
const SPACES: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** Leaves out the blanks and byte order marks before a reply, whatever its pieces: a mark may be cut. */
export class ReplyStart {
  #held: Buffer = NOTHING;

  /** Empty while nothing else has come. Not to be called any more when it was not. */
  push(chunk: Buffer): Buffer {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    let from = 0;
    for (let length = blankAt(bytes, from); length > 0; length = blankAt(bytes, from)) from += length;
    const rest = from === 0 ? bytes : bytes.subarray(from);
    const isCut = rest.length < MARK_BYTES.length && MARK_BYTES.subarray(0, rest.length).equals(rest);
    this.#held = isCut ? rest : NOTHING;
    return isCut ? NOTHING : rest;
  }
}

const NOTHING: Buffer = Buffer.alloc(0);

/** Bytes of the blank or the mark at a place; 0 where there is none. */
function blankAt(bytes: Buffer, at: number): number {
  if (SPACES.has(bytes[at] ?? -1)) return 1;
  const isMark = bytes[at] === MARK_BYTES[0] && MARK_BYTES.equals(bytes.subarray(at, at + MARK_BYTES.length));
  return isMark ? MARK_BYTES.length : 0;
}

/** Bytes of a reply that are told when it is neither JSON nor events. */
export const MOST_TOLD = 200;

/** How JSON and a line of an event stream begin. */
const FORMED = /^(?:[{[]|(?:data|event|id|retry)?:)/;

/** Returns the plain text of a reply with this beginning; empty for one that begins as JSON or events do. */
export function plainText(beginning: Buffer): string {
  const text = withoutMark(beginning.toString("utf8")).trim();
  return FORMED.test(text) ? "" : text;
}
