import type { NeutralRequest, Part } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { isObject } from "../../core/json.ts";
import { append } from "../../core/long-lists.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import type { Timings, Usage } from "../../core/usage.ts";
import { isCut } from "../arguments.ts";
import { usageOrEstimate } from "../estimate.ts";
import type { Learned } from "../protocol.ts";
import { saidBy, textValue } from "../said.ts";
import { CallsReader } from "./calls.ts";
import { brokenOff, choicesIn, isFirstChoice } from "./chunks.ts";
import { EndWatch, finishOf } from "./ends.ts";
import { readLogprobs, readTimings, readUsage } from "./metrics.ts";

/** How a reply came to its end: as one object, with `[DONE]`, or without a word. */
type Ending = "whole" | "done" | "broken off";

/** Turns reply objects, whole or chunk by chunk, into parts. The end waits for the token counts. */
export class ReplySteps {
  readonly #request: Exclude<NeutralRequest, { readonly kind: "embed" }>;
  /** Alternatives per token that were asked for. */
  readonly #top: number;
  readonly #calls: CallsReader;
  readonly #end = new EndWatch();
  #deltas = 0;
  /** vLLM's `stop_reason`: the stop string that came, or a token's number. */
  #stopText = "";
  #usage: Usage | undefined;
  #timings: Timings | undefined;
  #seen = false;
  /** The last text that was no chunk: why a reply broke off may be in it. */
  #noise = "";
  /** A member that says something and that has no form here. */
  #unsaid = "";
  closed = false;
  /** The name under which the backend tells its thoughts; undefined when it uses none, or both. */
  thoughts: Learned["thoughts"];

