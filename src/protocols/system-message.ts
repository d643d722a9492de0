import type { ContentPart, Message } from "../core/chat.ts";
import { isObject, type Json, type JsonObject } from "../core/json.ts";

/**
 * Merges all system messages into one, in front. The templates of many models reject other positions and `developer`,
 * but agents use both.
 */

/** The separator between merged instructions. */
const GAP = "\n\n";

function isSystem(role: Json | undefined): boolean {
  return role === "system" || role === "developer";
}

function isSystemMessage(message: Json): boolean {
  return isObject(message) && isSystem(message["role"]);
}

/** Returns the messages with one merged system message in front. */
export function mergeSystemMessages(messages: readonly Message[]): readonly Message[] {
  const system = messages.filter(({ role }) => isSystem(role));
  if (system.length === 0) return messages;
  const content = joinTexts(system.flatMap((message) => message.content));
  const [only] = system.length === 1 ? system : [];
  return [{ ...only, role: "system", content }, ...messages.filter(({ role }) => !isSystem(role))];
}

/** Joins all texts by blank lines. Other parts follow. */
export function joinTexts(parts: readonly ContentPart[]): readonly ContentPart[] {
  const texts = parts.flatMap((part) => (part.type === "text" && part.text !== "" ? [part.text] : []));
  const others = parts.filter(({ type }) => type !== "text");
  return texts.length === 0 ? others : [{ type: "text", text: texts.join(GAP) }, ...others];
}

/** True when a system message is not the first message, or the role is `developer`. */
export function hasLateSystemMessage(body: JsonObject): boolean {
  const { messages } = body;
  if (!Array.isArray(messages)) return false;
  return messages.some((message, index) => {
    const role = isObject(message) ? message["role"] : undefined;
    return role === "developer" || (role === "system" && index > 0);
  });
}

/**
 * Like {@link mergeSystemMessages}, for a client's body. It stays unchanged when a system message has more than text.
 */
export function withMergedSystem(body: JsonObject): JsonObject {
  const { messages } = body;
  if (!Array.isArray(messages) || !hasLateSystemMessage(body)) return body;
  const texts = messages
    .filter(isSystemMessage)
    .map((message) => textOf(isObject(message) ? message["content"] : null));
  if (texts.includes(undefined)) return body;
  const system = { role: "system", content: texts.filter((text) => text !== "").join(GAP) };
  return { ...body, messages: [system, ...messages.filter((message) => !isSystemMessage(message))] };
}

/** Returns undefined for content with more than text. */
function textOf(content: Json | undefined): string | undefined {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return undefined;
  const texts = content.map((part) => (isObject(part) ? part["text"] : undefined));
  return texts.every((text) => typeof text === "string") ? texts.join(GAP) : undefined;
}
