import { Fault } from "../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../core/json.ts";

/**
 * Reads content of a backend's message as text: a string, or a list of parts. Another type throws, because unreadable
 * content must not look like an empty answer.
 */

/** The text of one value. */
interface MessageText {
  readonly text: string;
  readonly thinking: string;
}

const NOTHING: MessageText = { text: "", thinking: "" };

/** Types of parts beside the text, without text of their own. */
const ANNOTATIONS: ReadonlySet<string> = new Set(["reference", "citation"]);
const THOUGHTS: ReadonlySet<string> = new Set(["thinking", "reasoning", "reasoning_text"]);
/** Members with a part's text, the most reliable first. */
const TEXT_NAMES = ["text", "thinking", "reasoning", "refusal", "content", "summary"] as const;

/** Reads a text; "" for null and undefined. Throws `backend_lost` for another type. */
export function readText(value: Json | undefined, name: string): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return value;
  throw unreadable(name);
}

/** Reads a string, a part or a list of parts. Throws `backend_lost` for another type. */
export function readMessageText(value: Json | undefined, name: string): MessageText {
  if (value === undefined || value === null || value === "") return NOTHING;
  if (typeof value === "string") return { text: value, thinking: "" };
  if (Array.isArray(value)) return joined(value.map((part) => readMessageText(part, name)));
  if (isObject(value)) return readPartText(value, name);
  throw unreadable(name);
}

function joined(all: readonly MessageText[]): MessageText {
  return {
    text: all.map(({ text }) => text).join(""),
    thinking: all.map(({ thinking }) => thinking).join(""),
  };
}

function readPartText(part: JsonObject, name: string): MessageText {
  if (Object.keys(part).length === 0) return NOTHING;
  const type = readText(part["type"], name);
  if (ANNOTATIONS.has(type)) return NOTHING;
  const holder = TEXT_NAMES.find((one) => (part[one] ?? undefined) !== undefined);
  if (holder === undefined) throw unreadable(name);
  const { text, thinking } = readMessageText(part[holder], name);
  const isThought = THOUGHTS.has(type) || (type === "" && holder !== "text" && THOUGHTS.has(holder));
  return isThought ? { text: "", thinking: thinking + text } : { text, thinking };
}

function unreadable(name: string): Fault {
  return new Fault("backend_lost", `the backend's ${name} is not text`);
}
