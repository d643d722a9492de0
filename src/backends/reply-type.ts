import type { Endpoint } from "../core/task.ts";

const EVENTS = ["text/event-stream"];
/** Loads and unloads are answered in one piece, whatever was asked for. */
const LINES = ["application/x-ndjson", "application/json"];
const OBJECT = ["application/json"];

/** The types that say what the bytes of a stream are, of what is never streamed those of the object. */
const STREAMS: ReadonlyMap<Endpoint, readonly string[]> = new Map<Endpoint, readonly string[]>([
  ["openai-chat", EVENTS],
  ["openai-completion", EVENTS],
  ["ollama-chat", LINES],
  ["ollama-generate", LINES],
  ["openai-embeddings", OBJECT],
  ["ollama-embed", OBJECT],
  ["ollama-embeddings", OBJECT],
]);

/**
 * The content type of a reply that is forwarded: the backend's own where it says what the bytes are. Some servers say
 * `text/plain`, or nothing; libraries then do not read the reply.
 */
export function replyType(
  told: string | undefined,
  { endpoint, stream }: { readonly endpoint: Endpoint; readonly stream: boolean },
): string {
  const types = STREAMS.get(endpoint);
  if (types === undefined) return told ?? "application/json";
  const fitting = stream ? types : OBJECT;
  const essence = told?.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  return told !== undefined && fitting.includes(essence) ? told : (fitting[0] ?? "");
}
