import type { ContentPart, Message, ToolCall } from "../../core/chat.ts";
import { isObject } from "../../core/json.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import { argumentsText } from "../tool-arguments.ts";
import { definedFields, invalidRequest, listField, mismatch, textField } from "../fields.ts";
import { placeholder } from "../placeholders.ts";

/** Collects content without a neutral form. */
interface Notes {
  /** Descriptions of content that prevents a translation. */
  readonly obstacles: string[];
  /** Names of content that a placeholder replaces. */
  readonly unread: string[];
}

/**
 * Reads `messages`. A part without a neutral form becomes a placeholder and is noted in `unread`. In the user's
 * newest message it is an obstacle. Throws `invalid_request` in the words of Ollama's OpenAI API.
 */
export function readOpenaiMessages(body: JsonObject, notes: Notes): readonly Message[] {
  const list = listField(body, "messages") ?? [];
  if (list.length === 0) throw invalidRequest("[] is too short - 'messages'");
  const reader = new MessageReader(notes);
  const newest = list.findLastIndex((item) => isObject(item) && item["role"] !== "system");
  return list.map((item, index) => reader.read(item, index === newest));
}

/** Keeps the tool calls read so far: a tool result may have only the id of its call, or only the name. */
class MessageReader {
  readonly #notes: Notes;
  /** True while the user's newest message is read. */
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
    if (role === undefined) throw invalidRequest("invalid message format");
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
    // An assistant's message may be empty, when it was stopped or spoken.
    const optional =
      toolCalls !== undefined ||
      thinking !== undefined ||
      refused !== undefined ||
      item["role"] === "assistant";
    const content = [...this.#contentOf(item["content"] ?? null, optional), ...this.#audioOf(item)];
    const parts = refused === undefined ? content : [...content, { type: "text", text: refused } as const];
    return { content: parts, ...definedFields({ thinking, toolCalls }) };
  }

  /** Only the server that spoke an answer knows its audio by the id. */
  #audioOf(item: JsonObject): ContentPart[] {
    if (item["role"] !== "assistant" || !isObject(item["audio"] ?? null)) return [];
    this.#notes.unread.push("messages.audio");
    return [placeholder("audio")];
  }

  /** The call that a tool result answers, or the participant's name of another message. */
  #answerOf(item: JsonObject, role: string): Pick<Message, "toolCallId" | "toolName" | "name"> {
    const name = textField(item, "name");
    if (role !== "tool" && role !== "function") return definedFields({ name });
    const id = textField(item, "tool_call_id") ?? (name === undefined ? undefined : this.#idOf.get(name));
    const toolName = name ?? (id === undefined ? undefined : this.#nameOf.get(id));
    return definedFields({ toolCallId: id, toolName });
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

  /** Calls in the deprecated form have no ids, so they are numbered. */
  #legacyCall(value: Json): ToolCall {
    return { id: `call_${this.#nameOf.size}`, ...readFunction(value) };
  }

  #contentOf(content: Json, optional: boolean): readonly ContentPart[] {
    if (typeof content === "string") return content === "" ? [] : [{ type: "text", text: content }];
    if (Array.isArray(content)) return this.#partsOf(content);
    if (optional && content === null) return [];
    throw invalidRequest(`invalid message content type: ${goTypeOf(content)}`);
  }

  /** Joins adjacent texts, because some templates put a line break between parts. */
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
    return placeholder(type);
  }

  #partOf(item: Json): ContentPart | undefined {
    if (!isObject(item)) throw invalidRequest("invalid message format");
    const type = textField(item, "type") ?? "";
    switch (type) {
      case "text":
        return { type: "text", text: required(item, "text") };
      case "refusal":
        return { type: "text", text: required(item, "refusal") };
      case "image_url":
        return readImageUrl(item["image_url"]);
      case "input_audio":
        return readInputAudio(item["input_audio"]);
      case "file":
      case "video_url":
      case "audio_url":
        return this.#missing(type);
      default:
        throw invalidRequest("invalid message format");
    }
  }
}

function required(holder: JsonObject, name: string): string {
  const value = holder[name];
  if (typeof value !== "string") throw invalidRequest("invalid message format");
  return value;
}

function readCall(item: Json): ToolCall {
  if (!isObject(item)) throw invalidRequest("invalid message format");
  const id = textField(item, "id") ?? "";
  const custom = item["custom"];
  // Models only know functions, so free text becomes a member of the arguments.
  if (item["type"] === "custom" && isObject(custom)) {
    const input = textField(custom, "input") ?? "";
    return { id, name: required(custom, "name"), arguments: JSON.stringify({ input }) };
  }
  return { id, ...readFunction(item["function"] ?? null) };
}

function readFunction(value: Json): Pick<ToolCall, "name" | "arguments"> {
  if (!isObject(value)) throw invalidRequest("invalid message format");
  return { name: required(value, "name"), arguments: argumentsText(textField(value, "arguments") ?? "") };
}

const DATA_URL = /^data:([^;,]*)(?:;[^;,]*)*?;base64,/;
/** Longest head of a data URL. The pattern need not see the megabytes behind it. */
const DATA_URL_HEAD = 256;

/** Reads an `image_url`: a URL, or `{url, detail}`. Throws `invalid_request`. */
export function readImageUrl(value: Json | undefined): ContentPart {
  const url = isObject(value) ? textField(value, "url") : value;
  if (typeof url !== "string") throw invalidRequest("invalid message format");
  const head = DATA_URL.exec(url.slice(0, DATA_URL_HEAD));
  const detail = isObject(value) ? textField(value, "detail") : undefined;
  if (head !== null) {
    const base64 = url.slice(head[0].length);
    return { type: "image", mime: head[1] ?? "", base64, ...definedFields({ detail }) };
  }
  if (url.startsWith("data:")) throw invalidRequest("invalid image input");
  return { type: "image-url", url, ...definedFields({ detail }) };
}

/** Reads an `input_audio`. Throws `invalid_request`. */
export function readInputAudio(value: Json | undefined): ContentPart {
  if (!isObject(value)) throw invalidRequest("invalid message format");
  return { type: "audio", format: textField(value, "format") ?? "wav", base64: required(value, "data") };
}

function goTypeOf(content: Json): string {
  if (content === null) return "<nil>";
  if (typeof content === "number") return "float64";
  return typeof content === "boolean" ? "bool" : "map[string]interface {}";
}
