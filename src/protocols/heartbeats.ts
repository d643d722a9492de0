import type { Task } from "../core/task.ts";
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

/** The heartbeat of a task's stream; undefined where there is none. */
export function heartbeatOf(
  task: Pick<Task, "endpoint" | "model" | "stream">,
  { ndjson, now }: HeartbeatOptions,
): Heartbeat | undefined {
  if (!task.stream) return undefined;
  switch (task.endpoint) {
    case "openai-chat":
    case "openai-completion":
    case "openai-responses":
      return COMMENT;
    case "anthropic-messages":
      return PING;
    case "ollama-generate":
    case "ollama-chat":
      return ndjson
        ? { contentType: "application/x-ndjson", text: emptyLine(task.endpoint, task.model, now) }
        : undefined;
    case "ollama-embed":
    case "ollama-embeddings":
    case "openai-embeddings":
    case "anthropic-count-tokens":
      return undefined;
  }
}
