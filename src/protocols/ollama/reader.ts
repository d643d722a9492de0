import type { NeutralRequest, Part, TokenLogprob } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { type Gatherer, LineSplitter } from "../../wire/lines.ts";
import { usageOrEstimate } from "../estimate.ts";
import type { ReplyReader } from "../protocol.ts";
import { setOnly } from "../fields.ts";
import { withoutMarkBytes } from "../reply-form.ts";
import { saidBy } from "../said.ts";
import { gatherWhole } from "../whole.ts";
import { endOf, incomplete, isBlank, logprobsOf, parseReply, text } from "./reply.ts";
import { opensObject } from "./reshape.ts";

/**
 * Reads the reply of `/api/chat` or `/api/generate`, streamed or whole: a whole reply is one line, with or without a
 * newline, or an object on several lines. An object that says it is the last one is, when nothing of the answer follows.
 */
export class OllamaReader implements ReplyReader {
  readonly #lines = new LineSplitter();
  readonly #request: NeutralRequest;
  #calls = 0;
  #deltas = 0;
  #end: Part | undefined;
  /** Gathers a reply whose first line is no object. */
  #whole: Gatherer | undefined;
  #begun = false;
  /** True for an answer of pictures, which has no form here. */
  #hasImages = false;

  constructor(request: NeutralRequest) {
    this.#request = request;
  }

  *push(chunk: Buffer): Generator<Part, void, void> {
    for (const line of this.#lines.push(chunk)) yield* this.#take(line);
  }

  *end(): Generator<Part, void, void> {
    yield* this.#take(this.#lines.rest());
    if (this.#whole !== undefined) yield* this.#read(this.#whole.peek());
    if (this.#end === undefined) throw incomplete();
    if (this.#deltas === 0 && this.#hasImages) throw untold();
    yield this.#end;
  }

  #take(line: Buffer): Part[] {
    if (this.#whole !== undefined) {
      this.#whole.add(line);
      this.#whole.add(NEWLINE);
      return [];
    }
    if (isBlank(line)) return [];
    if (this.#begun) return this.#read(line);
    this.#begun = true;
    const first = withoutMarkBytes(line);
    if (!opensObject(first)) return this.#read(first);
    this.#whole = gatherWhole();
    return this.#take(first);
  }

  #read(line: Buffer): Part[] {
    const reply = parseReply(line);
    const parts = this.#said(reply);
    if (parts.length > 0) {
      this.#deltas += 1;
      // What said that it was the last object was not.
      this.#end = undefined;
    }
    if (reply["done"] === true) this.#end = this.#endOf(reply);
    return parts;
  }

  /** A load or an unload has used nothing. */
  #endOf(reply: JsonObject): Part {
    const end = endOf(reply, this.#calls > 0);
    if (end.reason === "load" || end.reason === "unload") return end;
    return { ...end, usage: usageOrEstimate(end.usage, this.#request, this.#deltas) };
  }

  #said(reply: JsonObject): Part[] {
    const { message } = reply;
    const source = isObject(message) ? message : reply;
    const parts: Part[] = [];
    const said = saidBy(source === reply ? reply["response"] : source["content"], "content");
    const thought = saidBy(source["thinking"], "thinking");
    const thinking = thought.thinking + thought.text + said.thinking;
    if (thinking !== "") parts.push({ type: "thinking-delta", text: thinking });
    const content = said.text;
    const logprobs = logprobsOf(reply["logprobs"]);
    if (content !== "" || logprobs !== undefined) parts.push(textDelta(content, logprobs));
    for (const call of callsIn(source["tool_calls"])) parts.push(this.#toolDelta(call));
    const { images } = source;
    this.#hasImages ||= Array.isArray(images) ? images.length > 0 : typeof reply["image"] === "string";
    return parts;
  }

  /** Calls are counted here: older versions number each line from 0 again. */
  #toolDelta(call: JsonObject): Part {
    const called = isObject(call["function"]) ? call["function"] : call;
    const values = called["arguments"] ?? {};
    const index = this.#calls;
    this.#calls += 1;
    return setOnly<Extract<Part, { type: "tool-delta" }>>({
      type: "tool-delta",
      index,
      id: text(call["id"]) || undefined,
      name: nameOf(called),
      arguments: typeof values === "string" ? values.trim() || "{}" : JSON.stringify(values),
    });
  }
}

const NEWLINE = Buffer.from("\n");

/** An answer of nothing else must not look like an empty one. */
function untold(): Fault {
  const message = "the backend's answer is made of images, which this endpoint cannot tell";
  return new Fault("backend_lost", message, { blame: "request" });
}

function textDelta(content: string, logprobs: readonly TokenLogprob[] | undefined): Part {
  const delta = { type: "text-delta", text: content } as const;
  return logprobs === undefined ? delta : { ...delta, logprobs };
}

function nameOf(called: JsonObject): string {
  const name = text(called["name"]);
  if (name === "") throw new Fault("backend_lost", "the backend's tool call has no name");
  return name;
}

function callsIn(value: Json | undefined): JsonObject[] {
  const list = value ?? [];
  if (isObject(list)) return [list];
  if (Array.isArray(list) && list.every(isObject)) return list;
  throw new Fault("backend_lost", "the backend's tool calls are no objects");
}
