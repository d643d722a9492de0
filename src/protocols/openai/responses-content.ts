import type { ContentPart } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { invalidRequest, textField } from "../fields.ts";
import { replaceOrThrow, type OnReplaced } from "../placeholders.ts";
import { readInputAudio, readImageUrl } from "./messages.ts";

/**
 * Reads the content of an item. Parts without a neutral form become placeholders. Where `onReplaced` is undefined
 * they throw `unsupported`. Malformed content throws `invalid_request`.
 */
export function readItemContent(content: Json | undefined, onReplaced: OnReplaced): readonly ContentPart[] {
  if (typeof content === "string") return itemTextParts(content);
  if (!Array.isArray(content)) throw invalidRequest("invalid message format");
  return content.flatMap((part) => readPart(part, onReplaced));
}

export function itemTextParts(text: string): ContentPart[] {
  return text === "" ? [] : [{ type: "text", text }];
}

/** A required text of an item or a part. */
export function requiredText(item: JsonObject, name: string): string {
  const value = textField(item, name) ?? "";
  if (value === "") throw invalidRequest(`${name} is required`);
  return value;
}

function readPart(part: Json, onReplaced: OnReplaced): readonly ContentPart[] {
  if (!isObject(part)) throw invalidRequest("invalid message format");
  const type = textField(part, "type") ?? "";
  switch (type) {
    case "input_text":
    case "output_text":
    case "text":
      return itemTextParts(textField(part, "text") ?? "");
    case "refusal":
      return itemTextParts(requiredText(part, "refusal"));
    case "input_image":
      return readInputImage(part, onReplaced);
    case "input_audio":
      return [readInputAudio(part["input_audio"])];
    case "input_file":
      return replaceOrThrow(
        type,
        onReplaced,
        new Fault("unsupported", "file inputs are not currently supported"),
      );
    default:
      return replaceOrThrow(
        type,
        onReplaced,
        invalidRequest(`unknown content type: ${JSON.stringify(type)}`),
      );
  }
}

function readInputImage(part: JsonObject, onReplaced: OnReplaced): ContentPart[] {
  const url = textField(part, "image_url");
  if (url !== undefined) return [readImageUrl({ url, detail: part["detail"] ?? null })];
  return replaceOrThrow(
    "input_image",
    onReplaced,
    new Fault("unsupported", "images by file id are not supported"),
  );
}
