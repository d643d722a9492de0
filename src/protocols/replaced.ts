import type { ContentPart } from "../core/chat.ts";
import type { Fault } from "../core/fault.ts";
import { insteadOf } from "./fitting.ts";

/** Takes note of what a sentence replaces, by its type; undefined where it has to be refused instead. */
export type Replacing = ((type: string) => void) | undefined;

/**
 * A sentence in the place of something that this model cannot be given. In what is past it is all that can be done:
 * a refusal would end the conversation for good. Throws the fault where nothing may be replaced.
 */
export function replaced(type: string, replacing: Replacing, fault: Fault): ContentPart[] {
  if (replacing === undefined) throw fault;
  replacing(type);
  return [insteadOf(type)];
}
