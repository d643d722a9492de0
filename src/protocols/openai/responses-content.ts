import type { ContentPart } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { refusal } from "../fields.ts";
import { replaced, type Replacing } from "../replaced.ts";
import { textField } from "./fields.ts";
import { readAudio, readImage } from "./messages.ts";

/**
 * The content of an item. Parts that no model can be given are replaced by a sentence, or, where `replacing` is
 * undefined, refused with `unsupported`. Throws `invalid_request` for what is no content.
 */
export function readContent(content: Json | undefined, replacing: Replacing): readonly ContentPart[] {
  if (typeof content === "string") return textParts(content);
  if (!Array.isArray(content)) throw refusal("invalid message format");
  return content.flatMap((part) => readPart(part, replacing));
}

export function textParts(text: string): ContentPart[] {
  return text === "" ? [] : [{ type: "text", text }];
}

/** A text that an item or a part must have. */
export function required(item: JsonObject, name: string): string {
  const value = textField(item, name) ?? "";
  if (value === "") throw refusal(`${name} is required`);
  return value;
}

function readPart(part: Json, replacing: Replacing): readonly ContentPart[] {
  if (!isObject(part)) throw refusal("invalid message format");
  const type = textField(part, "type") ?? "";
  switch (type) {
    case "input_text":
    case "output_text":
    case "text":
      return textParts(textField(part, "text") ?? "");
    case "refusal":
      return textParts(required(part, "refusal"));
    case "input_image":
      return readInputImage(part, replacing);
    case "input_audio":
      return [readAudio(part["input_audio"])];
    case "input_file":
      return replaced(type, replacing, new Fault("unsupported", "file inputs are not currently supported"));
    default:
      return replaced(type, replacing, refusal(`unknown content type: ${JSON.stringify(type)}`));
  }
}

function readInputImage(part: JsonObject, replacing: Replacing): ContentPart[] {
  const url = textField(part, "image_url");
  if (url !== undefined) return [readImage({ url, detail: part["detail"] ?? null })];
  return replaced("input_image", replacing, new Fault("unsupported", "images by file id are not supported"));
}
