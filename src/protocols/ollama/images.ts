import type { ContentPart } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { refusal } from "../fields.ts";

/** The media types a data URL may announce, with or without parameters; `data:;base64,` has none. */
const DATA_URL = /^data:([^;,]*)(?:;[^;,]*)*;base64,/i;
/** A data URL's head fits in here; the rest can be megabytes, which the pattern must not see: it would fill the stack. */
const DATA_URL_HEAD = 256;

/** Base64 without a data-URL prefix: Ollama takes no prefix, many clients send one all the same. */
export function stripDataUrl(image: string): string {
  return image.slice(DATA_URL.exec(image.slice(0, DATA_URL_HEAD))?.[0].length ?? 0);
}

/** A picture (or sound: Ollama carries it in `images` too) as clients of Ollama send it. Throws 400. */
export function readImage(image: string): ContentPart {
  const base64 = stripDataUrl(image).replaceAll(/[\r\n]/g, "");
  checkBase64(base64);
  const head = Buffer.from(base64.slice(0, 24), "base64");
  const format = audioFormat(head);
  if (format !== undefined) return { type: "audio", format, base64 };
  const announced = DATA_URL.exec(image.slice(0, DATA_URL_HEAD))?.[1];
  return { type: "image", mime: imageType(head) ?? (announced || "application/octet-stream"), base64 };
}

/** One look for the first odd character: no backtracking, whatever the size of the picture. */
function checkBase64(base64: string): void {
  const odd = base64.search(/[^A-Za-z0-9+/]/);
  if (odd >= 0 && !/^={1,2}$/.test(base64.slice(odd, odd + 3))) throw illegal(odd);
  if (base64.length % 4 !== 0) throw illegal(base64.length);
}

function illegal(offset: number): Fault {
  return refusal(`illegal base64 data at input byte ${offset}`);
}

/** The media type that the first bytes tell; clients of Ollama do not tell it. */
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

/** The `images` of a message: pictures and sounds in order. Throws `unsupported` for a remote picture. */
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
