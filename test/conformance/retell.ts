import { isObject, type JsonObject } from "../../src/core/json.ts";
import type { Transcript } from "../rig/transcript.ts";
import { callsIn, eventsOf, readTelling, type Telling, textIn } from "./telling.ts";

/** A reply in an API of the backend's own. */
export interface Retold {
  readonly contentType: string;
  readonly chunks: readonly string[];
}

const CREATED_AT = "2026-11-22T20:03:32.691367651Z";

/**
 * The native reply that Ollama's /v1 endpoints translated into this recording. They turn each native object into one
 * event, so the way back is known. `asked` is the request that the stand-in got.
 */
export function retellOllama(path: string, asked: JsonObject, transcript: Transcript): Retold {
  const contentType = transcript.headers.get("content-type") ?? "";
  const body = transcript.body.toString();
  if (path === "/api/embed") return retellVectors(asked, contentType, body);
  const meaningful = readTelling(contentType, body);
  const write = (message: JsonObject, more: JsonObject): string => {
    const { content, ...others } = message;
    const told =
      path === "/api/chat"
        ? { message: { role: "assistant", ...message } }
        : { response: content, ...others };
    return `${JSON.stringify({ model: asked["model"], created_at: CREATED_AT, ...told, ...more })}\n`;
  };
  const last = { done: true, done_reason: nativeReason(meaningful), ...metrics(meaningful) };
  if (asked["stream"] === false) {
    return {
      contentType: "application/json; charset=utf-8",
      chunks: [write(wholeMessage(meaningful), { ...last, ...wholeLogprobs(meaningful) })],
    };
  }
  const chunks = meaningful.parts.map((part, index) => {
    if (part.kind === "call") return write({ content: "", tool_calls: [nativeCall(part, index)] }, NOT_DONE);
    const message = part.kind === "text" ? { content: part.text } : { content: "", thinking: part.text };
    return write(message, part.logprobs === undefined ? NOT_DONE : { ...NOT_DONE, logprobs: part.logprobs });
  });
  const end =
    meaningful.finish === undefined ? `${JSON.stringify({ error: CRASH })}\n` : write({ content: "" }, last);
  return { contentType: "application/x-ndjson", chunks: [...chunks, end] };
}

const NOT_DONE = { done: false };
/** The last line of Ollama's native streams when its runner dies, as recorded. */
export const CRASH = "an error was encountered while running the model: unexpected EOF";

function nativeReason({ finish }: Telling): string {
  return ["length", "load", "max_tokens", "incomplete"].includes(finish ?? "")
    ? (finish ?? "").replace(/max_tokens|incomplete/, "length")
    : "stop";
}

function metrics({ promptTokens, completionTokens }: Telling): JsonObject {
  const counts = { prompt_eval_count: promptTokens ?? 0, eval_count: completionTokens ?? 0 };
  return { total_duration: 9_000_000, load_duration: 1_000_000, ...counts };
}

function wholeMessage(meaningful: Telling): JsonObject {
  const thinking = textIn(meaningful, "thinking");
  const calls = meaningful.parts.filter((part) => part.kind === "call").map(nativeCall);
  return {
    content: textIn(meaningful, "text"),
    ...(thinking === "" ? {} : { thinking }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
}

function wholeLogprobs(meaningful: Telling): JsonObject {
  const logprobs = meaningful.parts.flatMap((part) =>
    part.kind !== "call" && Array.isArray(part.logprobs) ? part.logprobs : [],
  );
  return logprobs.length === 0 ? {} : { logprobs };
}

function nativeCall(
  { id, name, args }: { readonly id: string; readonly name: string; readonly args: string },
  index: number,
): JsonObject {
  return { id, function: { index, name, arguments: JSON.parse(args) as JsonObject } };
}

function retellVectors(asked: JsonObject, contentType: string, body: string): Retold {
  const [{ data } = { data: {} }] = eventsOf(contentType, body);
  const list = isObject(data) && Array.isArray(data["data"]) ? data["data"].filter(isObject) : [];
  const usage = isObject(data) && isObject(data["usage"]) ? data["usage"] : {};
  const embeddings = list.map(({ embedding }) =>
    typeof embedding === "string" ? floatsOf(embedding) : embedding,
  );
  const told = { model: asked["model"], embeddings, prompt_eval_count: usage["prompt_tokens"] };
  return { contentType: "application/json; charset=utf-8", chunks: [JSON.stringify(told)] };
}

function floatsOf(base64: string): number[] {
  const bytes = Buffer.from(base64, "base64");
  return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4));
}

/** The chat completion of llama.cpp that belongs to a recording of its other endpoints. */
export function retellLlamacpp(asked: JsonObject, transcript: Transcript): Retold {
  const meaningful = readTelling(transcript.headers.get("content-type") ?? "", transcript.body.toString());
  const [prompt, completion] = [meaningful.promptTokens ?? 0, meaningful.completionTokens ?? 0];
  const usage = {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
  };
  const base = { created: 1_795_378_295, id: "chatcmpl-1", model: "smollm2", system_fingerprint: "b0" };
  const finish = { finish_reason: finishOf(meaningful), index: 0 };
  if (asked["stream"] !== true) {
    const message = { role: "assistant", content: textIn(meaningful, "text") };
    const whole = { choices: [{ ...finish, message }], ...base, object: "chat.completion", usage };
    return { contentType: "application/json; charset=utf-8", chunks: [JSON.stringify(whole)] };
  }
  const write = (more: JsonObject): string =>
    `data: ${JSON.stringify({ ...more, ...base, object: "chat.completion.chunk" })}\n\n`;
  const deltas = meaningful.parts.flatMap((part) => (part.kind === "text" ? [{ content: part.text }] : []));
  const chunks = [{ role: "assistant", content: null }, ...deltas].map((delta) =>
    write({ choices: [{ finish_reason: null, index: 0, delta }] }),
  );
  const end = [write({ choices: [{ ...finish, delta: {} }] }), write({ choices: [], usage })];
  return { contentType: "text/event-stream", chunks: [...chunks, ...end, "data: [DONE]\n\n"] };
}

function finishOf(meaningful: Telling): string {
  if (callsIn(meaningful).length > 0) return "tool_calls";
  return nativeReason(meaningful);
}
