import type { End, EndReason, TokenLogprob } from "../../core/chat.ts";
import { refusesWorker } from "../../core/cause.ts";
import { Fault } from "../../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import type { Timings, Usage } from "../../core/usage.ts";
import { parseReplyJson } from "../lossless-json.ts";
import { withoutUndefined } from "../fields.ts";
import { readFinishReason } from "../finish-reason.ts";
import { embeddedFault, isMeaningful, undeclaredError, workerRefusalFault } from "../backend-errors.ts";
import { MAX_EXCERPT_BYTES, plainExcerpt, withoutBom } from "../reply-format.ts";
import { checkReplyBounds } from "../reply-limits.ts";

/** Reads and checks the objects of an Ollama backend's reply. */

/** True for a line without an object: a heartbeat, or a line end. */
export function isBlank(line: Buffer): boolean {
  return line.every((byte) => byte <= SPACE);
}

const SPACE = 0x20;

/** Throws the backend's own fault for an error, and `backend_lost` for a line that is no JSON object. */
export function parseReplyLine(line: Buffer): JsonObject {
  checkReplyBounds(line);
  let value: unknown;
  try {
    value = parseReplyJson(withoutBom(line.toString()));
  } catch (cause) {
    throw notJson(line, cause);
  }
  if (!isObject(value)) throw new Fault("backend_lost", "the backend's reply is not a JSON object");
  // An empty error beside an answer does not count.
  if (isMeaningful(value["error"]) || isUndeclaredError(value)) throw embeddedFault(value);
  return value;
}

/** The fault of a line that is no JSON. A proxy may have replied in plain text. */
function notJson(line: Buffer, cause: unknown): Fault {
  const words = plainExcerpt(line.subarray(0, MAX_EXCERPT_BYTES));
  const message = "the backend's reply is not JSON";
  return new Fault("backend_lost", words === "" ? message : `${message}: ${words}`, { cause });
}

/** True for an error message in another form than Ollama's. */
function isUndeclaredError(value: JsonObject): boolean {
  return value["done"] === undefined && value["status"] !== "success" && undeclaredError(value) !== undefined;
}

/** The fault of an error body. */
export function faultOf(value: JsonObject, status: number | undefined, retryAfter?: number): Fault {
  const message = unwrap(value["error"]) || "the backend reported an error without saying which";
  const options = withoutUndefined<{ http?: number; retryAfter?: number }>({ http: status, retryAfter });
  if (refusesWorker(status)) return workerRefusalFault(status, message, options);
  if (status === 429 || status === 503) return new Fault("backend_busy", message, options);
  return new Fault(status === 404 ? "model_not_found" : "backend_error", message, options);
}

/** Most levels of nested errors. No known server has more than three. */
const MOST_WRAPPED = 8;

/** The message of an error. A runner's error is JSON within Ollama's error string. */
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

/** True for the last object of a reply. A rendered prompt (`_debug_render_only`) is a whole reply as well. */
export function isFinalObject(reply: JsonObject): boolean {
  return reply["done"] === true || reply["_debug_info"] !== undefined;
}

export function incompleteReply(): Fault {
  return new Fault("backend_lost", "the backend's reply ended before it was complete", { blame: "backend" });
}

/** Token counts of the last object; undefined for a load. */
export function usageOf(reply: JsonObject): Usage | undefined {
  const promptTokens = number(reply["prompt_eval_count"]);
  const completionTokens = number(reply["eval_count"]);
  if (promptTokens === undefined && completionTokens === undefined) return undefined;
  return withoutUndefined<Usage>({
    promptTokens: promptTokens ?? 0,
    completionTokens: completionTokens ?? 0,
    cachedTokens: number(reply["prompt_eval_cached_count"]),
  });
}

/** Durations in ns; undefined when the object has none. */
export function timingsOf(reply: JsonObject): Timings | undefined {
  const timings = withoutUndefined<Timings>({
    total: number(reply["total_duration"]),
    load: number(reply["load_duration"]),
    promptEval: number(reply["prompt_eval_duration"]),
    eval: number(reply["eval_duration"]),
  });
  return Object.keys(timings).length === 0 ? undefined : timings;
}

/** The end part for the last object. */
export function endOf(reply: JsonObject, calledTools: boolean): End {
  const context = reply["context"];
  return withoutUndefined<End>({
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
  const finish = readFinishReason(reason);
  if (finish === "length" || finish === "content-filter") return finish;
  return calledTools ? "tool-calls" : "stop";
}

/** Undefined when there are none. */
export function logprobsOf(value: Json | undefined): TokenLogprob[] | undefined {
  return Array.isArray(value) ? value.filter(isObject).map(logprobOf) : undefined;
}

function logprobOf(value: JsonObject): TokenLogprob {
  const bytes = value["bytes"];
  return withoutUndefined<TokenLogprob>({
    token: textOrEmpty(value["token"]),
    logprob: number(value["logprob"]) ?? 0,
    bytes: Array.isArray(bytes) ? bytes.filter((byte) => typeof byte === "number") : undefined,
    top: logprobsOf(value["top_logprobs"]),
  });
}

export function textOrEmpty(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

function number(value: Json | undefined): number | undefined {
  return typeof value === "number" ? value : undefined;
}
