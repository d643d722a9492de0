import type { EndReason } from "../core/chat.ts";
import { isObject, type JsonObject } from "../core/json.ts";
import { isDeeper } from "../wire/json-bounds.ts";
import { isPlainObject, parseExact } from "./exact.ts";

/** The arguments of a tool call as models write them: a JSON object, most of the time. */

/**
 * The name of the one member of arguments that stand for a text which is no JSON object. Anthropic's page on
 * fine-grained tool streaming has this form. A tool refuses it, which its model is told, and can then call it again.
 */
export const INVALID_JSON = "INVALID_JSON";

/** Most levels of arguments: from some 4,000 on a function that writes them runs out of stack. */
const MOST_DEPTH = 1024;

/**
 * The arguments as an object, for JSON.stringify: its numbers are kept exactly. Undefined when the text is not one.
 * No text, and null, is an empty object.
 */
export function argumentsOf(text: string): JsonObject | undefined {
  if (text.trim() === "") return {};
  if (isDeeper(text, MOST_DEPTH)) return undefined;
  try {
    const value = parseExact(text);
    if (value === null) return {};
    return isObject(value) && isPlainObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The arguments where only an object can stand. */
export function argumentsObject(text: string): JsonObject {
  return argumentsOf(text) ?? { [INVALID_JSON]: text };
}

/** Arguments of a conversation as JSON text, whatever the model wrote. */
export function argumentsText(text: string): string {
  if (text.trim() === "") return "{}";
  if (argumentsOf(text) === undefined) return JSON.stringify({ [INVALID_JSON]: text });
  return text.trim() === "null" ? "{}" : text;
}

/** True for a reply that was stopped before the model had ended it. */
export function isCut(reason: EndReason): boolean {
  return reason === "length" || reason === "content-filter";
}

/** True for a call that was stopped in its middle: it must not look like one that can be run. */
export function isCutCall(text: string, reason: EndReason): boolean {
  return isCut(reason) && (text.trim() === "" || argumentsOf(text) === undefined);
}
