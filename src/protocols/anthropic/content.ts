import type { ContentPart } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { isObject, type Json } from "../../core/json.ts";
import { type BodyFields, invalidRequest } from "../fields.ts";
import { replaceOrThrow, type OnReplaced } from "../placeholders.ts";

/** A text, or a list of blocks. */
export type BlockContent = string | readonly BodyFields[];

/** Reads a field as content; empty when unset. Throws `invalid_request` for another type. */
export function readBlockContent(fields: BodyFields, name: string): BlockContent {
  const value = fields.any(name);
  return typeof value === "string" ? value : fields.objects(name, "anthropic.ContentBlock");
}

/**
 * Reads content for a model. Blocks without a neutral form become placeholders. Where `onReplaced` is undefined they
 * throw `unsupported`. Malformed content throws `invalid_request`.
 */
export function readParts(content: BlockContent, onReplaced: OnReplaced): ContentPart[] {
  if (typeof content === "string") return textParts(content);
  return content.flatMap((block) => readPart(block, onReplaced));
}

export function textParts(text: string): ContentPart[] {
  return text === "" ? [] : [{ type: "text", text }];
}

export function readPart(block: BodyFields, onReplaced: OnReplaced): ContentPart[] {
  const type = block.text("type");
  switch (type) {
    case "text":
      return textParts(block.text("text"));
    case "image":
      return readImage(block.inner("source", "anthropic.ImageSource"), onReplaced);
    case "document":
      return readDocument(block, onReplaced);
    case "search_result":
      return readSearchResult(block, onReplaced);
    case "tool_reference":
      return textParts(`Tool found, which can be called now: ${block.text("tool_name")}\n`);
    case "compaction":
      return readCompaction(block, onReplaced);
    case "":
      throw invalidRequest("a content block needs a type");
    default:
      return replaceOrThrow(type, onReplaced, unsupportedFeature(`content of type ${JSON.stringify(type)}`));
  }
}

/** The summary of a long conversation. Some summaries are encrypted by the server that made them. */
function readCompaction(block: BodyFields, onReplaced: OnReplaced): ContentPart[] {
  const text = block.text("content");
  return text === ""
    ? replaceOrThrow("compaction", onReplaced, unsupportedFeature("an encrypted compaction"))
    : textParts(text);
}

function readImage(source: BodyFields, onReplaced: OnReplaced): ContentPart[] {
  const type = source.text("type");
  if (type === "url") return [{ type: "image-url", url: source.text("url") }];
  const base64 = source.text("data");
  if (type === "base64" && base64 !== "") return [{ type: "image", mime: source.text("media_type"), base64 }];
  const fault =
    type === "base64"
      ? invalidRequest("an image needs data")
      : unsupportedFeature(`an image from a source of type ${JSON.stringify(type)}`);
  return replaceOrThrow("image", onReplaced, fault);
}

/** Text documents become text, with their title and context. Other documents would need rendering. */
function readDocument(block: BodyFields, onReplaced: OnReplaced): ContentPart[] {
  const source = block.inner("source", "anthropic.DocumentSource");
  const head = [block.text("title"), block.text("context")].filter((text) => text !== "");
  const lead = head.flatMap((text) => textParts(`${text}\n`));
  const type = source.text("type");
  switch (type) {
    case "text":
      return [...lead, ...textParts(source.text("data"))];
    case "content":
      return [...lead, ...readParts(readBlockContent(source, "content"), onReplaced)];
    default: {
      const fault = unsupportedFeature(`a document from a source of type ${JSON.stringify(type)}`);
      return [...lead, ...replaceOrThrow("document", onReplaced, fault)];
    }
  }
}

/** A result of the client's own search. */
function readSearchResult(block: BodyFields, onReplaced: OnReplaced): ContentPart[] {
  const head = [block.text("title"), block.text("source")].filter((text) => text !== "");
  return [
    ...head.flatMap((text) => textParts(`${text}\n`)),
    ...readParts(readBlockContent(block, "content"), onReplaced),
  ];
}

/** The input of a tool call as JSON text; `{}` when unset. */
export function inputText(value: Json | undefined): string {
  const input: Json = value ?? {};
  if (!isObject(input)) throw invalidRequest("the input of a tool_use block must be an object");
  return JSON.stringify(input);
}

/** The fault for a feature of Anthropic's API that no backend offers. */
export function unsupportedFeature(what: string): Fault {
  return new Fault("unsupported", `${what} is not supported by this server`);
}
