import type { ContentPart, Message, ToolCall } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import { append } from "../../core/long-lists.ts";
import type { OpenAIProfile } from "./profiles.ts";
import { mergeSystemMessages } from "../system-message.ts";

/** Messages in the format of a backend. Throws `unsupported` for images that it cannot decode. */
export function writeMessages(messages: readonly Message[], profile: OpenAIProfile): JsonObject[] {
  const names = new CallNames();
  return mergeSystemMessages(messages).map((message) => writeMessage(names.complete(message), profile));
}

/**
 * Gives every tool call an id, and every tool result the id of its call. OpenAI backends require both. Ollama's calls
 * may lack ids, and its results may only name the tool.
 */
class CallNames {
  #count = 0;
  #unanswered: ToolCall[] = [];

  complete(message: Message): Message {
    if (message.toolCalls !== undefined) {
      const toolCalls = message.toolCalls.map((call) => this.#named(call));
      append(this.#unanswered, toolCalls);
      return { ...message, toolCalls };
    }
    return message.role === "tool" ? { ...message, toolCallId: this.#answered(message) } : message;
  }

  #named(call: ToolCall): ToolCall {
    const number = this.#count++;
    return call.id === "" ? { ...call, id: `call_${number}` } : call;
  }

  #answered({ toolCallId, toolName }: Message): string {
    const at = this.#unanswered.findIndex((call) =>
      toolCallId === undefined ? toolName === undefined || call.name === toolName : call.id === toolCallId,
    );
    const call = at < 0 ? undefined : this.#unanswered.splice(at, 1)[0];
    return toolCallId ?? call?.id ?? `call_${this.#count++}`;
  }
}

function writeMessage(message: Message, profile: OpenAIProfile): JsonObject {
  const wire: JsonObject = { role: message.role, content: writeContent(message, profile) };
  if (message.thinking !== undefined) wire[profile.thoughts] = message.thinking;
  if (message.toolCalls !== undefined) wire["tool_calls"] = message.toolCalls.map(writeCall);
  if (message.toolCallId !== undefined) wire["tool_call_id"] = message.toolCallId;
  const name = message.name ?? message.toolName;
  if (name !== undefined) wire["name"] = name;
  return wire;
}

function writeCall(call: ToolCall): JsonObject {
  return { id: call.id, type: "function", function: { name: call.name, arguments: call.arguments } };
}

/** Writes plain text as a string, which every template accepts. Other content becomes a list of parts. */
function writeContent({ content, toolCalls }: Message, profile: OpenAIProfile): Json {
  if (content.length === 0) return toolCalls === undefined ? "" : null;
  const texts = content.map((part) => (part.type === "text" ? part.text : undefined));
  if (texts.every((text) => text !== undefined)) return texts.join("");
  return content.map((part) => writePart(part, profile));
}

function writePart(part: ContentPart, profile: OpenAIProfile): JsonObject {
  switch (part.type) {
    case "text":
      return { type: "text", text: part.text };
    case "image":
      return imageUrl(writeImage(part, profile), part.detail);
    case "image-url":
      return imageUrl(part.url, part.detail);
    case "audio":
      return { type: "input_audio", input_audio: { data: part.base64, format: part.format } };
  }
}

function imageUrl(url: string, detail: string | undefined): JsonObject {
  return { type: "image_url", image_url: detail === undefined ? { url } : { url, detail } };
}

/** First base64 characters by image type. The types that clients send are often wrong or missing. */
const SIGNATURES: readonly (readonly [string, string])[] = [
  ["iVBORw0KGgo", "image/png"],
  ["/9j/", "image/jpeg"],
  ["R0lGOD", "image/gif"],
  ["UklGR", "image/webp"],
  ["Qk", "image/bmp"],
];

type Image = Extract<ContentPart, { type: "image" }>;

function mediaTypeOf({ base64, mime }: Image): string {
  const sniffed = SIGNATURES.find(([start]) => base64.startsWith(start))?.[1];
  return sniffed ?? (mime === "" ? "image/png" : mime);
}

/** False for an image type that the backend cannot decode. */
export function canDecode(part: ContentPart, { images }: OpenAIProfile): boolean {
  return part.type !== "image" || images === undefined || images.includes(mediaTypeOf(part));
}

function writeImage(image: Image, profile: OpenAIProfile): string {
  const mime = mediaTypeOf(image);
  if (!canDecode(image, profile)) {
    throw new Fault("unsupported", `images of type ${mime} are not supported by the backend of this model`);
  }
  return `data:${mime};base64,${image.base64}`;
}
