import { Fault } from "../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../core/json.ts";

/**
 * Reads a backend's words as text: most send a string, some a list of parts. A value of another type is never read as
 * nothing: an answer that cannot be read must not look like an empty one.
 */

/** The text of one value. */
export interface Said {
  readonly text: string;
  readonly thinking: string;
}

const NOTHING: Said = { text: "", thinking: "" };

/** Parts that stand beside the text and say nothing themselves. */
const NOTES: ReadonlySet<string> = new Set(["reference", "citation"]);
const THOUGHTS: ReadonlySet<string> = new Set(["thinking", "reasoning", "reasoning_text"]);
/** Where parts have their text, in the order of how sure it is. */
const TEXT_NAMES = ["text", "thinking", "reasoning", "refusal", "content", "summary"] as const;

/** A text; "" for null and for what is not there. Throws `backend_lost` for another type. */
export function textValue(value: Json | undefined, name: string): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return value;
  throw unreadable(name);
}

/** The text of a string, a part or a list of parts. Throws `backend_lost` for another type. */
export function saidBy(value: Json | undefined, name: string): Said {
  if (value === undefined || value === null || value === "") return NOTHING;
  if (typeof value === "string") return { text: value, thinking: "" };
  if (Array.isArray(value)) return joined(value.map((part) => saidBy(part, name)));
  if (isObject(value)) return saidByPart(value, name);
  throw unreadable(name);
}

function joined(all: readonly Said[]): Said {
  return {
    text: all.map(({ text }) => text).join(""),
    thinking: all.map(({ thinking }) => thinking).join(""),
  };
}

function saidByPart(part: JsonObject, name: string): Said {
  if (Object.keys(part).length === 0) return NOTHING;
  const type = textValue(part["type"], name);
  if (NOTES.has(type)) return NOTHING;
  const holder = TEXT_NAMES.find((one) => (part[one] ?? undefined) !== undefined);
  if (holder === undefined) throw unreadable(name);
  const { text, thinking } = saidBy(part[holder], name);
  const isThought = THOUGHTS.has(type) || (type === "" && holder !== "text" && THOUGHTS.has(holder));
  return isThought ? { text: "", thinking: thinking + text } : { text, thinking };
}

function unreadable(name: string): Fault {
  return new Fault("backend_lost", `the backend's ${name} is of a kind that is not text`);
}
