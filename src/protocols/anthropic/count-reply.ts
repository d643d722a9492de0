import { misplaced } from "../misplaced.ts";
import type { ReplyWriter } from "../protocol.ts";

/** Writes the count that the end part carries as the usage of its prompt. Throws `backend_lost` for other parts. */
export function openCountReply(): ReplyWriter {
  return {
    contentType: "application/json",
    write(part) {
      if (part.type !== "end") throw misplaced(part);
      return countBody(part.usage?.promptTokens ?? 0);
    },
  };
}

/** The body of a count. */
export function countBody(tokens: number): string {
  return JSON.stringify({ input_tokens: tokens });
}
