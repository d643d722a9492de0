import type { End, EndReason, TokenLogprob } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import type { Timings, Usage } from "../../core/usage.ts";
import { parseReplyExactly } from "../exact.ts";
import { setOnly } from "../fields.ts";
import { finishOf } from "../openai/ends.ts";
import { complaintIn, embeddedFault, says } from "../openai/errors.ts";
import { refusesWorker, workerRefused } from "../refused.ts";
import { MOST_TOLD, plainText, withoutMark } from "../reply-form.ts";
import { checkHeld } from "../whole.ts";

/** The objects of an Ollama backend's reply, checked as they are read. */

/** True for what holds no object: a heartbeat, or the end of a line. */
export function isBlank(line: Buffer): boolean {
  return line.every((byte) => byte <= SPACE);
}

const SPACE = 0x20;

/** Throws `backend_lost` when the line is not a JSON object, and the backend's own fault when it tells one. */
export function parseReply(line: Buffer): JsonObject {
  checkHeld(line);
  let value: unknown;
  try {
    value = parseReplyExactly(withoutMark(line.toString()));
  } catch (cause) {
    throw notJson(line, cause);
  }
  if (!isObject(value)) throw new Fault("backend_lost", "the backend's reply is not a JSON object");
  // An empty error beside an answer is none.
  if (says(value["error"]) || isComplaint(value)) throw embeddedFault(value);
  return value;
}

/** A server before the backend may have said in plain words why there is no answer. */
function notJson(line: Buffer, cause: unknown): Fault {
  const words = plainText(line.subarray(0, MOST_TOLD));
  const message = "the backend's reply is not JSON";
  return new Fault("backend_lost", words === "" ? message : `${message}: ${words}`, { cause });
}

/** Words about what went wrong, in a form that is no answer's and none of Ollama's errors. */
function isComplaint(value: JsonObject): boolean {
  return value["done"] === undefined && value["status"] !== "success" && complaintIn(value) !== undefined;
}

/** The fault of an error body. */
export function faultOf(value: JsonObject, status: number | undefined, retryAfter?: number): Fault {
  const message = unwrap(value["error"]) || "the backend reported an error without saying which";
  const options = setOnly<{ http?: number; retryAfter?: number }>({ http: status, retryAfter });
  if (refusesWorker(status)) return workerRefused(status, message, options);
  if (status === 429 || status === 503) return new Fault("backend_busy", message, options);
  return new Fault(status === 404 ? "model_not_found" : "backend_error", message, options);
}

/** Errors within errors that are looked into: no server has more than three. */
const MOST_WRAPPED = 8;

/** A runner's error is JSON within Ollama's error string: its message is what people want to read. */
function unwrap(error: Json | undefined, levels: number = MOST_WRAPPED): string {
  if (levels === 0) return "";
  if (isObject(error)) return unwrap(error["message"] ?? error["error"], levels - 1);
  if (typeof error !== "string") return "";
  if (!error.startsWith("{")) return error;
  try {
    return unwrap(JSON.parse(error) as Json, levels - 1) || error;
  } catch {
    return error;
  }
}

/** True for the object that ends a reply; a rendered prompt (`_debug_render_only`) is a whole reply too. */
export function isLast(reply: JsonObject): boolean {
  return reply["done"] === true || reply["_debug_info"] !== undefined;
}

export function incomplete(): Fault {
  return new Fault("backend_lost", "the backend's reply ended before it was complete", { blame: "backend" });
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

/** Throws `backend_lost` for a reason that stands for a failure. */
function reasonOf(reason: Json | undefined, calledTools: boolean): EndReason {
  if (reason === "load" || reason === "unload") return reason;
  const finish = finishOf(reason);
  if (finish === "length" || finish === "content-filter") return finish;
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
