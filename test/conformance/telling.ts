import { isObject, type Json, type JsonObject } from "../../src/core/json.ts";

/**
 * The contents of a reply in any dialect. Read without the code under test, so that two replies can be compared, and
 * one can be translated.
 */
export interface Telling {
  readonly parts: Piece[];
  /** As the dialect says it. */
  finish: string | undefined;
  promptTokens: number | undefined;
  completionTokens: number | undefined;
  error: string | undefined;
}

export type Piece =
  | { readonly kind: "text" | "thinking"; readonly text: string; readonly logprobs?: Json }
  | { readonly kind: "call"; readonly id: string; readonly name: string; readonly args: string };

/** An event of a stream, or the one object of a whole reply. */
export interface Told {
  /** The name of an event, "" where the dialect has none. */
  readonly event: string;
  /** "[DONE]" stays text. */
  readonly data: Json;
}

/** The events of a reply's body. Throws for what is no JSON. */
export function eventsOf(contentType: string, body: string): Told[] {
  if (contentType.startsWith("text/event-stream")) {
    return body.split(/\r?\n\r?\n/).flatMap((block) => {
      const data = /^data: ?(.*)$/m.exec(block)?.[1];
      const event = /^event: ?(.*)$/m.exec(block)?.[1] ?? "";
      return data === undefined ? [] : [{ event, data: data === "[DONE]" ? data : parse(data) }];
    });
  }
  if (contentType.startsWith("application/x-ndjson")) {
    const lines = body.split("\n").filter((line) => line !== "");
    return lines.map((line) => ({ event: "", data: parse(line) }));
  }
  return contentType.includes("json") && body !== "" ? [{ event: "", data: parse(body) }] : [];
}

function parse(text: string): Json {
  return JSON.parse(text) as Json;
}

/** Reads a reply of any dialect. */
export function readTelling(contentType: string, body: string): Telling {
  const meaningful: Telling = {
    parts: [],
    finish: undefined,
    promptTokens: undefined,
    completionTokens: undefined,
    error: undefined,
  };
  const blocks = new Map<number, { id: string; name: string; args: string }>();
  for (const { event, data } of eventsOf(contentType, body)) {
    if (!isObject(data)) continue;
    readError(meaningful, data);
    if (Array.isArray(data["choices"])) readChoices(meaningful, data, blocks);
    else if (event.startsWith("response.") || data["object"] === "response") readResponse(meaningful, data);
    else if (typeof data["type"] === "string") readMessage(meaningful, data, blocks);
    else readOllama(meaningful, data);
  }
  for (const call of blocks.values()) meaningful.parts.push({ kind: "call", ...call });
  return meaningful;
}

function readError(meaningful: Telling, { error, type, message }: JsonObject): void {
  if (typeof error === "string") meaningful.error = error;
  else if (isObject(error)) meaningful.error = textOf(error["message"]);
  else if (type === "error") meaningful.error = textOf(message);
}

function readOllama(meaningful: Telling, data: JsonObject): void {
  const message = objectOf(data["message"] ?? data);
  const logprobs = data["logprobs"];
  say(meaningful, "thinking", message["thinking"]);
  say(meaningful, "text", message["content"] ?? message["response"], logprobs);
  for (const call of listOf(message["tool_calls"])) {
    const made = objectOf(call["function"]);
    const args = JSON.stringify(made["arguments"]);
    meaningful.parts.push({ kind: "call", id: textOf(call["id"]), name: textOf(made["name"]), args });
  }
  if (data["done"] !== true) return;
  meaningful.finish = textOf(data["done_reason"]);
  meaningful.promptTokens = countOf(data["prompt_eval_count"]);
  meaningful.completionTokens = countOf(data["eval_count"]);
}

type Blocks = Map<number, { id: string; name: string; args: string }>;

function readChoices(meaningful: Telling, data: JsonObject, blocks: Blocks): void {
  const [choice = {}] = listOf(data["choices"]);
  const delta = objectOf(choice["delta"] ?? choice["message"]);
  say(meaningful, "thinking", delta["reasoning"] ?? delta["reasoning_content"]);
  say(meaningful, "text", delta["content"] ?? choice["text"], objectOf(choice["logprobs"])["content"]);
  for (const call of listOf(delta["tool_calls"])) {
    const made = objectOf(call["function"]);
    grow(blocks, countOf(call["index"]) ?? blocks.size, {
      id: call["id"],
      name: made["name"],
      args: made["arguments"],
    });
  }
  if (typeof choice["finish_reason"] === "string") meaningful.finish = choice["finish_reason"];
  readUsage(meaningful, data["usage"], "prompt_tokens", "completion_tokens");
}

