import { Fault } from "../../core/fault.ts";
import { isObject } from "../../core/json.ts";
import type { JsonObject } from "../../core/json.ts";
import { sseData, type SseEvent } from "../../wire/sse.ts";
import { parseReplyJson } from "../lossless-json.ts";
import { withoutBom } from "../reply-format.ts";
import { checkReplyBounds } from "../reply-limits.ts";
import { undeclaredError, embeddedFault, isErrorReply, hasErrorStatus } from "../backend-errors.ts";

/** Reads the objects and events of replies, for readers and relays. */

/**
 * Parses a reply. Throws the backend's own fault for a list with an error (Google's form). Throws `backend_lost` for
 * anything but an object, such as a truncated reply.
 */
function parseReplyObject(text: string): JsonObject {
  checkReplyBounds(text);
  let value: unknown;
  try {
    value = parseReplyJson(withoutBom(text));
  } catch (error) {
    throw new Fault("backend_lost", "the backend's reply is not JSON", { cause: error });
  }
  if (isObject(value)) return value;
  const items: readonly unknown[] = Array.isArray(value) ? value : [];
  const error = items.filter(isObject).find(isErrorReply);
  if (error !== undefined) throw embeddedFault(error);
  throw new Fault("backend_lost", "the backend's reply is not a JSON object");
}

/** Parses a reply in one piece. An object with only an error message throws as well. */
export function parseCompleteReply(text: string): JsonObject {
  const reply = parseReplyObject(text);
  if (isErrorReply(reply) || undeclaredError(reply) !== undefined) throw embeddedFault(reply);
  return reply;
}

/** Longest reported text of an event that is no chunk, in characters. */
const MAX_NOTICE = 200;

/** The content of an event: a chunk, the end, or another text, perhaps empty. */
type EventContent = JsonObject | string;

/**
 * Reads an event; "done" is the end. Some servers send heartbeats as events without data or with text, which are no
 * chunks. Throws the backend's own fault, and `backend_lost` for a chunk that is not JSON.
 */
export function readEvent({ event, data }: SseEvent): EventContent {
  const text = trimData(data);
  if (text === "[DONE]") return "done";
  if (!text.startsWith("{") && !text.startsWith("[{")) {
    if (event === "error") throw embeddedFault(text);
    // A named event is a heartbeat, whatever its text.
    return text === "done" || event !== "message" ? "" : text.slice(0, MAX_NOTICE);
  }
  const reply = parseReplyObject(text);
  if (event === "error" || isErrorReply(reply)) throw embeddedFault(reply);
  // Nearly all events are chunks, so check for choices first.
  if (reply["choices"] !== undefined) return reply;
  const undeclared = event === "message" ? undeclaredError(reply) : undefined;
  if (undeclared === undefined) return reply;
  // A message without a status may report progress. It matters when the reply breaks off.
  if (hasErrorStatus(reply)) throw embeddedFault(reply);
  return undeclared.slice(0, MAX_NOTICE);
}

/** JSON never begins with this letter, so one comparison nearly always decides. */
const LETTER_D = 0x64;

/** Returns the data of an event without blanks, and without a second `data:` from a server behind a server. */
export function trimData(data: string): string {
  let text = data.trim();
  while (text.charCodeAt(0) === LETTER_D && text.startsWith("data:")) text = text.slice(5).trim();
  return text;
}

/**
 * Splits an event into several where a server omits the blank lines between events. JSON over several lines stays one
 * event.
 */
export function eventsIn(event: SseEvent): readonly SseEvent[] {
  if (!event.data.includes("\n")) return [event];
  const lines = event.data.split("\n").filter((line) => line.trim() !== "");
  return lines.every(isCompleteData) ? lines.map((data) => ({ event: event.event, data })) : [event];
}

/** True for an event that clients can read unchanged: `data:` occurs once, before its JSON. */
export function isReadableEvent({ data }: SseEvent, event: Buffer): boolean {
  return event.includes("data:") && (data.startsWith("{") || data.trim() === trimData(data));
}

/** The event as clients read it: its data on one line. */
export function singleLineEvent({ data }: SseEvent): Buffer {
  return Buffer.from(sseData(trimData(data).replaceAll("\n", "")));
}

function isCompleteData(line: string): boolean {
  const text = trimData(line);
  if (text === "[DONE]") return true;
  if (!text.startsWith("{") || !text.endsWith("}")) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * The fault of an incomplete reply. If the backend sent other text instead, the request may be the cause.
 * @param noise text of the backend outside of the answer
 */
export function truncatedReply(noise: string): Fault {
  const message = "the backend's reply ended before it was complete";
  if (noise === "") return new Fault("backend_lost", message, { blame: "backend" });
  return new Fault("backend_lost", `${message}: ${noise}`, { blame: "request" });
}

/** The choices of a reply or a chunk. Throws `backend_lost` when they are neither a list nor one object. */
export function choicesIn(reply: JsonObject): readonly JsonObject[] {
  const list = reply["choices"] ?? undefined;
  if (list === undefined) return infillChoice(reply);
  if (isObject(list)) return withoutErrors([list]);
  if (Array.isArray(list) && list.every(isObject)) return withoutErrors(list);
  throw new Fault("backend_lost", "the backend's choices are not a list of objects");
}

/** Some servers put an error into a choice. */
function withoutErrors(choices: readonly JsonObject[]): readonly JsonObject[] {
  for (const choice of choices) if (isErrorReply(choice)) throw embeddedFault(choice);
  return choices;
}

/** The index of a choice; NaN when it is no number. */
export function choiceIndex({ index = 0 }: JsonObject): number {
  if (typeof index === "number") return index;
  // Objects are not converted: an own `valueOf` that is no function would throw.
  return index === null || typeof index === "string" ? Number(index) : Number.NaN;
}

export function isFirstChoice(choice: JsonObject): boolean {
  return choiceIndex(choice) === 0;
}

/** The reply of llama.cpp's /infill: `{"content","stop","stop_type",…}`. */
function infillChoice(reply: JsonObject): readonly JsonObject[] {
  if (typeof reply["content"] !== "string") return [];
  const finish = reply["stop"] === true ? (reply["stop_type"] === "limit" ? "length" : "stop") : null;
  return [{ text: reply["content"], finish_reason: finish }];
}
