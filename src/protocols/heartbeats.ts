import type { Endpoint, Task } from "../core/task.ts";
import { sseComment, sseEvent } from "../wire/sse.ts";
import { chatLayout, generateLayout } from "./ollama/object-layout.ts";
import { LineStreamWriter } from "./ollama/reply-writer.ts";

/** Keeps a stream alive until its answer begins. */
export interface Heartbeat {
  /** The content type of the stream. The first heartbeat may precede the head of the answer. */
  readonly contentType: string;
  /** A whole event or line that every client of the endpoint ignores. */
  readonly text: string;
}

interface HeartbeatOptions {
  /** True sends heartbeats in NDJSON streams as well: objects with empty text, because clients reject blank lines. */
  readonly ndjson: boolean;
  /** Wall clock, ms since 1970. */
  readonly now: number;
}

const COMMENT: Heartbeat = { contentType: "text/event-stream", text: sseComment("keep-alive") };
const PING: Heartbeat = { contentType: "text/event-stream", text: sseEvent("ping", '{"type":"ping"}') };

const EVENTS: ReadonlyMap<Endpoint, Heartbeat> = new Map<Endpoint, Heartbeat>([
  ["openai-chat", COMMENT],
  ["openai-completion", COMMENT],
  ["openai-responses", COMMENT],
  ["openai-infill", COMMENT],
  ["anthropic-messages", PING],
]);

/** The heartbeat of a task's stream; undefined for none. */
export function heartbeatOf(
  { endpoint, model, stream }: Pick<Task, "endpoint" | "model" | "stream">,
  { ndjson, now }: HeartbeatOptions,
): Heartbeat | undefined {
  if (!stream) return undefined;
  if (endpoint !== "ollama-generate" && endpoint !== "ollama-chat") return EVENTS.get(endpoint);
  return ndjson ? { contentType: "application/x-ndjson", text: emptyLine(endpoint, model, now) } : undefined;
}

/** A line of Ollama's stream with empty text. @param now wall clock, ms since 1970 */
function emptyLine(endpoint: "ollama-generate" | "ollama-chat", model: string, now: number): string {
  const layout = endpoint === "ollama-chat" ? chatLayout : generateLayout;
  const context = { model, stream: true, id: "", now: () => now, startedAt: now, body: {} };
  return new LineStreamWriter(layout, context).write({ type: "text-delta", text: "" });
}
