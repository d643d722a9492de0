import type { NeutralRequest, Part } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { isObject } from "../../core/json.ts";
import { append } from "../../core/long-lists.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import type { Timings, Usage } from "../../core/usage.ts";
import { isTruncated } from "../tool-arguments.ts";
import { usageOrEstimate } from "../token-estimate.ts";
import type { Learned } from "../codec.ts";
import { readMessageText, readText } from "../message-text.ts";
import { ToolCallReader } from "./tool-call-reader.ts";
import { truncatedReply, choicesIn, isFirstChoice } from "./chunks.ts";
import { ChoiceEnd, readFinishReason } from "../finish-reason.ts";
import { readLogprobs, readTimings, readUsage } from "./reply-metrics.ts";

/** The end of a reply: one object, `[DONE]`, or the end of the body. */
type Ending = "whole" | "done" | "broken off";

/** Decodes reply objects or chunks into parts. The end part waits for the token counts. */
export class ReplyDecoder {
  readonly #request: Exclude<NeutralRequest, { readonly kind: "embed" }>;
  /** Requested alternatives per token. */
  readonly #top: number;
  readonly #calls: ToolCallReader;
  readonly #end = new ChoiceEnd();
  #deltas = 0;
  /** vLLM's `stop_reason`: the matched stop string, or a token id. */
  #stopText = "";
  #usage: Usage | undefined;
  #timings: Timings | undefined;
  #seen = false;
  /** The last text outside of chunks. It may explain a truncated reply. */
  #noise = "";
  /** A member with content that has no neutral form. */
  #unsupported = "";
  #closed = false;
  #thoughts: Learned["thoughts"];

  constructor(request: Exclude<NeutralRequest, { readonly kind: "embed" }>) {
    this.#request = request;
    this.#top = request.kind === "load" ? 0 : (request.logprobs?.top ?? 0);
    this.#calls = new ToolCallReader(
      request.kind === "chat" ? (request.tools ?? []).map(({ name }) => name) : [],
    );
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The field in which the backend sends its thoughts; undefined for none or several. */
  get thoughts(): Learned["thoughts"] {
    return this.#thoughts;
  }

  /** The parts of one reply object, without the end. */
  read(reply: JsonObject): Part[] {
    const parts: Part[] = [];
    for (const choice of choicesIn(reply)) if (isFirstChoice(choice)) this.#readChoice(choice, parts);
    this.#usage = readUsage(reply) ?? this.#usage;
    this.#timings = readTimings(reply) ?? this.#timings;
    return parts;
  }

  /** Takes a text outside of chunks: a heartbeat, or an error message. */
  noise(text: string): [] {
    this.#noise = text || this.#noise;
    return [];
  }

  /** Takes the plain text at the beginning of the reply; "" for events. It counts as noise when there is no other. */
  beginsWith(text: string): void {
    this.#noise ||= text;
  }

