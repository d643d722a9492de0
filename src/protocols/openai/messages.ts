import type { ContentPart, Message, ToolCall } from "../../core/chat.ts";
import { isObject } from "../../core/json.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import { argumentsText } from "../arguments.ts";
import { present, refusal } from "../fields.ts";
import { insteadOf } from "../fitting.ts";
import { listField, mismatch, textField } from "./fields.ts";

/** Where a reader notes what has no neutral form. */
interface Notes {
  /** In words: the request cannot be translated. */
  readonly obstacles: string[];
  /** By name: it can, since a sentence stands in its place. */
  readonly unread: string[];
}

/**
 * Reads `messages`. A part without a neutral form is replaced by a sentence and noted in `unread`; in the user's newest
 * turn it is an obstacle. Throws `invalid_request` with the phrases of Ollama's OpenAI surface.
 */
export function readMessages(body: JsonObject, notes: Notes): readonly Message[] {
  const list = listField(body, "messages") ?? [];
  if (list.length === 0) throw refusal("[] is too short - 'messages'");
  const reader = new MessageReader(notes);
  const newest = list.findLastIndex((item) => isObject(item) && item["role"] !== "system");
  return list.map((item, index) => reader.read(item, index === newest));
}

/** Remembers the tool calls seen so far: a tool result may name only the id of its call, or only the name. */
class MessageReader {
  readonly #notes: Notes;
  /** The message that is read is the user's newest turn. */
  #isNewest = false;
  readonly #nameOf = new Map<string, string>();
  readonly #idOf = new Map<string, string>();

  constructor(notes: Notes) {
    this.#notes = notes;
  }

  read(item: Json, isLast: boolean): Message {
    if (!isObject(item)) throw mismatch("messages", item, "openai.Message");
    const role = textField(item, "role");
    this.#isNewest = isLast && role === "user";
    if (role === undefined) throw refusal("invalid message format");
    return {
      role: role === "function" ? "tool" : role,
      ...this.#bodyOf(item),
      ...this.#answerOf(item, role),
    };
  }

  #bodyOf(item: JsonObject): Pick<Message, "content" | "thinking" | "toolCalls"> {
    const toolCalls = this.#callsOf(item);
    const thinking = textField(item, "reasoning") ?? textField(item, "reasoning_content");
    const refused = textField(item, "refusal");
    // An assistant may have said nothing: a turn that was stopped, or spoken, stays in the history.
    const optional =
      toolCalls !== undefined ||
      thinking !== undefined ||
      refused !== undefined ||
      item["role"] === "assistant";
    const content = [...this.#contentOf(item["content"] ?? null, optional), ...this.#spokenOf(item)];
    const said = refused === undefined ? content : [...content, { type: "text", text: refused } as const];
    return { content: said, ...present({ thinking, toolCalls }) };
  }

