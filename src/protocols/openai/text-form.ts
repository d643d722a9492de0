import { formOf } from "../reply-form.ts";
import type { ReplyForm } from "../reply-form.ts";

/** How an answer is passed on: as JSON in one piece, as events, or as bytes of any kind. */
export type AnswerForm = ReplyForm | "bytes";

const BRACE = 0x7b;

/**
 * The form of an answer that may be plain text, such as subtitles. Text says so by its type; some servers call it JSON all
 * the same, and JSON of these endpoints is always an object: `[music]` is none.
 * @param type its content type in lower case, without parameters; empty without one
 * @param bytes its first ones; undefined is returned while they are blanks
 */
export function textFormOf(type: string, bytes: Buffer): AnswerForm | undefined {
  if (type === "text/event-stream") return "events";
  if (type !== "" && !isJsonType(type)) return "bytes";
  if (formOf(bytes) === undefined) return undefined;
  const text = bytes.toString("latin1", 0, LOOKED_AT).trimStart();
  if (text.charCodeAt(0) === BRACE) return "json";
  return type === "" && EVENT.test(text) ? "events" : "bytes";
}

export function isJsonType(type: string): boolean {
  return type === "application/json" || type.endsWith("+json");
}

const LOOKED_AT = 64;

/** How a line of an event stream begins. */
const EVENT = /^(?:data|event|id|retry)?:/;
