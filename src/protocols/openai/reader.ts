import type { NeutralRequest, Part } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { isObject } from "../../core/json.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import type { Timings, Usage } from "../../core/usage.ts";
import { append } from "../../core/long-lists.ts";
import { SseParser } from "../../wire/sse.ts";
import type { SseEvent } from "../../wire/sse.ts";
import { isCut } from "../arguments.ts";
import { parseKeepingArguments } from "../exact.ts";
import type { ReplyReader } from "../protocol.ts";
import { type ReplyForm, formOf } from "../reply-form.ts";
import { saidBy } from "../said.ts";
import { checkHeld, gatherWhole } from "../whole.ts";
import { CallsReader } from "./calls.ts";
import { readEmbedReply } from "./embed-client.ts";
import { EndWatch, finishOf } from "./ends.ts";
import { embeddedFault, isErrorReply } from "./errors.ts";
import { readLogprobs, readTimings, readUsage } from "./metrics.ts";

export interface ReaderOptions {
  readonly request: NeutralRequest;
  readonly stream: boolean;
}

/**
 * A reader of a chat completion, a text completion, embeddings or llama.cpp's infill reply, in one piece or as events,
 * whatever was asked for.
 */
export function openReader({ request }: ReaderOptions): ReplyReader {
  if (request.kind === "embed") return new WholeReader((reply) => readEmbedReply(reply, request));
  return new EitherReader(new ReplySteps(request));
}

/** The JSON of a reply. Throws `backend_lost` for what is none: replies that broke off look like that. */
export function parseReply(text: string): JsonObject {
  checkHeld(text);
  let value: unknown;
  try {
    value = parseKeepingArguments(text);
  } catch (error) {
    throw new Fault("backend_lost", "the backend's reply is not JSON", { cause: error });
  }
  if (isObject(value)) return value;
  throw new Fault("backend_lost", "the backend's reply is not a JSON object");
}

/** Longest text of an event that is no chunk which is told, in characters. */
const MAX_NOISE = 200;

/** What an event says: a chunk, the end, or a text that is no chunk, perhaps an empty one. */
export type EventSaid = JsonObject | string;

/**
 * Reads an event; "done" is the end. Some servers send heartbeats as events, without data or with a text: these are no
 * chunks. Throws the backend's own fault, and `backend_lost` for a chunk that is no JSON.
 */
export function readEvent({ event, data }: SseEvent): EventSaid {
  const text = data.trim();
  if (text === "[DONE]") return "done";
  if (!text.startsWith("{")) {
    if (event === "error") throw embeddedFault(text);
    return text === "done" ? "" : text.slice(0, MAX_NOISE);
  }
  const reply = parseReply(text);
  if (event === "error" || isErrorReply(reply)) throw embeddedFault(reply);
  return reply;
}

/** The fault of a reply that is not complete. @param noise what the backend said that was no part of the answer */
export function brokenOff(noise: string): Fault {
  const told = noise === "" ? "" : `: ${noise}`;
  return new Fault("backend_lost", `the backend's reply ended before it was complete${told}`, {
    blame: "backend",
  });
}

/** Holds the first bytes back until they tell the form of the reply. */
class EitherReader implements ReplyReader {
  readonly #steps: ReplySteps;
  #reader: ReplyReader | undefined;

  constructor(steps: ReplySteps) {
    this.#steps = steps;
  }

  push(chunk: Buffer): Iterable<Part> {
    const form = this.#reader === undefined ? formOf(chunk) : undefined;
    // Blanks before the first byte belong to neither form.
    if (this.#reader === undefined && form === undefined) return [];
    this.#reader ??= this.#open(form);
    return this.#reader.push(chunk);
  }

  end(): Iterable<Part> {
    this.#reader ??= this.#open(undefined);
    return this.#reader.end();
  }

  #open(form: ReplyForm | undefined): ReplyReader {
    const steps = this.#steps;
    if (form !== "json") return new StreamReader(steps);
    return new WholeReader((reply) => [...steps.read(reply), ...steps.close("whole")]);
  }
}

/** Reads server-sent events. */
class StreamReader implements ReplyReader {
  readonly #parser = new SseParser();
  readonly #steps: ReplySteps;

  constructor(steps: ReplySteps) {
    this.#steps = steps;
  }

