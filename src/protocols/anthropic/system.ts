import type { ContentPart } from "../../core/chat.ts";
import type { Replacing } from "../replaced.ts";
import { type Content, readPart, textParts } from "./content.ts";

/**
 * Claude Code's first line to Anthropic's bookkeeping: `x-anthropic-billing-header: cc_version=…; cch=…;`. It says
 * nothing to a model and differs by session or request, so that with it no prompt begins as the one before.
 */
const BILLING = "x-anthropic-billing-header:";

/** The parts of a system prompt, without bookkeeping. */
export function readSystem(content: Content, replacing: Replacing): ContentPart[] {
  if (typeof content === "string") return textParts(withoutBilling(content));
  return content.flatMap((block) => {
    const parts = readPart(block, replacing);
    return parts.flatMap((part) => (part.type === "text" ? textParts(withoutBilling(part.text)) : [part]));
  });
}

function withoutBilling(text: string): string {
  if (!text.startsWith(BILLING)) return text;
  const end = text.indexOf("\n");
  return end < 0 ? "" : withoutBilling(text.slice(end + 1));
}
