import { isObject, type Json } from "../core/json.ts";

/**
 * JSON with numbers that a double cannot hold: identifiers of 64 bits in tool arguments. They are kept as they were
 * written, as values that only JSON.stringify can read, so this is for what is written as JSON again.
 */

/** Methods of Node 22 and later (V8 11.4); the compiler's library does not have them yet. */
const json = JSON as typeof JSON & {
  rawJSON(text: string): Json;
  isRawJSON(value: unknown): boolean;
};

/** A number of 16 digits or more, or with an exponent; in a text such words only cost time. */
const LONG_NUMBER = /[:[,\s]-?\d(?:[\d.]{15}|[\d.]*[eE])/;

/** As JSON.parse, with numbers kept exactly. Throws as JSON.parse does. */
export function parseExact(text: string): Json {
  return LONG_NUMBER.test(text) ? parseEach(text) : (JSON.parse(text) as Json);
}

function parseEach(text: string): Json {
  return JSON.parse(text, keepSource) as Json;
}

/** Members whose objects are written as JSON again: the arguments of tool calls, and what tools take. */
const KEPT = ["arguments", "input", "parameters", "input_schema"] as const;
const KEPT_NAMES: ReadonlySet<string> = new Set(KEPT);
const KEPT_KEY = /"(?:arguments|input|parameters|input_schema)"/;

/**
 * As {@link parseExact}, for what is read: only within the arguments of tool calls and the parameters of tools are
 * numbers kept exactly, all others are numbers.
 */
export function parseKeepingArguments(text: string): Json {
  return KEPT_KEY.test(text) && LONG_NUMBER.test(text)
    ? withRounded(parseEach(text))
    : (JSON.parse(text) as Json);
}

/** As {@link parseKeepingArguments}, for a reply: only calls have arguments there. One search, as each token has it. */
export function parseReplyExactly(text: string): Json {
  return text.includes('"arguments"') ? parseKeepingArguments(text) : (JSON.parse(text) as Json);
}

function keepSource(_name: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source;
  if (typeof value !== "number" || source === undefined || isExact(value, source)) return value;
  return json.rawJSON(source);
}

/** True when the number is written in JSON as it came, or in another form of the same value. */
function isExact(value: number, source: string): boolean {
  if (Number.isSafeInteger(value)) return true;
  return Number.isFinite(value) && digitsOf(String(value)) === digitsOf(source);
}

/** The digits that count, and the exponent. */
function digitsOf(number: string): string {
  const [mantissa = "", exponent = ""] = number.toLowerCase().split("e");
  return `${mantissa.replace(".", "").replace(/^-?0+/, "")}e${exponent.replace("+", "")}`;
}

/** True for an object, and not for a number that is kept as it was written. */
export function isPlainObject(value: unknown): boolean {
  return isObject(value) && !json.isRawJSON(value);
}

/** A value read by {@link parseExact}, as a number where it is one that was kept as it was written. */
export function asRead(value: Json): Json {
  return json.isRawJSON(value) ? Number(JSON.stringify(value)) : value;
}

function withRounded(value: Json): Json {
  if (Array.isArray(value)) return value.map(withRounded);
  if (!isObject(value)) return value;
  if (json.isRawJSON(value)) return Number(JSON.stringify(value));
  for (const [name, inner] of Object.entries(value)) {
    const isKept = KEPT_NAMES.has(name) && isPlainObject(inner);
    if (!isKept && typeof inner === "object" && inner !== null) value[name] = withRounded(inner);
  }
  return value;
}