  /** Returns the last parts. Throws `backend_lost` for an incomplete reply. A second call does nothing. */
  close(ending: Ending): Part[] {
    if (this.#closed) return [];
    if (!this.#isComplete(ending)) throw truncatedReply(this.#noise);
    if (this.#deltas === 0 && this.#unsupported !== "") throw unsupportedAnswer(this.#unsupported);
    this.#closed = true;
    const timings = this.#timings === undefined ? {} : { timings: this.#timings };
    const stop = this.#stopText === "" ? {} : { stopText: this.#stopText };
    const usage = usageOrEstimate(this.#usage, this.#request, this.#deltas);
    const reason = this.#calls.isOpen && this.#isFull(usage) ? "length" : this.#end.reason;
    return [...this.#calls.close(isTruncated(reason)), { type: "end", reason, usage, ...stop, ...timings }];
  }

  #isComplete(ending: Ending): boolean {
    switch (ending) {
      case "whole":
        return this.#seen;
      case "done":
        return this.#end.hasReason;
      case "broken off":
        return this.#end.isCertain;
    }
  }

  /** True when the token limit was reached. Some servers report a stop when that happens in a tool call. */
  #isFull({ completionTokens }: Usage): boolean {
    if (!("sampling" in this.#request)) return false;
    const { maxTokens = 0 } = this.#request.sampling;
    return maxTokens > 0 && completionTokens >= maxTokens;
  }

  #readChoice(choice: JsonObject, parts: Part[]): void {
    this.#seen = true;
    // Content follows, so the earlier text was a heartbeat.
    this.#noise = "";
    const message = messageOf(choice);
    // Some servers put the text beside an empty delta.
    const content = readMessageText(message["content"] || choice["text"], "content");
    const thinking = content.thinking + this.#thoughtOf(message);
    if (thinking !== "") parts.push({ type: "thinking-delta", text: thinking });
    const text = content.text + textBesideContent(message);
    const logprobs = readLogprobs(choice["logprobs"], this.#top);
    if (logprobs !== undefined) parts.push({ type: "text-delta", text: text, logprobs });
    else if (text !== "") parts.push({ type: "text-delta", text: text });
    const calls = callsIn(message);
    for (const call of calls) append(parts, this.#calls.read(call));
    const hasContent = parts.length > 0 || calls.length > 0;
    if (hasContent) this.#deltas++;
    else this.#unsupported ||= unsupportedIn(message);
    this.#end.add(readFinishReason(choice["finish_reason"]), hasContent);
    this.#stopText ||= typeof choice["stop_reason"] === "string" ? choice["stop_reason"] : "";
  }

  /** The thought under one of the names in use. Servers with two names send the same text in both. */
  #thoughtOf(message: JsonObject): string {
    let thought = "";
    let names = 0;
    for (const name of THOUGHT_NAMES) {
      const value = message[name] ?? "";
      if (value === "") continue;
      const { text, thinking } = readMessageText(value, name);
      thought ||= text + thinking;
      names += 1;
      if (name !== "thinking") this.#thoughts ??= name;
    }
    for (const name of DETAILED_THOUGHTS) thought ||= thoughtsIn(message[name]);
    // A server with both names may read either one.
    if (names > 1) this.#thoughts = undefined;
    return thought;
  }
}

const THOUGHT_NAMES = ["reasoning", "reasoning_content", "thinking"] as const;
/** Lists of parts, some of them encrypted, which most servers send beside the text of the thought. */
const DETAILED_THOUGHTS = ["reasoning_details", "thinking_blocks"] as const;

function thoughtsIn(list: Json | undefined): string {
  if (!Array.isArray(list)) return "";
  const texts = list.filter(isObject).map((part) => part["text"] ?? part["summary"] ?? part["thinking"]);
  return texts.filter((text) => typeof text === "string").join("");
}

/** The text of a message beside its content: a refusal, and the transcript of speech. */
function textBesideContent(message: JsonObject): string {
  const refusal = message["refusal"] ?? undefined;
  const audio = message["audio"] ?? undefined;
  const refused = refusal === undefined ? "" : readMessageText(refusal, "refusal").text;
  return isObject(audio) ? refused + readText(audio["transcript"], "transcript") : refused;
}

/** Members of answers that only clients of the same dialect can get. */
const UNSUPPORTED = ["images", "audio", "video", "files"] as const;

function unsupportedIn(message: JsonObject): string {
  return (
    UNSUPPORTED.find((name) => (message[name] ?? undefined) !== undefined && !isEmpty(message[name])) ?? ""
  );
}

function isEmpty(value: Json | undefined): boolean {
  return value === "" || (typeof value === "object" && value !== null && Object.keys(value).length === 0);
}

/** An answer of such content only must not look empty. */
function unsupportedAnswer(name: string): Fault {
  const message = `the backend's answer consists of ${name}, which this endpoint cannot return`;
  return new Fault("backend_lost", message, { blame: "request" });
}

/** Returns the message of a choice. Throws `backend_lost` for another type. */
function messageOf(choice: JsonObject): JsonObject {
  const message = choice["delta"] ?? choice["message"] ?? { content: choice["text"] ?? null };
  if (isObject(message)) return message;
  throw new Fault("backend_lost", "the backend's message is not an object");
}

const NO_CALLS: readonly JsonObject[] = [];

function callsIn(message: JsonObject): readonly JsonObject[] {
  const list = message["tool_calls"] ?? undefined;
  const legacy = message["function_call"] ?? undefined;
  if (list === undefined && legacy === undefined) return NO_CALLS;
  const calls: Json[] = isObject(list)
    ? [list]
    : Array.isArray(list ?? [])
      ? ((list ?? []) as Json[])
      : [null];
  const all = legacy === undefined ? calls : [...calls, { index: 0, function: legacy }];
  if (all.every(isObject)) return all;
  throw new Fault("backend_lost", "the backend's tool calls are not objects");
}