  *push(chunk: Buffer): Generator<Part, void, void> {
    for (const event of this.#parser.push(chunk)) yield* this.#read(event);
  }

  *end(): Generator<Part, void, void> {
    for (const event of this.#parser.end()) yield* this.#read(event);
    yield* this.#steps.close("broken off");
  }

  #read(event: SseEvent): Part[] {
    if (this.#steps.closed) return [];
    const said = readEvent(event);
    if (said === "done") return this.#steps.close("done");
    return typeof said === "string" ? this.#steps.noise(said) : this.#steps.read(said);
  }
}

/** Gathers the whole reply: nothing of it can be used before its end. */
class WholeReader implements ReplyReader {
  readonly #read: (reply: JsonObject) => Part[];
  readonly #body = gatherWhole();

  /** @param read the parts of the complete reply, its end among them */
  constructor(read: (reply: JsonObject) => Part[]) {
    this.#read = read;
  }

  push(chunk: Buffer): Part[] {
    this.#body.add(chunk);
    return [];
  }

  end(): Part[] {
    const reply = parseReply(this.#body.peek().toString("utf8"));
    if (isErrorReply(reply)) throw embeddedFault(reply);
    return this.#read(reply);
  }
}

/** How a reply came to its end: as one object, with `[DONE]`, or without a word. */
type Ending = "whole" | "done" | "broken off";

/** Turns reply objects, whole or chunk by chunk, into parts. The end waits for the token counts. */
class ReplySteps {
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
  closed = false;

  constructor(request: Exclude<NeutralRequest, { readonly kind: "embed" }>) {
    this.#request = request;
    this.#top = request.kind === "load" ? 0 : (request.logprobs?.top ?? 0);
    this.#calls = new CallsReader(
      request.kind === "chat" ? (request.tools ?? []).map(({ name }) => name) : [],
    );
  }

  /** The parts of one reply object, without those of the end. */
  read(reply: JsonObject): Part[] {
    const parts = choicesIn(reply)
      .filter(isFirstChoice)
      .flatMap((choice) => this.#readChoice(choice));
    this.#usage = readUsage(reply) ?? this.#usage;
    this.#timings = readTimings(reply) ?? this.#timings;
    return parts;
  }

  /** A text that is no chunk: a heartbeat, or words about what went wrong. */
  noise(text: string): [] {
    this.#noise = text || this.#noise;
    return [];
  }

  /** The last parts. Throws `backend_lost` when the reply is not complete. Does nothing the second time. */
  close(ending: Ending): Part[] {
    if (this.closed) return [];
    if (!this.#isComplete(ending)) throw brokenOff(this.#noise);
    this.closed = true;
    const timings = this.#timings === undefined ? {} : { timings: this.#timings };
    const stop = this.#stopText === "" ? {} : { stopText: this.#stopText };
    const usage = this.#usage ?? { promptTokens: 0, completionTokens: this.#deltas };
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

  #readChoice(choice: JsonObject): Part[] {
    this.#seen = true;
    const message = messageOf(choice);
    const content = saidBy(message["content"], "content");
    const thinking = content.thinking + thoughtOf(message);
    const parts: Part[] = thinking === "" ? [] : [{ type: "thinking-delta", text: thinking }];
    const said = content.text + saidBy(message["refusal"], "refusal").text;
    const logprobs = readLogprobs(choice["logprobs"], this.#top);
    if (logprobs !== undefined) parts.push({ type: "text-delta", text: said, logprobs });
    else if (said !== "") parts.push({ type: "text-delta", text: said });
    const calls = callsIn(message);
    for (const call of calls) append(parts, this.#calls.read(call));
    if (parts.length > 0) this.#deltas++;
    this.#end.add(finishOf(choice["finish_reason"]), parts.length > 0 || calls.length > 0);
    this.#stopText ||= typeof choice["stop_reason"] === "string" ? choice["stop_reason"] : "";
    return parts;
  }
}

/** The choices of a reply or a chunk. Throws `backend_lost` when they are neither a list nor one object. */
export function choicesIn(reply: JsonObject): readonly JsonObject[] {
  const list = reply["choices"] ?? undefined;
  if (list === undefined) return infillChoice(reply);
  if (isObject(list)) return [list];
  if (Array.isArray(list) && list.every(isObject)) return list;
  throw new Fault("backend_lost", "the backend's choices are no list of objects");
}

function isFirstChoice(choice: JsonObject): boolean {
  return Number(choice["index"] ?? 0) === 0;
}

/** llama.cpp's own reply form, which /infill has only: `{"content","stop","stop_type",…}`. */
function infillChoice(reply: JsonObject): readonly JsonObject[] {
  if (typeof reply["content"] !== "string") return [];
  const finish = reply["stop"] === true ? (reply["stop_type"] === "limit" ? "length" : "stop") : null;
  return [{ text: reply["content"], finish_reason: finish }];
}

/** What a choice says, in the form of a message. Throws `backend_lost` for what is none. */
function messageOf(choice: JsonObject): JsonObject {
  const message = choice["delta"] ?? choice["message"] ?? { content: choice["text"] ?? null };
  if (isObject(message)) return message;
  throw new Fault("backend_lost", "the backend's message is no object");
}

/** A thought under one of the names in use; servers that have two say the same under both. */
function thoughtOf(message: JsonObject): string {
  for (const name of ["reasoning", "reasoning_content", "thinking"]) {
    const { text, thinking } = saidBy(message[name], name);
    if (text + thinking !== "") return text + thinking;
  }
  return "";
}

function callsIn(message: JsonObject): JsonObject[] {
  const list = message["tool_calls"] ?? [];
  const calls: Json[] = isObject(list) ? [list] : Array.isArray(list) ? list : [null];
  const legacy = message["function_call"] ?? undefined;
  const all = legacy === undefined ? calls : [...calls, { index: 0, function: legacy }];
  if (all.every(isObject)) return all;
  throw new Fault("backend_lost", "the backend's tool calls are no objects");
}
