import type { NeutralRequest, Part, TokenLogprob, ToolDelta } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { type ChunkBuffer, LineSplitter } from "../../wire/lines.ts";
import { usageOrEstimate } from "../token-estimate.ts";
import type { ReplyReader } from "../codec.ts";
import { withoutUndefined } from "../fields.ts";
import { withoutBomBytes } from "../reply-format.ts";
import { readMessageText } from "../message-text.ts";
import { replyBuffer } from "../reply-limits.ts";
import { endOf, incompleteReply, isBlank, logprobsOf, parseReplyLine, textOrEmpty } from "./backend-reply.ts";
import { opensObject } from "./reply-conversion.ts";

/**
 * Reads the reply of `/api/chat` or `/api/generate`, streamed or whole. A whole reply is one line, or an object on
 * several lines. The object with `done` is the last one when no content follows.
 */
export class OllamaReader implements ReplyReader {
  readonly #lines = new LineSplitter();
  readonly #request: NeutralRequest;
  #calls = 0;
  #deltas = 0;
  #end: Part | undefined;
  /** Gathers a reply whose first line is no whole object. */
  #pending: ChunkBuffer | undefined;
  #begun = false;
  /** True for an answer of images, which have no neutral form. */
  #hasImages = false;

  constructor(request: NeutralRequest) {
    this.#request = request;
  }

  *push(chunk: Buffer): Generator<Part, void, void> {
    for (const line of this.#lines.push(chunk)) yield* this.#take(line);
  }

  *end(): Generator<Part, void, void> {
    yield* this.#take(this.#lines.rest());
    if (this.#pending !== undefined) yield* this.#read(this.#pending.peek());
    if (this.#end === undefined) throw incompleteReply();
    if (this.#deltas === 0 && this.#hasImages) throw imagesOnlyFault();
    yield this.#end;
  }

  #take(line: Buffer): Part[] {
    if (this.#pending !== undefined) {
      this.#pending.add(line);
      this.#pending.add(NEWLINE);
      return [];
    }
    if (isBlank(line)) return [];
    if (this.#begun) return this.#read(line);
    this.#begun = true;
    const first = withoutBomBytes(line);
    if (!opensObject(first)) return this.#read(first);
    this.#pending = replyBuffer();
    return this.#take(first);
  }

  #read(line: Buffer): Part[] {
    const reply = parseReplyLine(line);
    const parts = this.#contentParts(reply);
    if (parts.length > 0) {
      this.#deltas += 1;
      // The object with `done` was not the last one.
      this.#end = undefined;
    }
    if (reply["done"] === true) this.#end = this.#endOf(reply);
    return parts;
  }

  /** A load or an unload has no usage. */
  #endOf(reply: JsonObject): Part {
    const end = endOf(reply, this.#calls > 0);
    if (end.reason === "load" || end.reason === "unload") return end;
    return { ...end, usage: usageOrEstimate(end.usage, this.#request, this.#deltas) };
  }

  #contentParts(reply: JsonObject): Part[] {
    const { message } = reply;
    const source = isObject(message) ? message : reply;
    const parts: Part[] = [];
    const messageText = readMessageText(source === reply ? reply["response"] : source["content"], "content");
    const thought = readMessageText(source["thinking"], "thinking");
    const thinking = thought.thinking + thought.text + messageText.thinking;
    if (thinking !== "") parts.push({ type: "thinking-delta", text: thinking });
    const content = messageText.text;
    const logprobs = logprobsOf(reply["logprobs"]);
    if (content !== "" || logprobs !== undefined) parts.push(textDelta(content, logprobs));
    for (const call of callsIn(source["tool_calls"])) parts.push(this.#toolDelta(call));
    const { images } = source;
    this.#hasImages ||= Array.isArray(images) ? images.length > 0 : typeof reply["image"] === "string";
    return parts;
  }

  /** Numbers calls here, because older versions number each line from 0. */
  #toolDelta(call: JsonObject): Part {
    const called = isObject(call["function"]) ? call["function"] : call;
    const values = called["arguments"] ?? {};
    const index = this.#calls;
    this.#calls += 1;
    return withoutUndefined<ToolDelta>({
      type: "tool-delta",
      index,
      id: textOrEmpty(call["id"]) || undefined,
      name: nameOf(called),
      arguments: typeof values === "string" ? values.trim() || "{}" : JSON.stringify(values),
    });
  }
}

const NEWLINE = Buffer.from("\n");

/** An answer of images only must not look empty. */
function imagesOnlyFault(): Fault {
  const message = "the backend's answer consists of images, which this endpoint cannot return";
  return new Fault("backend_lost", message, { blame: "request" });
}

function textDelta(content: string, logprobs: readonly TokenLogprob[] | undefined): Part {
  const delta = { type: "text-delta", text: content } as const;
  return logprobs === undefined ? delta : { ...delta, logprobs };
}

function nameOf(called: JsonObject): string {
  const name = textOrEmpty(called["name"]);
  if (name === "") throw new Fault("backend_lost", "the backend's tool call has no name");
  return name;
}

function callsIn(value: Json | undefined): JsonObject[] {
  const list = value ?? [];
  if (isObject(list)) return [list];
  if (Array.isArray(list) && list.every(isObject)) return list;
  throw new Fault("backend_lost", "the backend's tool calls are not objects");
}
