import type { NeutralRequest, Part, TokenLogprob } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { LineSplitter } from "../../wire/lines.ts";
import { usageOrEstimate } from "../estimate.ts";
import type { ReplyReader } from "../protocol.ts";
import { setOnly } from "../fields.ts";
import { saidBy } from "../said.ts";
import { endOf, incomplete, isBlank, logprobsOf, parseReply, text } from "./reply.ts";

/**
 * Reads the reply of `/api/chat` or `/api/generate`, streamed or whole: a whole reply is one line, with or
 * without a newline.
 */
export class OllamaReader implements ReplyReader {
  readonly #lines = new LineSplitter();
  readonly #request: NeutralRequest;
  #calls = 0;
  #deltas = 0;
  #done = false;

  constructor(request: NeutralRequest) {
    this.#request = request;
  }

  *push(chunk: Buffer): Generator<Part, void, void> {
    for (const line of this.#lines.push(chunk)) yield* this.#read(line);
  }

  *end(): Generator<Part, void, void> {
    yield* this.#read(this.#lines.rest());
    if (!this.#done) throw incomplete();
  }

  #read(line: Buffer): Part[] {
    if (this.#done || isBlank(line)) return [];
    const reply = parseReply(line);
    const parts = this.#said(reply);
    if (parts.length > 0) this.#deltas += 1;
    if (reply["done"] === true) {
      this.#done = true;
      parts.push(this.#end(reply));
    }
    return parts;
  }

  /** A load or an unload has used nothing. */
  #end(reply: JsonObject): Part {
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