  /** What the assistant has said aloud is known by its id, to the server alone that said it. */
  #spokenOf(item: JsonObject): ContentPart[] {
    if (item["role"] !== "assistant" || !isObject(item["audio"] ?? null)) return [];
    this.#notes.unread.push("messages.audio");
    return [insteadOf("audio")];
  }

  /** Of a tool result the call it answers, of any other message the participant's name. */
  #answerOf(item: JsonObject, role: string): Pick<Message, "toolCallId" | "toolName" | "name"> {
    const name = textField(item, "name");
    if (role !== "tool" && role !== "function") return present({ name });
    const id = textField(item, "tool_call_id") ?? (name === undefined ? undefined : this.#idOf.get(name));
    const toolName = name ?? (id === undefined ? undefined : this.#nameOf.get(id));
    return present({ toolCallId: id, toolName });
  }

  #callsOf(item: JsonObject): readonly ToolCall[] | undefined {
    const list = listField(item, "tool_calls")?.map((call) => readCall(call));
    const legacy = item["function_call"] ?? undefined;
    const calls = legacy === undefined ? list : [...(list ?? []), this.#legacyCall(legacy)];
    for (const call of calls ?? []) {
      this.#nameOf.set(call.id, call.name);
      this.#idOf.set(call.name, call.id);
    }
    return calls === undefined || calls.length === 0 ? undefined : calls;
  }

  /** The deprecated form has no ids: the number of the call makes one. */
  #legacyCall(value: Json): ToolCall {
    return { id: `call_${this.#nameOf.size}`, ...readFunction(value) };
  }

  #contentOf(content: Json, optional: boolean): readonly ContentPart[] {
    if (typeof content === "string") return content === "" ? [] : [{ type: "text", text: content }];
    if (Array.isArray(content)) return this.#partsOf(content);
    if (optional && content === null) return [];
    throw refusal(`invalid message content type: ${goTypeOf(content)}`);
  }

  /** Neighbouring texts become one: some templates put a line break between parts. */
  #partsOf(list: readonly Json[]): readonly ContentPart[] {
    const parts: ContentPart[] = [];
    for (const item of list) {
      const part = this.#partOf(item);
      const last = parts.at(-1);
      if (part === undefined || (part.type === "text" && part.text === "")) continue;
      if (part.type === "text" && last?.type === "text") {
        parts[parts.length - 1] = { type: "text", text: last.text + part.text };
      } else parts.push(part);
    }
    return parts;
  }

  #missing(type: string): ContentPart | undefined {
    if (this.#isNewest) {
      this.#notes.obstacles.push(`content of type ${JSON.stringify(type)}`);
      return undefined;
    }
    this.#notes.unread.push(`messages.${type}`);
    return insteadOf(type);
  }

  #partOf(item: Json): ContentPart | undefined {
    if (!isObject(item)) throw refusal("invalid message format");
    const type = textField(item, "type") ?? "";
    switch (type) {
      case "text":
        return { type: "text", text: required(item, "text") };
      case "refusal":
        return { type: "text", text: required(item, "refusal") };
      case "image_url":
        return readImage(item["image_url"]);
      case "input_audio":
        return readAudio(item["input_audio"]);
      case "file":
      case "video_url":
      case "audio_url":
        return this.#missing(type);
      default:
        throw refusal("invalid message format");
    }
  }
}

function required(holder: JsonObject, name: string): string {
  const value = holder[name];
  if (typeof value !== "string") throw refusal("invalid message format");
  return value;
}

function readCall(item: Json): ToolCall {
  if (!isObject(item)) throw refusal("invalid message format");
  const id = textField(item, "id") ?? "";
  const custom = item["custom"];
  // Free text is a member of the arguments for a model that knows functions only.
  if (item["type"] === "custom" && isObject(custom)) {
    const input = textField(custom, "input") ?? "";
    return { id, name: required(custom, "name"), arguments: JSON.stringify({ input }) };
  }
  return { id, ...readFunction(item["function"] ?? null) };
}

function readFunction(value: Json): Pick<ToolCall, "name" | "arguments"> {
  if (!isObject(value)) throw refusal("invalid message format");
  return { name: required(value, "name"), arguments: argumentsText(textField(value, "arguments") ?? "") };
}

const DATA_URL = /^data:([^;,]*)(?:;[^;,]*)*?;base64,/;
/** A data URL's head fits in here; the rest can be megabytes the pattern need not see. */
const DATA_URL_HEAD = 256;

/** An image part from an `image_url`: a URL, or `{url, detail}`. Throws `invalid_request`. */
export function readImage(value: Json | undefined): ContentPart {
  const url = isObject(value) ? textField(value, "url") : value;
  if (typeof url !== "string") throw refusal("invalid message format");
  const head = DATA_URL.exec(url.slice(0, DATA_URL_HEAD));
  const detail = isObject(value) ? textField(value, "detail") : undefined;
  if (head !== null) {
    const base64 = url.slice(head[0].length);
    return { type: "image", mime: head[1] ?? "", base64, ...present({ detail }) };
  }
  if (url.startsWith("data:")) throw refusal("invalid image input");
  return { type: "image-url", url, ...present({ detail }) };
}

/** An audio part from an `input_audio`. Throws `invalid_request`. */
export function readAudio(value: Json | undefined): ContentPart {
  if (!isObject(value)) throw refusal("invalid message format");
  return { type: "audio", format: textField(value, "format") ?? "wav", base64: required(value, "data") };
}

function goTypeOf(content: Json): string {
  if (content === null) return "<nil>";
  if (typeof content === "number") return "float64";
  return typeof content === "boolean" ? "bool" : "map[string]interface {}";
}
