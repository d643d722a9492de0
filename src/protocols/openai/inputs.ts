import type { EmbedInput } from "../../core/chat.ts";
import type { Json } from "../../core/json.ts";

/**
 * The list that a prompt or an input can be: texts, lists of token ids, or the token ids of one. Throws `fault` for
 * anything else, the empty list included.
 */
export function checkInputs(list: Json, fault: () => Error): readonly EmbedInput[] {
  if (!Array.isArray(list) || list.length === 0) throw fault();
  if (list.every((item) => typeof item === "string")) return list;
  if (isTokens(list)) return [list];
  if (list.every(isTokens)) return list;
  throw fault();
}

function isTokens(value: Json): value is number[] {
  return Array.isArray(value) && value.length > 0 && value.every(isToken);
}

function isToken(value: Json): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
