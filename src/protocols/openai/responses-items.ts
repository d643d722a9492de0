import type { ContentPart, Message, ToolCall } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { append } from "../../core/long-lists.ts";
import { argumentsText } from "../arguments.ts";
import { present, refusal } from "../fields.ts";
import { listField, textField } from "./fields.ts";
import { readImage } from "./messages.ts";

/**
 * The conversation of a body: `instructions`, then `input`, a text or a list of items. The items of one turn of
 * the assistant, its reasoning, its messages and its calls, become one message. Throws `invalid_request` and
 * `unsupported` with Ollama's phrases.
 */
export function readInput(body: JsonObject): readonly Message[] {
  const conversation = new Conversation();
  const instructions = textField(body, "instructions") ?? "";
  if (instructions !== "") conversation.add({ role: "system", content: textParts(instructions) });
  const input = body["input"] ?? undefined;
  if (input === undefined) throw refusal("input is required");
  if (typeof input === "string") conversation.add({ role: "user", content: textParts(input) });
  else for (const [index, item] of itemsOf(input).entries()) readItem(conversation, item, index);
  return conversation.messages();
}

function itemsOf(input: Json): readonly Json[] {
  if (!Array.isArray(input)) throw refusal("input must be a string or an array of items");
  if (input.length === 0) throw refusal("input is required");
  return input;
}

/** Gathers the assistant's items until another one speaks. */
class Conversation {
  readonly #messages: Message[] = [];
  readonly #names = new Map<string, string>();
  #content: ContentPart[] = [];
  #thoughts: string[] = [];
  #calls: ToolCall[] = [];

  add(message: Message): void {
    this.#closeTurn();
    this.#messages.push(message);
  }

  say(content: readonly ContentPart[]): void {
    append(this.#content, content);
  }

  think(thought: string): void {
    this.#thoughts.push(thought);
  }

  call(call: ToolCall): void {
    this.#calls.push(call);
    this.#names.set(call.id, call.name);
  }

  result(id: string, content: readonly ContentPart[]): void {
    this.add({ role: "tool", content, toolCallId: id, ...present({ toolName: this.#names.get(id) }) });
  }

  messages(): readonly Message[] {
    this.#closeTurn();
    return this.#messages;
  }

  #closeTurn(): void {
    const [content, thoughts, calls] = [this.#content, this.#thoughts, this.#calls];
    if (content.length + thoughts.length + calls.length === 0) return;
    [this.#content, this.#thoughts, this.#calls] = [[], [], []];
    const thinking = thoughts.length === 0 ? undefined : thoughts.join("\n\n");
    const toolCalls = calls.length === 0 ? undefined : calls;
    this.#messages.push({ role: "assistant", content, ...present({ thinking, toolCalls }) });
  }
}

function readItem(conversation: Conversation, item: Json, index: number): void {
  if (!isObject(item)) throw refusal(`input[${index}]: an item must be an object`);
  const type = textField(item, "type") ?? ("role" in item ? "message" : "");
  switch (type) {
    case "message":
      readMessage(conversation, item);
      break;
    case "reasoning":
      readReasoning(conversation, item);
      break;
    case "function_call":
      readCall(conversation, item);
      break;
    case "function_call_output":
      conversation.result(required(item, "call_id"), readContent(item["output"]));
      break;
    case "web_search_call":
      // A note that a search was made. What it found is in the answer that follows.
      break;
    default:
      throw refusal(`input[${index}]: unknown input item type: ${JSON.stringify(type)}`);
  }
}

function readMessage(conversation: Conversation, item: JsonObject): void {
  const role = required(item, "role");
  const content = readContent(item["content"]);
  if (role === "assistant") conversation.say(content);
  else conversation.add({ role, content });
}

/** The summary is what this server's own reasoning items say; `content` is where open models' say it. */
function readReasoning(conversation: Conversation, item: JsonObject): void {
  const summary = textsOf(item, "summary");
  const thoughts = summary.length > 0 ? summary : textsOf(item, "content");
  if (thoughts.length > 0) conversation.think(thoughts.join("\n\n"));
}

function textsOf(item: JsonObject, name: string): string[] {
  const texts = (listField(item, name) ?? []).map((part) => (isObject(part) ? textField(part, "text") : ""));
  return texts.filter((text) => text !== undefined && text !== "") as string[];
}

function readCall(conversation: Conversation, item: JsonObject): void {
  const text = argumentsText(textField(item, "arguments") ?? "");
  conversation.call({ id: required(item, "call_id"), name: required(item, "name"), arguments: text });
}

function readContent(content: Json | undefined): readonly ContentPart[] {
  if (typeof content === "string") return textParts(content);
  if (!Array.isArray(content)) throw refusal("invalid message format");
  return content.flatMap(readPart);
}

function readPart(part: Json): readonly ContentPart[] {
  if (!isObject(part)) throw refusal("invalid message format");
  const type = textField(part, "type") ?? "";
  switch (type) {
    case "input_text":
    case "output_text":
    case "text":
      return textParts(required(part, "text"));
    case "refusal":
      return textParts(required(part, "refusal"));
    case "input_image":
      return [readInputImage(part)];
    case "input_file":
      throw new Fault("unsupported", "file inputs are not currently supported");
    default:
      throw refusal(`unknown content type: ${JSON.stringify(type)}`);
  }
}

function readInputImage(part: JsonObject): ContentPart {
  const url = textField(part, "image_url");
  if (url === undefined) throw new Fault("unsupported", "images by file id are not supported");
  return readImage({ url, detail: part["detail"] ?? null });
}

function textParts(text: string): ContentPart[] {
  return text === "" ? [] : [{ type: "text", text }];
}

function required(item: JsonObject, name: string): string {
  const value = textField(item, name) ?? "";
  if (value === "") throw refusal(`${name} is required`);
  return value;
}
