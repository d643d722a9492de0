import type { Endpoint, Task } from "../core/task.ts";
import { sseComment, sseEvent } from "../wire/sse.ts";
import { emptyLine } from "./ollama/empty-line.ts";

/** What keeps a stream alive while its answer is not there yet. */
export interface Heartbeat {
  /** Of the stream: the first heartbeat may come before the answer's own head. */
  readonly contentType: string;
  /** A whole event or line, which every client of the endpoint passes over. */
  readonly text: string;
}

export interface HeartbeatOptions {
  /** True gives NDJSON streams heartbeats too: objects with empty text, as no client takes a blank line. */
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

/** The heartbeat of a task's stream; undefined where there is none. */
export function heartbeatOf(
  { endpoint, model, stream }: Pick<Task, "endpoint" | "model" | "stream">,
  { ndjson, now }: HeartbeatOptions,
): Heartbeat | undefined {
  if (!stream) return undefined;
  if (endpoint !== "ollama-generate" && endpoint !== "ollama-chat") return EVENTS.get(endpoint);
  return ndjson ? { contentType: "application/x-ndjson", text: emptyLine(endpoint, model, now) } : undefined;
}
