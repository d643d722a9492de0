import type { ContentPart } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { isObject, type Json } from "../../core/json.ts";
import { type Fields, refusal } from "../fields.ts";
import { replaced, type Replacing } from "../replaced.ts";

/** Content is a text, or a list of blocks. */
export type Content = string | readonly Fields[];

/** Reads the field as content; empty when unset. Throws `invalid_request` for what is neither. */
export function readContent(fields: Fields, name: string): Content {
  const value = fields.any(name);
  return typeof value === "string" ? value : fields.objects(name, "anthropic.ContentBlock");
}

/**
 * Content that is shown to a model. Blocks that no model can be given are replaced by a sentence, or, where `replacing`
 * is undefined, refused with `unsupported`. Throws `invalid_request` for what is no content.
 */
export function readParts(content: Content, replacing: Replacing): ContentPart[] {
  if (typeof content === "string") return textParts(content);
  return content.flatMap((block) => readPart(block, replacing));
}

export function textParts(text: string): ContentPart[] {
  return text === "" ? [] : [{ type: "text", text }];
}

export function readPart(block: Fields, replacing: Replacing): ContentPart[] {
  const type = block.text("type");
  switch (type) {
    case "text":
      return textParts(block.text("text"));
    case "image":
      return readImage(block.inner("source", "anthropic.ImageSource"), replacing);
    case "document":
      return readDocument(block, replacing);
    case "search_result":
      return readSearchResult(block, replacing);
    case "tool_reference":
      return textParts(`Tool found, which can be called now: ${block.text("tool_name")}\n`);
    case "compaction":
      return readCompaction(block, replacing);
    case "":
      throw refusal("a content block needs a type");
    default:
      return replaced(type, replacing, unsupported(`content of type ${JSON.stringify(type)}`));
  }
}

/** What became of a long conversation; some of it can be read only by the server that made it. */
function readCompaction(block: Fields, replacing: Replacing): ContentPart[] {
  const text = block.text("content");
  return text === ""
    ? replaced("compaction", replacing, unsupported("a sealed compaction"))
    : textParts(text);
}

function readImage(source: Fields, replacing: Replacing): ContentPart[] {
  const type = source.text("type");
  if (type === "url") return [{ type: "image-url", url: source.text("url") }];
  const base64 = source.text("data");
  if (type === "base64" && base64 !== "") return [{ type: "image", mime: source.text("media_type"), base64 }];
  const fault =
    type === "base64"
      ? refusal("an image needs data")
      : unsupported(`an image from a source of type ${JSON.stringify(type)}`);
  return replaced("image", replacing, fault);
}

/** Documents of text are text; others would have to be rendered. The title and the context belong to the text. */
function readDocument(block: Fields, replacing: Replacing): ContentPart[] {
  const source = block.inner("source", "anthropic.DocumentSource");
  const head = [block.text("title"), block.text("context")].filter((text) => text !== "");
  const lead = head.flatMap((text) => textParts(`${text}\n`));
  const type = source.text("type");
  switch (type) {
    case "text":
      return [...lead, ...textParts(source.text("data"))];
    case "content":
      return [...lead, ...readParts(readContent(source, "content"), replacing)];
    default: {
      const fault = unsupported(`a document from a source of type ${JSON.stringify(type)}`);
      return [...lead, ...replaced("document", replacing, fault)];
    }
  }
}

/** A result of the client's own search. */
function readSearchResult(block: Fields, replacing: Replacing): ContentPart[] {
  const head = [block.text("title"), block.text("source")].filter((text) => text !== "");
  return [
    ...head.flatMap((text) => textParts(`${text}\n`)),
    ...readParts(readContent(block, "content"), replacing),
  ];
}

/** The input of a tool call as JSON text; {} when unset. */
export function inputText(value: Json | undefined): string {
  const input: Json = value ?? {};
  if (!isObject(input)) throw refusal("the input of a tool_use block must be an object");
  return JSON.stringify(input);
}

/** The fault of what Anthropic's API has and no backend here. */
export function unsupported(what: string): Fault {
  return new Fault("unsupported", `${what} is not supported by this server`);
}
