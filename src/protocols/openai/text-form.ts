import type { ReplyForm } from "../reply-form.ts";

/** How an answer is passed on: as JSON in one piece, as events, or as bytes of any kind. */
export type AnswerForm = ReplyForm | "bytes";

const BRACE = 0x7b;
/** Spaces, ends of lines, and the bytes of a byte order mark. */
const BLANKS: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d, 0xef, 0xbb, 0xbf]);

/**
 * The form of an answer that may be plain text, such as subtitles. Text says so by its type; some servers call it JSON all
 * the same, and JSON of these endpoints is always an object: `[music]` is none.
 * @param type its content type in lower case, without parameters; empty without one
 * @param bytes its first ones; undefined is returned while they are blanks
 */
export function textFormOf(type: string, bytes: Buffer): AnswerForm | undefined {
  if (type === "text/event-stream") return "events";
  if (type !== "" && !isJsonType(type)) return "bytes";
  const first = bytes.findIndex((byte) => !BLANKS.has(byte));
  if (first < 0) return undefined;
  if (bytes[first] === BRACE) return "json";
  return type === "" && EVENT.test(bytes.toString("latin1", first, first + LONGEST_NAME))
    ? "events"
    : "bytes";
}

export function isJsonType(type: string): boolean {
  return type === "application/json" || type.endsWith("+json");
}

/** How a line of an event stream begins, and the longest such name with its colon. */
const EVENT = /^(?:data|event|id|retry)?:/;
const LONGEST_NAME = 6;
