import type { ContentPart, Message, NeutralRequest } from "../core/chat.ts";

/** A request that a backend can be given, and what of it a sentence replaced: `messages.image`. */
export interface Fitted<T> {
  readonly request: T;
  readonly dropped: readonly string[];
}

/**
 * Replaces what a backend cannot be given in the past of a chat and in the results of tools. The user's newest turn
 * stays as it is: what it asks for is granted or refused.
 * @param unfit the type of a part that the backend cannot be given, else undefined
 */
export function fitChat<T extends NeutralRequest>(
  request: T,
  unfit: (part: ContentPart) => string | undefined,
): Fitted<T> {
  if (request.kind !== "chat") return { request, dropped: [] };
  const newest = newestTurn(request.messages);
  const dropped = new Set<string>();
  const messages = request.messages.map((message, index) => {
    if (index === newest || message.content.every((part) => unfit(part) === undefined)) return message;
    const content = message.content.map((part) => {
      const type = unfit(part);
      if (type === undefined) return part;
      dropped.add(`messages.${type}`);
      return insteadOf(type);
    });
    return { ...message, content };
  });
  return dropped.size === 0
    ? { request, dropped: [] }
    : { request: { ...request, messages }, dropped: [...dropped] };
}

/** The user's last message, when neither the assistant nor a tool has said anything right before its end; else -1. */
function newestTurn(messages: readonly Message[]): number {
  const last = messages.findLastIndex(speaks);
  const before = messages.findLastIndex((message, index) => index < last && speaks(message));
  const isUsers = messages[last]?.role === "user" && messages[before]?.role !== "tool";
  return isUsers ? last : -1;
}

function speaks({ role }: Message): boolean {
  return role !== "system" && role !== "developer";
}

/** A sentence in the place of something that a model cannot be given. */
export function insteadOf(type: string): ContentPart {
  return { type: "text", text: `[Content of type ${type} was here. It cannot be shown to this model.]` };
}