  constructor(request: Exclude<NeutralRequest, { readonly kind: "embed" }>) {
    this.#request = request;
    this.#top = request.kind === "load" ? 0 : (request.logprobs?.top ?? 0);
    this.#calls = new CallsReader(
      request.kind === "chat" ? (request.tools ?? []).map(({ name }) => name) : [],
    );
  }

  /** The parts of one reply object, without those of the end. */
  read(reply: JsonObject): Part[] {
    const parts: Part[] = [];
    for (const choice of choicesIn(reply)) if (isFirstChoice(choice)) this.#readChoice(choice, parts);
    this.#usage = readUsage(reply) ?? this.#usage;
    this.#timings = readTimings(reply) ?? this.#timings;
    return parts;
  }

  /** A text that is no chunk: a heartbeat, or words about what went wrong. */
  noise(text: string): [] {
    this.#noise = text || this.#noise;
    return [];
  }

  /** Takes the plain text that the reply begins with; empty for events. It counts as noise when there was no other. */
  beginsWith(text: string): void {
    this.#noise ||= text;
  }

  /** The last parts. Throws `backend_lost` when the reply is not complete. Does nothing the second time. */
  close(ending: Ending): Part[] {
    if (this.closed) return [];
    if (!this.#isComplete(ending)) throw brokenOff(this.#noise);
    if (this.#deltas === 0 && this.#unsaid !== "") throw cannotBeTold(this.#unsaid);
    this.closed = true;
    const timings = this.#timings === undefined ? {} : { timings: this.#timings };
    const stop = this.#stopText === "" ? {} : { stopText: this.#stopText };
    const usage = usageOrEstimate(this.#usage, this.#request, this.#deltas);
    const reason = this.#calls.isOpen && this.#isFull(usage) ? "length" : this.#end.reason;
    return [...this.#calls.close(isCut(reason)), { type: "end", reason, usage, ...stop, ...timings }];
  }

  #isComplete(ending: Ending): boolean {
    switch (ending) {
      case "whole":
        return this.#seen;
      case "done":
        return this.#end.isTold;
      case "broken off":
        return this.#end.isSure;
    }
  }

  /** True when the model has made as many tokens as it may: some servers call that a stop when it calls a tool. */
  #isFull({ completionTokens }: Usage): boolean {
    if (!("sampling" in this.#request)) return false;
    const { maxTokens = 0 } = this.#request.sampling;
    return maxTokens > 0 && completionTokens >= maxTokens;
  }

  #readChoice(choice: JsonObject, parts: Part[]): void {
    this.#seen = true;
    // The answer went on: what stood before it was a heartbeat.
    this.#noise = "";
    const message = messageOf(choice);
    // Some servers have the text beside an empty delta.
    const content = saidBy(message["content"] || choice["text"], "content");
    const thinking = content.thinking + this.#thoughtOf(message);
    if (thinking !== "") parts.push({ type: "thinking-delta", text: thinking });
    const said = content.text + besides(message);
    const logprobs = readLogprobs(choice["logprobs"], this.#top);
    if (logprobs !== undefined) parts.push({ type: "text-delta", text: said, logprobs });
    else if (said !== "") parts.push({ type: "text-delta", text: said });
    const calls = callsIn(message);
    for (const call of calls) append(parts, this.#calls.read(call));
    const says = parts.length > 0 || calls.length > 0;
    if (says) this.#deltas++;
    else this.#unsaid ||= unsaidIn(message);
    this.#end.add(finishOf(choice["finish_reason"]), says);
    this.#stopText ||= typeof choice["stop_reason"] === "string" ? choice["stop_reason"] : "";
  }

  /** A thought under one of the names in use; servers that have two say the same under both. */
  #thoughtOf(message: JsonObject): string {
    let thought = "";
    let names = 0;
    for (const name of THOUGHT_NAMES) {
      const value = message[name] ?? "";
      if (value === "") continue;
      const { text, thinking } = saidBy(value, name);
      thought ||= text + thinking;
      names += 1;
      if (name !== "thinking") this.thoughts ??= name;
    }
    for (const name of DETAILED_THOUGHTS) thought ||= thoughtsIn(message[name]);
    // A server that tells both says nothing of which one it reads.
    if (names > 1) this.thoughts = undefined;
    return thought;
  }
}

const THOUGHT_NAMES = ["reasoning", "reasoning_content", "thinking"] as const;
/** Lists of parts, some of them sealed, which most servers have beside the text of the thought. */
const DETAILED_THOUGHTS = ["reasoning_details", "thinking_blocks"] as const;

function thoughtsIn(list: Json | undefined): string {
  if (!Array.isArray(list)) return "";
  const texts = list.filter(isObject).map((part) => part["text"] ?? part["summary"] ?? part["thinking"]);
  return texts.filter((text) => typeof text === "string").join("");
}

/** What a message says beside its content: why it refuses, and the words of what it speaks. */
function besides(message: JsonObject): string {
  const refusal = message["refusal"] ?? undefined;
  const audio = message["audio"] ?? undefined;
  const refused = refusal === undefined ? "" : saidBy(refusal, "refusal").text;
  return isObject(audio) ? refused + textValue(audio["transcript"], "transcript") : refused;
}

/** Members that an answer may be made of, and that only a client of the same dialect can be given. */
const UNTOLD = ["images", "audio", "video", "files"] as const;

function unsaidIn(message: JsonObject): string {
  return UNTOLD.find((name) => (message[name] ?? undefined) !== undefined && !isEmpty(message[name])) ?? "";
}

function isEmpty(value: Json | undefined): boolean {
  return value === "" || (typeof value === "object" && value !== null && Object.keys(value).length === 0);
}

/** An answer of nothing else must not look like an empty one. */
function cannotBeTold(name: string): Fault {
  const message = `the backend's answer is made of ${name}, which this endpoint cannot tell`;
  return new Fault("backend_lost", message, { blame: "request" });
}

/** Returns the message of a choice. Throws `backend_lost` for a message that is no object. */
function messageOf(choice: JsonObject): JsonObject {
  const message = choice["delta"] ?? choice["message"] ?? { content: choice["text"] ?? null };
  if (isObject(message)) return message;
  throw new Fault("backend_lost", "the backend's message is no object");
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
  throw new Fault("backend_lost", "the backend's tool calls are no objects");
}
