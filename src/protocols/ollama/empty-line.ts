import { chatLayout, generateLayout } from "./layout.ts";
import { StreamWriter } from "./writer.ts";

/** A line of a stream that says nothing. @param now wall clock, ms since 1970 */
export function emptyLine(endpoint: "ollama-generate" | "ollama-chat", model: string, now: number): string {
  const layout = endpoint === "ollama-chat" ? chatLayout : generateLayout;
  const context = { model, stream: true, id: "", now: () => now, startedAt: now, body: {} };
  return new StreamWriter(layout, context).write({ type: "text-delta", text: "" });
}
