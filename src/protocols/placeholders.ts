import type { ContentPart, Message, NeutralRequest } from "../core/chat.ts";
import type { Fault } from "../core/fault.ts";

/** A request without unsupported content, and the names of replaced parts: `messages.image`. */
interface ReplacedContent<T> {
  readonly request: T;
  readonly dropped: readonly string[];
}

/**
 * Replaces unsupported content by placeholders, in earlier messages and in results of tools. The user's newest
 * message stays, so that it is either served or rejected.
 * @param unfit returns the type of an unsupported part, else undefined
 */
export function replaceUnsupported<T extends NeutralRequest>(
  request: T,
  unsupportedType: (part: ContentPart) => string | undefined,
): ReplacedContent<T> {
  if (request.kind !== "chat") return { request, dropped: [] };
  const newest = newestTurn(request.messages);
  const dropped = new Set<string>();
  const messages = request.messages.map((message, index) => {
    if (index === newest || message.content.every((part) => unsupportedType(part) === undefined))
      return message;
    const content = message.content.map((part) => {
      const type = unsupportedType(part);
      if (type === undefined) return part;
      dropped.add(`messages.${type}`);
      return placeholder(type);
    });
    return { ...message, content };
  });
  return dropped.size === 0
    ? { request, dropped: [] }
    : { request: { ...request, messages }, dropped: [...dropped] };
}

/** The index of the user's last message, or -1 when an assistant or a tool comes right before the end. */
function newestTurn(messages: readonly Message[]): number {
  const last = messages.findLastIndex(speaks);
  const before = messages.findLastIndex((message, index) => index < last && speaks(message));
  const isUsers = messages[last]?.role === "user" && messages[before]?.role !== "tool";
  return isUsers ? last : -1;
}

function speaks({ role }: Message): boolean {
  return role !== "system" && role !== "developer";
}

/** A sentence instead of content that the model cannot get. */
export function placeholder(type: string): ContentPart {
  return { type: "text", text: `[Content of type ${type} was here. It cannot be shown to this model.]` };
}

/** Records the type of replaced content. Undefined where such content must be rejected. */
export type OnReplaced = ((type: string) => void) | undefined;

/**
 * Returns a placeholder for unsupported content. In earlier messages a rejection would end the conversation for good.
 * Throws the fault where nothing may be replaced.
 */
export function replaceOrThrow(type: string, onReplaced: OnReplaced, fault: Fault): ContentPart[] {
  if (onReplaced === undefined) throw fault;
  onReplaced(type);
  return [placeholder(type)];
}
