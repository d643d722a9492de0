import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { sseData } from "../../wire/sse.ts";
import { saidBy } from "../said.ts";
import { choiceIndex } from "./chunks.ts";
import { CallsReader } from "./calls.ts";
import { EndWatch, finishOf } from "./ends.ts";

/**
 * Replies in the form that was not asked for, put into the other one: an object where a stream was wanted, a stream
 * where an object was. Bytes that have neither form stay as they are.
 */

/** The events of a whole reply, its `[DONE]` included. */
export function eventsOfWhole(
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
  // A whole reply is an end, whether or not it says so.
  const ended = finishOf(choice["finish_reason"]) === undefined ? { ...rest, finish_reason: "stop" } : rest;
  if (!isObject(message)) return ended;
  const calls = message["tool_calls"];
  const numbered = Array.isArray(calls) ? { tool_calls: calls.map(withIndex) } : {};
  return { ...ended, delta: { ...message, ...numbered } };
}

function withIndex(call: Json, index: number): Json {
  return isObject(call) ? { index, ...call } : call;
}

/** Gathers the chunks of a stream into the object of the whole reply. */
export class ChunkGatherer {
  #head: JsonObject = {};
  #usage: Json | undefined;
  readonly #choices = new Map<number, GatheredChoice>();

  add(reply: JsonObject, choices: readonly JsonObject[]): void {
    const { choices: _choices, usage, ...head } = reply;
    this.#head = { ...head, ...this.#head };
    this.#usage = usage ?? this.#usage;
    for (const choice of choices) {
      const index = choiceIndex(choice);
      const gathered = this.#choices.get(index) ?? new GatheredChoice(index);
      this.#choices.set(index, gathered);
      gathered.add(choice);
    }
  }

  /** True when every choice that began has ended. @param isDone true when `[DONE]` has come */
  isComplete(isDone: boolean): boolean {
    const ends = [...this.#choices.values()].map(({ end }) => end);
    return ends.length > 0 && ends.every((end) => (isDone ? end.isTold : end.isSure));
  }

  whole(): JsonObject {
    const object = this.#head["object"] === "text_completion" ? "text_completion" : "chat.completion";
    const choices = [...this.#choices].toSorted(([a], [b]) => a - b).map(([, choice]) => choice.whole());
    const usage = this.#usage === undefined ? {} : { usage: this.#usage };
    return { ...this.#head, object, choices, ...usage };
  }
}

class GatheredChoice {
  readonly end = new EndWatch();
  readonly #index: number;
  readonly #calls = new CallsReader([]);
  readonly #told: { id: string; name: string; arguments: string }[] = [];
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
    if (choice["text"] !== undefined) this.#text = (this.#text ?? "") + saidBy(choice["text"], "text").text;
    if (isObject(logprobs) && Array.isArray(logprobs["content"])) {
      for (const token of logprobs["content"]) this.#logprobs.push(token);
    }
    const finish = finishOf(choice["finish_reason"]);
    this.end.add(finish, saysMore(choice));
    // The word of the chunk that counts: some servers say "" or "null" behind it.
    if (finish !== undefined && (finish === "unknown" || finish === this.end.reason)) {
      this.#finish = choice["finish_reason"] ?? null;
    }
  }

  #addDelta(delta: JsonObject): void {
    const { tool_calls: calls, ...rest } = delta;
    this.#message ??= {};
    for (const [name, value] of Object.entries(rest)) {
      if (SPOKEN.has(name)) this.#texts.set(name, (this.#texts.get(name) ?? "") + spoken(value, name));
      else this.#message[name] = value;
    }
    if (Array.isArray(calls)) {
      for (const call of calls.filter(isObject)) this.#tell(this.#calls.read(call));
    }
  }

  #tell(deltas: ReturnType<CallsReader["read"]>): void {
    for (const { index, id = "", name = "", arguments: written } of deltas) {
      const call = (this.#told[index] ??= { id, name, arguments: "" });
      call.arguments += written;
    }
  }

  whole(): JsonObject {
    this.#tell(this.#calls.close(true));
    const index = this.#index;
    const finish = { finish_reason: this.#finish };
    const logprobs = this.#logprobs.length === 0 ? null : { content: this.#logprobs };
    if (this.#message === undefined) return { index, text: this.#text ?? "", logprobs, ...finish };
    const calls = this.#told.map(({ id, ...called }) => ({ id, type: "function", function: called }));
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

/** Members of a delta that are pieces of a text. */
const SPOKEN: ReadonlySet<string> = new Set(["content", "reasoning", "reasoning_content", "refusal"]);

function spoken(value: Json | undefined, name: string): string {
  const { text, thinking } = saidBy(value, name);
  return name === "content" ? text : text + thinking;
}

/** True when a choice of a chunk has a piece of the answer. */
export function saysMore(choice: JsonObject): boolean {
  const delta = choice["delta"] ?? choice["message"] ?? { text: choice["text"] ?? null };
  if (!isObject(delta)) return true;
  return Object.entries(delta).some(([name, value]) => name !== "role" && !isNothing(value));
}

function isNothing(value: Json | undefined): boolean {
  if (value === undefined || value === null || value === "") return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}
