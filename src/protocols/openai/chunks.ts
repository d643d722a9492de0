import { Fault } from "../../core/fault.ts";
import { isObject } from "../../core/json.ts";
import type { JsonObject } from "../../core/json.ts";
import type { SseEvent } from "../../wire/sse.ts";
import { parseReplyExactly } from "../exact.ts";
import { withoutMark } from "../reply-form.ts";
import { checkHeld } from "../whole.ts";
import { complaintIn, embeddedFault, isErrorReply, tellsStatus } from "./errors.ts";

/** The objects and events that replies are made of, as a reader and a relay see them. */

/**
 * The JSON of a reply. Throws the backend's own fault for a list with an error in it (Google's form), and
 * `backend_lost` for what is no object: replies that broke off look like that.
 */
export function parseReply(text: string): JsonObject {
  checkHeld(text);
  let value: unknown;
  try {
    value = parseReplyExactly(withoutMark(text));
  } catch (error) {
    throw new Fault("backend_lost", "the backend's reply is not JSON", { cause: error });
  }
  if (isObject(value)) return value;
  const items: readonly unknown[] = Array.isArray(value) ? value : [];
  const error = items.filter(isObject).find(isErrorReply);
  if (error !== undefined) throw embeddedFault(error);
  throw new Fault("backend_lost", "the backend's reply is not a JSON object");
}

/** The JSON of a reply in one piece. Throws also for an object that only says what went wrong. */
export function parseWhole(text: string): JsonObject {
  const reply = parseReply(text);
  if (isErrorReply(reply) || complaintIn(reply) !== undefined) throw embeddedFault(reply);
  return reply;
}

/** Longest text of an event that is no chunk which is told, in characters. */
const MAX_NOISE = 200;

/** The content of an event: a chunk, the end, or a text that is no chunk, perhaps an empty one. */
export type EventSaid = JsonObject | string;

/**
 * Reads an event; "done" is the end. Some servers send heartbeats as events, without data or with a text: these are no
 * chunks. Throws the backend's own fault, and `backend_lost` for a chunk that is no JSON.
 */
export function readEvent({ event, data }: SseEvent): EventSaid {
  const text = bareData(data);
  if (text === "[DONE]") return "done";
  if (!text.startsWith("{") && !text.startsWith("[{")) {
    if (event === "error") throw embeddedFault(text);
    // An event with a name of its own is a heartbeat, whatever it says.
    return text === "done" || event !== "message" ? "" : text.slice(0, MAX_NOISE);
  }
  const reply = parseReply(text);
  if (event === "error" || isErrorReply(reply)) throw embeddedFault(reply);
  // Most are chunks: one look tells.
  if (reply["choices"] !== undefined) return reply;
  const complaint = event === "message" ? complaintIn(reply) : undefined;
  if (complaint === undefined) return reply;
  // Words without a status may be a note on the progress: they count when the reply breaks off.
  if (tellsStatus(reply)) throw embeddedFault(reply);
  return complaint.slice(0, MAX_NOISE);
}

/** JSON does not begin so: nearly always one look is enough. */
const LETTER_D = 0x64;

/** The data of an event without blanks, and without a second `data:` that a server behind a server has written. */
export function bareData(data: string): string {
  let text = data.trim();
  while (text.charCodeAt(0) === LETTER_D && text.startsWith("data:")) text = text.slice(5).trim();
  return text;
}

/**
 * The events that an event stands for: some servers have no blank line between theirs, so that the data of several come
 * as the lines of one. JSON that is written on several lines is one event.
 */
export function eventsIn(event: SseEvent): readonly SseEvent[] {
  if (!event.data.includes("\n")) return [event];
  const lines = event.data.split("\n").filter((line) => line.trim() !== "");
  return lines.every(isWholeData) ? lines.map((data) => ({ event: event.event, data })) : [event];
}

function isWholeData(line: string): boolean {
  const text = bareData(line);
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
 * The fault of a reply that is not complete. A backend that said something else instead may have been led to it by the
 * request.
 * @param noise what the backend said that was no part of the answer
 */
export function brokenOff(noise: string): Fault {
  const message = "the backend's reply ended before it was complete";
  if (noise === "") return new Fault("backend_lost", message, { blame: "backend" });
  return new Fault("backend_lost", `${message}: ${noise}`, { blame: "request" });
}

/** The choices of a reply or a chunk. Throws `backend_lost` when they are neither a list nor one object. */
export function choicesIn(reply: JsonObject): readonly JsonObject[] {
  const list = reply["choices"] ?? undefined;
  if (list === undefined) return infillChoice(reply);
  if (isObject(list)) return sound([list]);
  if (Array.isArray(list) && list.every(isObject)) return sound(list);
  throw new Fault("backend_lost", "the backend's choices are no list of objects");
}

/** Some servers tell the error of a choice within it. */
function sound(choices: readonly JsonObject[]): readonly JsonObject[] {
  for (const choice of choices) if (isErrorReply(choice)) throw embeddedFault(choice);
  return choices;
}

/** Which of the answers a choice belongs to; NaN where its index is no number. */
export function choiceIndex({ index = 0 }: JsonObject): number {
  if (typeof index === "number") return index;
  // An object is never turned into a number: its own `valueOf` may be no function, which throws.
  return index === null || typeof index === "string" ? Number(index) : Number.NaN;
}

export function isFirstChoice(choice: JsonObject): boolean {
  return choiceIndex(choice) === 0;
}

/** llama.cpp's own reply form, which /infill has only: `{"content","stop","stop_type",…}`. */
function infillChoice(reply: JsonObject): readonly JsonObject[] {
  if (typeof reply["content"] !== "string") return [];
  const finish = reply["stop"] === true ? (reply["stop_type"] === "limit" ? "length" : "stop") : null;
  return [{ text: reply["content"], finish_reason: finish }];
}
