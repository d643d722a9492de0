import type { ContentPart } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { invalidRequest } from "../fields.ts";

/** The head of a data URL, with or without media type and parameters. */
const DATA_URL = /^data:([^;,]*)(?:;[^;,]*)*;base64,/i;
/** Longest head of a data URL. The pattern must not see the megabytes behind it, which would overflow the stack. */
const DATA_URL_HEAD = 256;

/** Removes the data-URL prefix. Ollama accepts none, but many clients send one. */
export function stripDataUrl(image: string): string {
  return image.slice(DATA_URL.exec(image.slice(0, DATA_URL_HEAD))?.[0].length ?? 0);
}

/** Reads an image of Ollama's API, or a sound, which Ollama carries in `images` as well. Throws `invalid_request`. */
export function readBase64Image(image: string): ContentPart {
  const base64 = stripDataUrl(image).replaceAll(/[\r\n]/g, "");
  checkBase64(base64);
  const head = Buffer.from(base64.slice(0, 24), "base64");
  const format = audioFormat(head);
  if (format !== undefined) return { type: "audio", format, base64 };
  const announced = DATA_URL.exec(image.slice(0, DATA_URL_HEAD))?.[1];
  return { type: "image", mime: imageType(head) ?? (announced || "application/octet-stream"), base64 };
}

/** Searches the first invalid character, without backtracking for large images. */
function checkBase64(base64: string): void {
  const invalid = base64.search(/[^A-Za-z0-9+/]/);
  if (invalid >= 0 && !/^={1,2}$/.test(base64.slice(invalid, invalid + 3))) throw illegal(invalid);
  if (base64.length % 4 !== 0) throw illegal(base64.length);
}

function illegal(offset: number): Fault {
  return invalidRequest(`illegal base64 data at input byte ${offset}`);
}

/** The media type by the first bytes. Ollama's API has no field for it. */
function imageType(head: Buffer): string | undefined {
  const text = head.toString("latin1");
  if (text.startsWith("\u0089PNG")) return "image/png";
  if (text.startsWith("\u00ff\u00d8\u00ff")) return "image/jpeg";
  if (text.startsWith("GIF8")) return "image/gif";
  return text.startsWith("RIFF") && text.startsWith("WEBP", 8) ? "image/webp" : undefined;
}

function audioFormat(head: Buffer): string | undefined {
  const text = head.toString("latin1");
  if (text.startsWith("RIFF") && text.startsWith("WAVE", 8)) return "wav";
  return text.startsWith("ID3") ? "mp3" : undefined;
}

/** The `images` of a message: images and sounds in order. Throws `unsupported` for a remote image. */
export function writeImages(content: readonly ContentPart[]): string[] | undefined {
  const images: string[] = [];
  for (const part of content) {
    if (part.type === "image-url") {
      const message = "image URLs are not currently supported, please use base64 encoded data instead";
      throw new Fault("unsupported", message);
    }
    if (part.type !== "text") images.push(part.base64);
  }
  return images.length === 0 ? undefined : images;
}
