import assert from "node:assert/strict";
import { SUMMARY } from "../rig/backends/scripted-model.ts";

/** A prompt as a backend was sent it. */
export interface Prompt {
  readonly messages: readonly { readonly role: string }[];
  readonly text: string;
  /** The tools as text; empty for none. */
  readonly tools: string;
}

/** The prompt in a request of a backend of either dialect. */
export function promptOf(body: Readonly<Record<string, unknown>>): Prompt {
  const messages = body["messages"] as Prompt["messages"];
  const tools = body["tools"] === undefined ? "" : listed(body["tools"]);
  return { messages, text: listed(messages), tools };
}

/** A list without its end, so that more may follow. */
function listed(list: unknown): string {
  return JSON.stringify(list).slice(0, -1);
}

/** True when two prompts begin with the same two messages, and their client did not shorten the conversation. */
function isSameConversation(a: Prompt, b: Prompt): boolean {
  if (a.text.includes(SUMMARY) !== b.text.includes(SUMMARY)) return false;
  return JSON.stringify(a.messages.slice(0, 2)) === JSON.stringify(b.messages.slice(0, 2));
}

/**
 * Checks that every later prompt of a conversation begins, byte by byte, with every earlier one. The same holds for its
 * tools. Otherwise no backend can reuse its cached prompt. Returns the number of pairs.
 */
export function assertPrefixes(prompts: readonly Prompt[], about: string): number {
  let pairs = 0;
  for (const [index, later] of prompts.entries()) {
    for (const earlier of prompts.slice(0, index)) {
      if (!isSameConversation(earlier, later)) continue;
      pairs += 1;
      assert.ok(later.text.startsWith(earlier.text), `${about}: request ${index} breaks the prefix`);
      // A summary is asked for without tools.
      const hasTools = later.tools !== "" && earlier.tools !== "";
      const isKept = !hasTools || later.tools.startsWith(earlier.tools);
      assert.ok(isKept, `${about}: request ${index} changes the tools before it`);
    }
  }
  return pairs;
}
