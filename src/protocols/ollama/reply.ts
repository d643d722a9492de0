import type { End, EndReason, TokenLogprob } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import type { Timings, Usage } from "../../core/usage.ts";
import { parseReplyExactly } from "../exact.ts";
import { setOnly } from "../fields.ts";
import { refusesWorker, workerRefused } from "../refused.ts";

/** The objects of an Ollama backend's reply, checked as they are read. */

/** True for what holds no object: a heartbeat, or the end of a line. */
export function isBlank(line: Buffer): boolean {
  return line.every((byte) => byte <= SPACE);
}

const SPACE = 0x20;

/** Throws `backend_lost` when the line is not a JSON object, and the backend's own fault when it tells one. */
export function parseReply(line: Buffer): JsonObject {
  let value: unknown;
  try {
    value = parseReplyExactly(line.toString());
  } catch (cause) {
    throw new Fault("backend_lost", "the backend's reply is not JSON", { cause });
  }
  if (!isObject(value)) throw new Fault("backend_lost", "the backend's reply is not a JSON object");
  if (isError(value["error"])) throw faultOf(value, statusOf(value));
  return value;
}

/** An empty error beside an answer is none. */
function isError(error: Json | undefined): boolean {
  return error !== undefined && error !== null && error !== "" && error !== false;
}

/** Mid-stream errors of newer versions carry the status they would have had. */
function statusOf(value: JsonObject): number | undefined {
  const status = value["status"];
  return typeof status === "number" && status >= 400 && status < 600 ? status : undefined;
}

/** The fault of an error body; a status of undefined stands for an error within a stream. */
export function faultOf(value: JsonObject, status: number | undefined, retryAfter?: number): Fault {
  const message = unwrap(value["error"]) || "the backend reported an error without saying which";
  const options = setOnly<{ http?: number; retryAfter?: number }>({ http: status, retryAfter });
  if (refusesWorker(status)) return workerRefused(status, message, options);
  if (status === 429 || status === 503) return new Fault("backend_busy", message, options);
  return new Fault(status === 404 ? "model_not_found" : "backend_error", message, options);
}

/** A runner's error is JSON within Ollama's error string: its message is what people want to read. */
function unwrap(error: Json | undefined): string {
  if (isObject(error)) return unwrap(error["message"] ?? error["error"]);
  if (typeof error !== "string") return "";
  if (!error.startsWith("{")) return error;
  try {
    return unwrap(JSON.parse(error) as Json) || error;
  } catch {
    return error;
  }
}

/** True for the object that ends a reply; a rendered prompt (`_debug_render_only`) is a whole reply too. */
export function isLast(reply: JsonObject): boolean {
  return reply["done"] === true || reply["_debug_info"] !== undefined;
}

export function incomplete(): Fault {
  return new Fault("backend_lost", "the backend's reply ended before it was complete");
}

/** What the last object tells about tokens; undefined for a load. */
export function usageOf(reply: JsonObject): Usage | undefined {
  const promptTokens = number(reply["prompt_eval_count"]);
  const completionTokens = number(reply["eval_count"]);
  if (promptTokens === undefined && completionTokens === undefined) return undefined;
  return setOnly<Usage>({
    promptTokens: promptTokens ?? 0,
    completionTokens: completionTokens ?? 0,
    cachedTokens: number(reply["prompt_eval_cached_count"]),
  });
}

/** Durations in ns; undefined when none is told. */
export function timingsOf(reply: JsonObject): Timings | undefined {
  const timings = setOnly<Timings>({
    total: number(reply["total_duration"]),
    load: number(reply["load_duration"]),
    promptEval: number(reply["prompt_eval_duration"]),
    eval: number(reply["eval_duration"]),
  });
  return Object.keys(timings).length === 0 ? undefined : timings;
}

/** The end that the last object tells. */
export function endOf(reply: JsonObject, calledTools: boolean): End {
  const context = reply["context"];
  return setOnly<End>({
    type: "end",
    reason: reasonOf(reply["done_reason"], calledTools),
    usage: usageOf(reply),
    timings: timingsOf(reply),
    context: Array.isArray(context) ? context.filter((token) => typeof token === "number") : undefined,
  });
}

function reasonOf(reason: Json | undefined, calledTools: boolean): EndReason {
  if (reason === "length" || reason === "load" || reason === "unload") return reason;
  if (reason === "content_filter") return "content-filter";
  return calledTools ? "tool-calls" : "stop";
}

/** Undefined when there are none. */
export function logprobsOf(value: Json | undefined): TokenLogprob[] | undefined {
  return Array.isArray(value) ? value.filter(isObject).map(logprobOf) : undefined;
}

function logprobOf(value: JsonObject): TokenLogprob {
  const bytes = value["bytes"];
  return setOnly<TokenLogprob>({
    token: text(value["token"]),
    logprob: number(value["logprob"]) ?? 0,
    bytes: Array.isArray(bytes) ? bytes.filter((byte) => typeof byte === "number") : undefined,
    top: logprobsOf(value["top_logprobs"]),
  });
}

export function text(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

function number(value: Json | undefined): number | undefined {
  return typeof value === "number" ? value : undefined;
}
