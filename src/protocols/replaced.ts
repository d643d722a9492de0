import type { ContentPart } from "../core/chat.ts";

/** What stands in a conversation in the place of something that this model cannot be given. */
export function standIn(type: string): ContentPart {
  return { type: "text", text: `[Content of type ${type} was here. It cannot be shown to this model.]` };
}