function readMessage(meaningful: Telling, data: JsonObject, blocks: Blocks): void {
  for (const block of listOf(data["content"])) {
    say(meaningful, "thinking", block["thinking"]);
    say(meaningful, "text", block["text"]);
    if (block["type"] === "tool_use")
      grow(blocks, blocks.size, { ...block, args: JSON.stringify(block["input"]) });
  }
  const delta = objectOf(data["delta"]);
  const index = countOf(data["index"]) ?? 0;
  const block = objectOf(data["content_block"]);
  if (block["type"] === "tool_use") grow(blocks, index, { ...block, args: "" });
  say(meaningful, "thinking", delta["thinking"]);
  say(meaningful, "text", delta["text"]);
  if (delta["partial_json"] !== undefined) grow(blocks, index, { args: delta["partial_json"] });
  const stop = delta["stop_reason"] ?? data["stop_reason"];
  if (typeof stop === "string") meaningful.finish = stop;
  readUsage(meaningful, data["usage"], "input_tokens", "output_tokens");
}

function readResponse(meaningful: Telling, data: JsonObject): void {
  const { type } = data;
  if (type === "response.output_text.delta") say(meaningful, "text", data["delta"]);
  else if (type === "response.reasoning_summary_text.delta") say(meaningful, "thinking", data["delta"]);
  const whole = objectOf(data["response"] ?? data);
  if (whole["status"] !== "completed" && whole["status"] !== "incomplete") return;
  meaningful.finish = textOf(whole["status"]);
  readUsage(meaningful, whole["usage"], "input_tokens", "output_tokens");
  for (const item of listOf(whole["output"])) readItem(meaningful, item, type === undefined);
}

/** Text was told by the stream already; calls are taken from its end. */
function readItem(meaningful: Telling, item: JsonObject, isWhole: boolean): void {
  if (item["type"] === "function_call") {
    const { call_id: id, name, arguments: args } = item;
    meaningful.parts.push({ kind: "call", id: textOf(id), name: textOf(name), args: textOf(args) });
  } else if (isWhole) {
    for (const part of listOf(item["summary"])) say(meaningful, "thinking", part["text"]);
    for (const part of listOf(item["content"])) say(meaningful, "text", part["text"]);
  }
}

function readUsage(meaningful: Telling, usage: Json | undefined, prompt: string, completion: string): void {
  if (!isObject(usage)) return;
  const read = countOf(usage[prompt]);
  // Anthropic counts what was in the cache apart.
  if (read !== undefined) meaningful.promptTokens = read + (countOf(usage["cache_read_input_tokens"]) ?? 0);
  meaningful.completionTokens = countOf(usage[completion]) ?? meaningful.completionTokens;
}

function say(meaningful: Telling, kind: "text" | "thinking", text: Json | undefined, logprobs?: Json): void {
  if (typeof text !== "string" || text === "") return;
  meaningful.parts.push(logprobs === undefined ? { kind, text } : { kind, text, logprobs });
}

function grow(blocks: Blocks, index: number, more: { readonly [key: string]: Json | undefined }): void {
  const block = blocks.get(index) ?? { id: "", name: "", args: "" };
  block.id += textOf(more["id"]);
  block.name += textOf(more["name"]);
  block.args += textOf(more["args"]);
  blocks.set(index, block);
}

/** All text of one kind. */
export function textIn(meaningful: Telling, kind: "text" | "thinking"): string {
  return meaningful.parts.map((part) => (part.kind === kind ? part.text : "")).join("");
}

/** The calls without their ids, arguments as values. */
export function callsIn(meaningful: Telling): { name: string; args: unknown }[] {
  return meaningful.parts.flatMap((part) =>
    part.kind === "call" ? [{ name: part.name, args: parse(part.args) }] : [],
  );
}

function objectOf(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

function listOf(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

function countOf(value: Json | undefined): number | undefined {
  return typeof value === "number" ? value : undefined;
}
