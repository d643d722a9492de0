import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { sseData } from "../../wire/sse.ts";
import { readMessageText } from "../message-text.ts";
import { choiceIndex } from "./chunks.ts";
import { ToolCallReader } from "./tool-call-reader.ts";
import { ChoiceEnd, readFinishReason } from "../finish-reason.ts";

/** Converts replies between one object and a stream, when the backend sends the other format than requested. */

/** The events of a whole reply, with `[DONE]`. */
export function eventsOfReply(
  reply: JsonObject,
  choices: readonly JsonObject[],
  wantsUsage: boolean,
): string {
  const { usage, choices: _choices, ...rest } = reply;
  const head = { ...rest, object: chunkName(reply["object"]) };
  const events = choices.map((choice) => sseData(JSON.stringify({ ...head, choices: [asChunk(choice)] })));
  const counts = wantsUsage ? [sseData(JSON.stringify({ ...head, choices: [], usage: usage ?? null }))] : [];
  return [...events, ...counts, sseData("[DONE]")].join("");
}

function chunkName(object: Json | undefined): Json {
  return object === "text_completion" ? object : "chat.completion.chunk";
}

function asChunk(choice: JsonObject): JsonObject {
  const { message, ...rest } = choice;
  // A whole reply is an end even without a reason.
  const ended =
    readFinishReason(choice["finish_reason"]) === undefined ? { ...rest, finish_reason: "stop" } : rest;
  if (!isObject(message)) return ended;
  const calls = message["tool_calls"];
  const numbered = Array.isArray(calls) ? { tool_calls: calls.map(withIndex) } : {};
  return { ...ended, delta: { ...message, ...numbered } };
}

function withIndex(call: Json, index: number): Json {
  return isObject(call) ? { index, ...call } : call;
}

/** Merges the chunks of a stream into the object of a whole reply. */
export class ChunkMerger {
  #head: JsonObject = {};
  #usage: Json | undefined;
  readonly #choices = new Map<number, MergedChoice>();

  add(reply: JsonObject, choices: readonly JsonObject[]): void {
    const { choices: _choices, usage, ...head } = reply;
    this.#head = { ...head, ...this.#head };
    this.#usage = usage ?? this.#usage;
    for (const choice of choices) {
      const index = choiceIndex(choice);
      const gathered = this.#choices.get(index) ?? new MergedChoice(index);
      this.#choices.set(index, gathered);
      gathered.add(choice);
    }
  }

  /** True when all choices have ended. @param isDone true after `[DONE]` */
  isComplete(isDone: boolean): boolean {
    const ends = [...this.#choices.values()].map(({ end }) => end);
    return ends.length > 0 && ends.every((end) => (isDone ? end.hasReason : end.isCertain));
  }

  merged(): JsonObject {
    const object = this.#head["object"] === "text_completion" ? "text_completion" : "chat.completion";
    const choices = [...this.#choices].toSorted(([a], [b]) => a - b).map(([, choice]) => choice.merged());
    const usage = this.#usage === undefined ? {} : { usage: this.#usage };
    return { ...this.#head, object, choices, ...usage };
  }
}

class MergedChoice {
  readonly end = new ChoiceEnd();
  readonly #index: number;
  readonly #calls = new ToolCallReader([]);
  readonly #toolCalls: { id: string; name: string; arguments: string }[] = [];
  readonly #texts = new Map<string, string>();
  readonly #logprobs: Json[] = [];
  #message: JsonObject | undefined;
  #text: string | undefined;
  #finish: Json = null;

  constructor(index: number) {
    this.#index = index;
  }

  add(choice: JsonObject): void {
    const { delta, logprobs } = choice;
    if (isObject(delta)) this.#addDelta(delta);
    if (choice["text"] !== undefined)
      this.#text = (this.#text ?? "") + readMessageText(choice["text"], "text").text;
    if (isObject(logprobs) && Array.isArray(logprobs["content"])) {
      for (const token of logprobs["content"]) this.#logprobs.push(token);
    }
    const finish = readFinishReason(choice["finish_reason"]);
    this.end.add(finish, hasContent(choice));
    // Keep the reason that counts: some servers send "" or "null" behind it.
    if (finish !== undefined && (finish === "unknown" || finish === this.end.reason)) {
      this.#finish = choice["finish_reason"] ?? null;
    }
  }

  #addDelta(delta: JsonObject): void {
    const { tool_calls: calls, ...rest } = delta;
    this.#message ??= {};
    for (const [name, value] of Object.entries(rest)) {
      if (TEXT_MEMBERS.has(name)) this.#texts.set(name, (this.#texts.get(name) ?? "") + textOf(value, name));
      else this.#message[name] = value;
    }
    if (Array.isArray(calls)) {
      for (const call of calls.filter(isObject)) this.#addCalls(this.#calls.read(call));
    }
  }

  #addCalls(deltas: ReturnType<ToolCallReader["read"]>): void {
    for (const { index, id = "", name = "", arguments: written } of deltas) {
      const call = (this.#toolCalls[index] ??= { id, name, arguments: "" });
      call.arguments += written;
    }
  }

  merged(): JsonObject {
    this.#addCalls(this.#calls.close(true));
    const index = this.#index;
    const finish = { finish_reason: this.#finish };
    const logprobs = this.#logprobs.length === 0 ? null : { content: this.#logprobs };
    if (this.#message === undefined) return { index, text: this.#text ?? "", logprobs, ...finish };
    const calls = this.#toolCalls.map(({ id, ...called }) => ({ id, type: "function", function: called }));
    const message = {
      role: "assistant",
      content: null,
      ...this.#message,
      ...Object.fromEntries(this.#texts),
      ...(calls.length === 0 ? {} : { tool_calls: calls }),
    };
    return { index, message, logprobs, ...finish };
  }
}

/** Members of a delta with pieces of text. */
const TEXT_MEMBERS: ReadonlySet<string> = new Set(["content", "reasoning", "reasoning_content", "refusal"]);

function textOf(value: Json | undefined, name: string): string {
  const { text, thinking } = readMessageText(value, name);
  return name === "content" ? text : text + thinking;
}

/** True when a choice of a chunk has content. */
export function hasContent(choice: JsonObject): boolean {
  const delta = choice["delta"] ?? choice["message"] ?? { text: choice["text"] ?? null };
  if (!isObject(delta)) return true;
  return Object.entries(delta).some(([name, value]) => name !== "role" && !isEmpty(value));
}

function isEmpty(value: Json | undefined): boolean {
  if (value === undefined || value === null || value === "") return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}
