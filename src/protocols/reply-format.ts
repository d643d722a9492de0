/**
 * The format of a reply: one JSON value, or events. The bytes decide. Some servers answer a stream request with one
 * error object, and some always stream.
 */
export type ReplyFormat = "json" | "events";

const BLANKS: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d, 0xef, 0xbb, 0xbf]);
const OPEN_BRACKETS: ReadonlySet<number> = new Set([0x7b, 0x5b]);

/** Detects the format by the first bytes. Undefined while they are blanks or a byte order mark. */
export function sniffFormat(bytes: Buffer): ReplyFormat | undefined {
  const first = bytes.find((byte) => !BLANKS.has(byte));
  if (first === undefined) return undefined;
  return OPEN_BRACKETS.has(first) ? "json" : "events";
}

/** Offset of the first byte outside of blanks and byte order marks; -1 for none. */
export function firstContentByte(bytes: Buffer): number {
  return bytes.findIndex((byte) => !BLANKS.has(byte));
}

const BOM = "\uFEFF";

/** Removes a leading byte order mark from text. */
export function withoutBom(text: string): string {
  return text.startsWith(BOM) ? text.slice(1) : text;
}

/** Removes a leading byte order mark from bytes. */
export function withoutBomBytes(bytes: Buffer): Buffer {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

const BOM_BYTES: Buffer = Buffer.from(BOM);
const SPACES: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** Removes blanks and byte order marks before a reply. A mark may be split between pieces. */
export class LeadingBlanks {
  #cut: Buffer = NOTHING;

  /** Returns the remaining bytes, perhaps none. Do not call it again once it has returned some. */
  push(chunk: Buffer): Buffer {
    const bytes = this.#cut.length === 0 ? chunk : Buffer.concat([this.#cut, chunk]);
    let from = 0;
    for (let length = blankLength(bytes, from); length > 0; length = blankLength(bytes, from)) from += length;
    const rest = from === 0 ? bytes : bytes.subarray(from);
    const isCut = rest.length < BOM_BYTES.length && BOM_BYTES.subarray(0, rest.length).equals(rest);
    this.#cut = isCut ? rest : NOTHING;
    return isCut ? NOTHING : rest;
  }
}

const NOTHING: Buffer = Buffer.alloc(0);

/** Length of the blank or mark at an offset; 0 for none. */
function blankLength(bytes: Buffer, at: number): number {
  if (SPACES.has(bytes[at] ?? -1)) return 1;
  const isMark = bytes[at] === BOM_BYTES[0] && BOM_BYTES.equals(bytes.subarray(at, at + BOM_BYTES.length));
  return isMark ? BOM_BYTES.length : 0;
}

/** Bytes of a reply that an error quotes. */
export const MAX_EXCERPT_BYTES = 200;

/** The beginning of JSON, or of a line in an event stream. */
const STRUCTURED = /^(?:[{[]|(?:data|event|id|retry)?:)/;

/** Returns the plain text of a reply; "" for one that begins like JSON or events. */
export function plainExcerpt(beginning: Buffer): string {
  const text = withoutBom(beginning.toString("utf8")).trim();
  return STRUCTURED.test(text) ? "" : text;
}

/** The format of a relayed answer: JSON, events, or bytes of any kind. */
export type AnswerFormat = ReplyFormat | "bytes";

const BRACE = 0x7b;

/**
 * Detects the format of an answer that may be plain text, such as subtitles. Some servers send text with the type of
 * JSON. JSON of these endpoints is always an object, so `[music]` is text.
 * @param type content type in lower case, without parameters; "" for none
 * @param bytes the first bytes; while they are blank the result is undefined
 */
export function sniffTextFormat(type: string, bytes: Buffer): AnswerFormat | undefined {
  if (type === "text/event-stream") return "events";
  if (type !== "" && !isJsonType(type)) return "bytes";
  const first = firstContentByte(bytes);
  if (first < 0) return undefined;
  if (bytes[first] === BRACE) return "json";
  return type === "" && EVENT.test(bytes.toString("latin1", first, first + LONGEST_NAME))
    ? "events"
    : "bytes";
}

export function isJsonType(type: string): boolean {
  return type === "application/json" || type.endsWith("+json");
}

/** The beginning of a line in an event stream, and its longest field name with the colon. */
const EVENT = /^(?:data|event|id|retry)?:/;
const LONGEST_NAME = 6;
