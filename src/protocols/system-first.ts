import type { ContentPart, Message } from "../core/chat.ts";
import { isObject, type Json, type JsonObject } from "../core/json.ts";

/**
 * One message of the system, and that first: the templates of many models refuse any other place, and know no
 * `developer`. Agents put such messages where they like.
 */

/** The gap between instructions that become one message. */
const GAP = "\n\n";

function isSystem(role: Json | undefined): boolean {
  return role === "system" || role === "developer";
}

function isOfSystem(message: Json): boolean {
  return isObject(message) && isSystem(message["role"]);
}

/** The messages with those of the system as the first one, joined by a blank line. */
export function systemFirst(messages: readonly Message[]): readonly Message[] {
  const system = messages.filter(({ role }) => isSystem(role));
  if (system.length === 0) return messages;
  const content = joinTexts(system.flatMap((message) => message.content));
  const [only] = system.length === 1 ? system : [];
  return [{ ...only, role: "system", content }, ...messages.filter(({ role }) => !isSystem(role))];
}

/** The texts as one, which a blank line parts; what is no text follows. */
export function joinTexts(parts: readonly ContentPart[]): readonly ContentPart[] {
  const texts = parts.flatMap((part) => (part.type === "text" && part.text !== "" ? [part.text] : []));
  const others = parts.filter(({ type }) => type !== "text");
  return texts.length === 0 ? others : [{ type: "text", text: texts.join(GAP) }, ...others];
}

/** True when a message of the system is not the first one, or there is a `developer`. */
export function isSystemLate(body: JsonObject): boolean {
  const { messages } = body;
  if (!Array.isArray(messages)) return false;
  return messages.some((message, index) => {
    const role = isObject(message) ? message["role"] : undefined;
    return role === "developer" || (role === "system" && index > 0);
  });
}

/** As {@link systemFirst}, for the messages of a client's body; as they are when one of the system is no text. */
export function withSystemFirst(body: JsonObject): JsonObject {
  const { messages } = body;
  if (!Array.isArray(messages) || !isSystemLate(body)) return body;
  const texts = messages
    .filter(isOfSystem)
    .map((message) => textOf(isObject(message) ? message["content"] : null));
  if (texts.includes(undefined)) return body;
  const system = { role: "system", content: texts.filter((text) => text !== "").join(GAP) };
  return { ...body, messages: [system, ...messages.filter((message) => !isOfSystem(message))] };
}

/** Undefined for content with more than text. */
function textOf(content: Json | undefined): string | undefined {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return undefined;
  const texts = content.map((part) => (isObject(part) ? part["text"] : undefined));
  return texts.every((text) => typeof text === "string") ? texts.join(GAP) : undefined;
}
