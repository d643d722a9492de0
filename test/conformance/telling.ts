import { isObject, type Json, type JsonObject } from "../../src/core/json.ts";

/**
 * What a reply tells, whatever its dialect: read here without the code under test, so that two replies can be
 * compared and one can be told again in another dialect.
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
  const telling: Telling = {
    parts: [],
    finish: undefined,
    promptTokens: undefined,
    completionTokens: undefined,
    error: undefined,
  };
  const blocks = new Map<number, { id: string; name: string; args: string }>();
  for (const { event, data } of eventsOf(contentType, body)) {
    if (!isObject(data)) continue;
    readError(telling, data);
    if (Array.isArray(data["choices"])) readChoices(telling, data, blocks);
    else if (event.startsWith("response.") || data["object"] === "response") readResponse(telling, data);
    else if (typeof data["type"] === "string") readMessage(telling, data, blocks);
    else readOllama(telling, data);
  }
  for (const call of blocks.values()) telling.parts.push({ kind: "call", ...call });
  return telling;
}

function readError(telling: Telling, { error, type, message }: JsonObject): void {
  if (typeof error === "string") telling.error = error;
  else if (isObject(error)) telling.error = textOf(error["message"]);
  else if (type === "error") telling.error = textOf(message);
}

function readOllama(telling: Telling, data: JsonObject): void {
  const message = objectOf(data["message"] ?? data);
  const logprobs = data["logprobs"];
  say(telling, "thinking", message["thinking"]);
  say(telling, "text", message["content"] ?? message["response"], logprobs);
  for (const call of listOf(message["tool_calls"])) {
    const made = objectOf(call["function"]);
    const args = JSON.stringify(made["arguments"]);
    telling.parts.push({ kind: "call", id: textOf(call["id"]), name: textOf(made["name"]), args });
  }
  if (data["done"] !== true) return;
  telling.finish = textOf(data["done_reason"]);
  telling.promptTokens = countOf(data["prompt_eval_count"]);
  telling.completionTokens = countOf(data["eval_count"]);
}

type Blocks = Map<number, { id: string; name: string; args: string }>;

function readChoices(telling: Telling, data: JsonObject, blocks: Blocks): void {
  const [choice = {}] = listOf(data["choices"]);
  const delta = objectOf(choice["delta"] ?? choice["message"]);
  say(telling, "thinking", delta["reasoning"] ?? delta["reasoning_content"]);
  say(telling, "text", delta["content"] ?? choice["text"], objectOf(choice["logprobs"])["content"]);
  for (const call of listOf(delta["tool_calls"])) {
    const made = objectOf(call["function"]);
    grow(blocks, countOf(call["index"]) ?? blocks.size, {
      id: call["id"],
      name: made["name"],
      args: made["arguments"],
    });
  }
  if (typeof choice["finish_reason"] === "string") telling.finish = choice["finish_reason"];
  readUsage(telling, data["usage"], "prompt_tokens", "completion_tokens");
}

function readMessage(telling: Telling, data: JsonObject, blocks: Blocks): void {
  for (const block of listOf(data["content"])) {
    say(telling, "thinking", block["thinking"]);
    say(telling, "text", block["text"]);
    if (block["type"] === "tool_use")
      grow(blocks, blocks.size, { ...block, args: JSON.stringify(block["input"]) });
  }
  const delta = objectOf(data["delta"]);
  const index = countOf(data["index"]) ?? 0;
  const block = objectOf(data["content_block"]);
  if (block["type"] === "tool_use") grow(blocks, index, { ...block, args: "" });
  say(telling, "thinking", delta["thinking"]);
  say(telling, "text", delta["text"]);
  if (delta["partial_json"] !== undefined) grow(blocks, index, { args: delta["partial_json"] });
  const stop = delta["stop_reason"] ?? data["stop_reason"];
  if (typeof stop === "string") telling.finish = stop;
  readUsage(telling, data["usage"], "input_tokens", "output_tokens");
}

function readResponse(telling: Telling, data: JsonObject): void {
  const { type } = data;
  if (type === "response.output_text.delta") say(telling, "text", data["delta"]);
  else if (type === "response.reasoning_summary_text.delta") say(telling, "thinking", data["delta"]);
  const whole = objectOf(data["response"] ?? data);
  if (whole["status"] !== "completed" && whole["status"] !== "incomplete") return;
  telling.finish = textOf(whole["status"]);
  readUsage(telling, whole["usage"], "input_tokens", "output_tokens");
  for (const item of listOf(whole["output"])) readItem(telling, item, type === undefined);
}

/** Text was told by the stream already; calls are taken from its end. */
function readItem(telling: Telling, item: JsonObject, isWhole: boolean): void {
  if (item["type"] === "function_call") {
    const { call_id: id, name, arguments: args } = item;
    telling.parts.push({ kind: "call", id: textOf(id), name: textOf(name), args: textOf(args) });
  } else if (isWhole) {
    for (const part of listOf(item["summary"])) say(telling, "thinking", part["text"]);
    for (const part of listOf(item["content"])) say(telling, "text", part["text"]);
  }
}

function readUsage(telling: Telling, usage: Json | undefined, prompt: string, completion: string): void {
  if (!isObject(usage)) return;
  const read = countOf(usage[prompt]);
  // Anthropic counts what was in the cache apart.
  if (read !== undefined) telling.promptTokens = read + (countOf(usage["cache_read_input_tokens"]) ?? 0);
  telling.completionTokens = countOf(usage[completion]) ?? telling.completionTokens;
}

function say(telling: Telling, kind: "text" | "thinking", text: Json | undefined, logprobs?: Json): void {
  if (typeof text !== "string" || text === "") return;
  telling.parts.push(logprobs === undefined ? { kind, text } : { kind, text, logprobs });
}

function grow(blocks: Blocks, index: number, more: { readonly [key: string]: Json | undefined }): void {
  const block = blocks.get(index) ?? { id: "", name: "", args: "" };
  block.id += textOf(more["id"]);
  block.name += textOf(more["name"]);
  block.args += textOf(more["args"]);
  blocks.set(index, block);
}

/** All text of one kind. */
export function textIn(telling: Telling, kind: "text" | "thinking"): string {
  return telling.parts.map((part) => (part.kind === kind ? part.text : "")).join("");
}

/** The calls without their ids, arguments as values. */
export function callsIn(telling: Telling): { name: string; args: unknown }[] {
  return telling.parts.flatMap((part) =>
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
