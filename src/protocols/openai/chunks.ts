import { Fault } from "../../core/fault.ts";
import { isObject } from "../../core/json.ts";
import type { JsonObject } from "../../core/json.ts";
import type { SseEvent } from "../../wire/sse.ts";
import { parseReplyExactly } from "../exact.ts";
import { checkHeld } from "../whole.ts";
import { embeddedFault, isErrorReply } from "./errors.ts";

/** The objects and events that replies are made of, as a reader and a relay see them. */

/** The JSON of a reply. Throws `backend_lost` for what is none: replies that broke off look like that. */
export function parseReply(text: string): JsonObject {
  checkHeld(text);
  let value: unknown;
  try {
    value = parseReplyExactly(text);
  } catch (error) {
    throw new Fault("backend_lost", "the backend's reply is not JSON", { cause: error });
  }
  if (isObject(value)) return value;
  throw new Fault("backend_lost", "the backend's reply is not a JSON object");
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
  const text = data.trim();
  if (text === "[DONE]") return "done";
  if (!text.startsWith("{")) {
    if (event === "error") throw embeddedFault(text);
    // An event with a name of its own is a heartbeat, whatever it says.
    return text === "done" || event !== "message" ? "" : text.slice(0, MAX_NOISE);
  }
  const reply = parseReply(text);
  if (event === "error" || isErrorReply(reply)) throw embeddedFault(reply);
  return reply;
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
  if (isObject(list)) return [list];
  if (Array.isArray(list) && list.every(isObject)) return list;
  throw new Fault("backend_lost", "the backend's choices are no list of objects");
}

export function isFirstChoice({ index }: JsonObject): boolean {
  return index === 0 || Number(index ?? 0) === 0;
}

/** llama.cpp's own reply form, which /infill has only: `{"content","stop","stop_type",…}`. */
function infillChoice(reply: JsonObject): readonly JsonObject[] {
  if (typeof reply["content"] !== "string") return [];
  const finish = reply["stop"] === true ? (reply["stop_type"] === "limit" ? "length" : "stop") : null;
  return [{ text: reply["content"], finish_reason: finish }];
}
