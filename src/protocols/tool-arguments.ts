import type { EndReason } from "../core/chat.ts";
import { isObject, type JsonObject } from "../core/json.ts";
import { isDeeper } from "../wire/json-bounds.ts";
import { isPlainObject, parseLossless } from "./lossless-json.ts";

/** The arguments of a tool call as models write them, mostly a JSON object. */

/**
 * The member that holds arguments which are no JSON object, as on Anthropic's page on fine-grained tool streaming.
 * The tool rejects it, so the model learns of it and can call again.
 */
export const INVALID_JSON = "INVALID_JSON";

/** Deepest nesting of arguments. From about 4,000 levels on JSON.stringify overflows the stack. */
const MOST_DEPTH = 1024;

/**
 * Parses arguments into an object for JSON.stringify, with exact numbers. Undefined when the text is no object. Empty
 * text and null are an empty object.
 */
export function parseArguments(text: string): JsonObject | undefined {
  if (text.trim() === "") return {};
  if (isDeeper(text, MOST_DEPTH)) return undefined;
  try {
    const value = parseLossless(text);
    if (value === null) return {};
    return isObject(value) && isPlainObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The arguments as an object, also when the text is invalid. */
export function argumentsObject(text: string): JsonObject {
  return parseArguments(text) ?? { [INVALID_JSON]: text };
}

/** The arguments as JSON text of an object, also when the text is invalid. */
export function argumentsText(text: string): string {
  if (text.trim() === "") return "{}";
  if (parseArguments(text) === undefined) return JSON.stringify({ [INVALID_JSON]: text });
  return text.trim() === "null" ? "{}" : text;
}

/** True for a reply that was truncated. */
export function isTruncated(reason: EndReason): boolean {
  return reason === "length" || reason === "content-filter";
}

/** True for a truncated call, which must not look runnable. */
export function isTruncatedCall(text: string, reason: EndReason): boolean {
  return isTruncated(reason) && (text.trim() === "" || parseArguments(text) === undefined);
}
