import { isObject, type Json } from "../core/json.ts";

/**
 * JSON with numbers beyond the precision of a double, such as 64-bit ids in tool arguments. They are kept as raw
 * JSON, which only JSON.stringify reads. Use it for values that are written as JSON again.
 */

/** Methods since Node 22 (V8 11.4), which the compiler's library lacks. */
const json = JSON as typeof JSON & {
  rawJSON(text: string): Json;
  isRawJSON(value: unknown): boolean;
};

/** A number of 16 or more digits, or with an exponent. A match inside a text only costs time. */
const LONG_NUMBER = /[:[,\s]-?\d(?:[\d.]{15}|[\d.]*[eE])/;

/** Parses like JSON.parse and keeps long numbers. Throws like JSON.parse. */
export function parseLossless(text: string): Json {
  return LONG_NUMBER.test(text) ? parseKeepingSource(text) : (JSON.parse(text) as Json);
}

function parseKeepingSource(text: string): Json {
  return JSON.parse(text, keepSource) as Json;
}

/** Members whose objects are written as JSON again: arguments of tool calls, and parameters of tools. */
const LOSSLESS_MEMBERS = ["arguments", "input", "parameters", "input_schema"] as const;
const LOSSLESS_NAMES: ReadonlySet<string> = new Set(LOSSLESS_MEMBERS);
const LOSSLESS_KEY = /"(?:arguments|input|parameters|input_schema)"/;

/** Like {@link parseLossless}, but keeps long numbers only within arguments and parameters of tools. */
export function parseLosslessArguments(text: string): Json {
  return LOSSLESS_KEY.test(text) && LONG_NUMBER.test(text)
    ? roundOthers(parseKeepingSource(text))
    : (JSON.parse(text) as Json);
}

/**
 * Like {@link parseLosslessArguments} for a reply, where only calls have arguments. A single search, since it runs
 * for each token.
 */
export function parseReplyJson(text: string): Json {
  return text.includes('"arguments"') ? parseLosslessArguments(text) : (JSON.parse(text) as Json);
}

function keepSource(_name: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source;
  if (typeof value !== "number" || source === undefined || isExact(value, source)) return value;
  return json.rawJSON(source);
}

/** True when JSON.stringify writes the same number, perhaps in another form. */
function isExact(value: number, source: string): boolean {
  if (Number.isSafeInteger(value)) return true;
  return Number.isFinite(value) && digitsOf(String(value)) === digitsOf(source);
}

/** The significant digits and the exponent. */
function digitsOf(number: string): string {
  const [mantissa = "", exponent = ""] = number.toLowerCase().split("e");
  return `${mantissa.replace(".", "").replace(/^-?0+/, "")}e${exponent.replace("+", "")}`;
}

/** True for an object, and false for a raw number. */
export function isPlainObject(value: unknown): boolean {
  return isObject(value) && !json.isRawJSON(value);
}

/** Converts a raw number of {@link parseLossless} into a number. Other values stay. */
export function toNumber(value: Json): Json {
  return json.isRawJSON(value) ? Number(JSON.stringify(value)) : value;
}

function roundOthers(value: Json): Json {
  if (Array.isArray(value)) return value.map(roundOthers);
  if (!isObject(value)) return value;
  if (json.isRawJSON(value)) return Number(JSON.stringify(value));
  for (const [name, inner] of Object.entries(value)) {
    const isKept = LOSSLESS_NAMES.has(name) && isPlainObject(inner);
    if (!isKept && typeof inner === "object" && inner !== null) value[name] = roundOthers(inner);
  }
  return value;
}
