import type { Endpoint } from "../core/task.ts";
import type { Passthrough, Relay } from "../protocols/codec.ts";
import { replyBuffer } from "../protocols/reply-limits.ts";
import { DeferredHeadSink } from "./answer.ts";
import type { Answer } from "./backend.ts";
import { contentTypeOf } from "./http-exchange.ts";
import { type RequestSender, type TaskRun, unreadable } from "./request-sender.ts";

/** Runs a task on a server of the client's dialect: the bytes pass through as they come. */
export async function relay(sender: RequestSender, run: TaskRun, way: Passthrough): Promise<Answer> {
  const { task, model, sink, signal } = run;
  const options = { ...task, asked: task.model, model, learned: sender.learnedFor(run) };
  const reply = way.relay(options);
  const { dropped, ...request } = sender.fit(way.request(options), run);
  const output = new DeferredHeadSink(sink, dropped);
  const whole = replyBuffer();
  let contentType = replyType(undefined, task);
  await sender.send(request, {
    model,
    signal,
    sink,
    trace: task.trace,
    onHead: (headers) => {
      const given = contentTypeOf(headers);
      contentType = replyType(given, task);
      reply.head?.(given ?? "");
    },
    onChunk: (chunk) => {
      let bytes: Buffer;
      try {
        bytes = reply.push(chunk);
      } catch (error) {
        throw unreadable(error);
      }
      if (task.stream) output.write(bytes, reply.contentType ?? contentType);
      else if (bytes.length > 0) whole.add(bytes);
    },
  });
  // An answer in one piece leaves only when its end is known to be sound.
  const last = ended(reply);
  const type = reply.contentType ?? contentType;
  output.write(whole.takeWith(last), type);
  output.end(type);
  const { usage, timings } = reply;
  return timings === undefined ? { usage } : { usage, timings };
}

/** The last bytes of a reply. Throws `backend_lost` when it is not complete. */
function ended(reply: Relay): Buffer {
  try {
    return reply.end();
  } catch (error) {
    throw unreadable(error);
  }
}

const EVENTS = ["text/event-stream"];
/** Loads and unloads are answered in one piece, with or without a wish to stream. */
const LINES = ["application/x-ndjson", "application/json"];
const OBJECT = ["application/json"];

/** Content types that name the form of a stream; for endpoints without streams those of the object. */
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
 * The content type of a relayed reply: the backend's own where it names the form of the bytes. Some servers send
 * `text/plain` or nothing, and client libraries then do not read the reply.
 */
export function replyType(
  given: string | undefined,
  { endpoint, stream }: { readonly endpoint: Endpoint; readonly stream: boolean },
): string {
  const types = STREAMS.get(endpoint);
  if (types === undefined) return given ?? "application/json";
  const fitting = stream ? types : OBJECT;
  const essence = given?.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  return given !== undefined && fitting.includes(essence) ? given : (fitting[0] ?? "");
}
