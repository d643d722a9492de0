import type { Fault } from "../../core/fault.ts";
import { isObject } from "../../core/json.ts";
import type { Json } from "../../core/json.ts";
import type { Usage } from "../../core/usage.ts";
import { topMember } from "../../wire/json-value.ts";
import { parseEvents, splitEvents, sseData, SseSplitter } from "../../wire/sse.ts";
import type { SseEvent } from "../../wire/sse.ts";
import { parseReplyJson } from "../lossless-json.ts";
import type { Relay } from "../codec.ts";
import {
  type AnswerFormat,
  firstContentByte,
  isJsonType,
  MAX_EXCERPT_BYTES,
  plainExcerpt,
  sniffFormat,
  sniffTextFormat,
  withoutBomBytes,
} from "../reply-format.ts";
import { checkReplyBounds, replyBuffer, MAX_REPLY_BYTES } from "../reply-limits.ts";
import { eventsIn, readEvent, singleLineEvent, trimData, truncatedReply } from "./chunks.ts";
import { undeclaredError, embeddedFault, isErrorReply } from "../backend-errors.ts";
import { surfaceUsage } from "./reply-metrics.ts";
import { ModelRewriter } from "./model-rewriter.ts";
import type { EventMarks } from "./surface.ts";

const NOTHING: Buffer = Buffer.alloc(0);
const QUOTE = 0x22;
const EVENTS = "text/event-stream";

/** Options of a relay for one surface endpoint. */
interface SurfaceRelayOptions {
  /** The model as the client wrote it. Undefined when it named none; then the backend's name stays. */
  readonly asked: string | undefined;
  readonly stream: boolean;
  readonly events: EventMarks | undefined;
  readonly binary: boolean;
  /** True when the answer may be plain text of any kind. Absent: false. */
  readonly text?: boolean | undefined;
}

/**
 * Forwards an answer of a surface endpoint: bytes as they come, whole events, or complete JSON. The content type
 * determines the format. Without a known type the first bytes do.
 */
export class SurfaceRelay implements Relay {
  readonly #options: SurfaceRelayOptions;
  /** An image is one event, and may be as large as a whole answer. */
  readonly #splitter = new SseSplitter(MAX_REPLY_BYTES);
  readonly #body = replyBuffer();
  readonly #echo: ModelRewriter | undefined;
  #type = "";
  #form: AnswerFormat | undefined;
  /** The first bytes, for the fault of an answer in another format. */
  #beginning: Buffer = NOTHING;
  #usage: Usage | undefined;
  /** True after the first event. */
  #content = false;
  #going = false;
  #ended = false;
  #contentType: string | undefined;

  constructor(options: SurfaceRelayOptions) {
    this.#options = options;
    this.#echo = options.asked === undefined ? undefined : new ModelRewriter(options.asked);
  }

  get contentType(): string | undefined {
    return this.#contentType;
  }

  get usage(): Usage | undefined {
    return this.#usage;
  }

  head(contentType: string): void {
    this.#type = contentType.split(";")[0]?.trim().toLowerCase() ?? "";
  }

  push(chunk: Buffer): Buffer {
    const bytes = this.#form === undefined ? this.#begin(chunk) : chunk;
    if (this.#form === "bytes") return this.#body.takeWith(bytes);
    if (this.#form === "events") return this.#forward(this.#splitter.push(bytes));
    this.#body.add(bytes);
    return NOTHING;
  }

  /** Detects the format by the first bytes that are not blank. */
  #begin(chunk: Buffer): Buffer {
    const first = firstContentByte(chunk);
    if (first < 0 && this.#form === undefined && !this.#isBytes()) return chunk;
    this.#form = this.#formBy(chunk);
    if (this.#form === undefined || this.#form === "bytes") return chunk;
    this.#beginning = chunk.subarray(0, MAX_EXCERPT_BYTES);
    if (this.#form === "json") return chunk;
    if (this.#type !== EVENTS) this.#contentType = EVENTS;
    // Drop blanks and a byte order mark before the first event.
    return chunk.subarray(first);
  }

  end(): Buffer {
    if (this.#form === "bytes") return NOTHING;
    if (this.#form === undefined && this.#mayBeEmpty()) return this.#body.take();
    if (this.#form !== "events") return this.#completeAnswer();
    const rest = this.#splitter.rest();
    const isBlank = rest.toString("latin1").trim() === "";
    const last = isBlank ? NOTHING : this.#forward(Buffer.concat([rest, Buffer.from("\n\n")]));
    if (!this.#content || (this.#going && !this.#ended)) throw this.#brokenOff();
    return last;
  }

  /** True when an empty answer is valid: the text of silence. An answer without a type, or without events, is not. */
  #mayBeEmpty(): boolean {
    return (
      this.#options.text === true && this.#type !== "" && this.#type !== EVENTS && !isJsonType(this.#type)
    );
  }

  /** True when the content type alone identifies binary data. */
  #isBytes(): boolean {
    if (this.#type === EVENTS || isJsonType(this.#type)) return false;
    if (this.#options.text === true) return this.#type !== "";
    return this.#type === "" ? this.#options.binary : !isText(this.#type);
  }

  #formBy(chunk: Buffer): AnswerFormat | undefined {
    if (this.#isPage(chunk)) return "json";
    if (this.#options.text === true) return sniffTextFormat(this.#type, chunk);
    if (this.#type === EVENTS) return "events";
    if (this.#options.binary && this.#isBytes()) return "bytes";
    const form = sniffFormat(chunk);
    if (form !== "events") return form;
    if (this.#isBytes()) return "bytes";
    // A page or a message instead of JSON becomes a fault.
    return this.#options.events === undefined || plainExcerpt(chunk.subarray(0, MAX_EXCERPT_BYTES)) !== ""
      ? "json"
      : "events";
  }

  /** True for a page of a proxy: a login, or an error. */
  #isPage(chunk: Buffer): boolean {
    if (!PAGES.has(this.#type)) return false;
    // whisper.cpp sends its transcripts with this type.
    return this.#options.text !== true || PAGE_HEAD.test(chunk.toString("latin1", 0, 100));
  }

  #brokenOff(): Fault {
    return truncatedReply(plainExcerpt(this.#beginning));
  }

  #completeAnswer(): Buffer {
    const bytes = withoutBomBytes(this.#body.peek());
    const reply = this.#parsed(bytes);
    if (isObject(reply)) {
      if (isErrorReply(reply) || undeclaredError(reply) !== undefined) throw embeddedFault(reply);
      this.#usage = surfaceUsage(reply);
    }
    const named = isObject(reply) ? this.#renamed(bytes) : bytes;
    // A client that reads events gets the answer as a single event, where the formats match.
    if (!this.#options.stream || !isObject(reply) || !this.#isLast(named)) return named;
    this.#contentType = "text/event-stream";
    const { asked } = this.#options;
    const renamedReply =
      asked === undefined || typeof reply["model"] !== "string" ? reply : { ...reply, model: asked };
    return Buffer.from(sseData(JSON.stringify(renamedReply)));
  }

  /** Parses an answer, which may be a list. Throws `backend_lost` for anything but JSON. */
  #parsed(bytes: Buffer): Json {
    const text = bytes.toString("utf8");
    checkReplyBounds(text);
    try {
      return parseReplyJson(text);
    } catch {
      throw this.#brokenOff();
    }
  }

  /** True for an object that is valid as the last event of a stream. */
  #isLast(bytes: Buffer): boolean {
    return this.#options.events?.end.test(bytes.toString("latin1")) ?? false;
  }

  /** @param events whole events */
  #forward(events: Buffer): Buffer {
    if (events.length === 0) return events;
    const read = parseEvents(events.toString("utf8"));
    const apart = read.flatMap(eventsIn);
    for (const event of apart) this.#inspect(event);
    const isUnchanged = apart.length === read.length && !read.some(isDoubled);
    return this.#named(isUnchanged ? events : Buffer.concat(splitEvents(events).map(readable)));
  }

  #inspect(event: SseEvent): void {
    const content = readEvent(event);
    this.#content = true;
    this.#ended ||= content === "done";
    if (typeof content === "string") return;
    this.#usage = surfaceUsage(content) ?? this.#usage;
    const { events } = this.#options;
    this.#going ||= events?.going.test(event.data) ?? false;
    this.#ended ||= events?.end.test(event.data) ?? false;
  }

  /** Renames the model of the answer itself, not of nested objects of the client. */
  #renamed(bytes: Buffer): Buffer {
    const { asked } = this.#options;
    const place = asked === undefined ? undefined : topMember(bytes, "model");
    if (asked === undefined || place === undefined || bytes[place.from] !== QUOTE) return bytes;
    const name = Buffer.from(JSON.stringify(asked));
    return Buffer.concat([bytes.subarray(0, place.from), name, bytes.subarray(place.to)]);
  }

  #named(bytes: Buffer): Buffer {
    return this.#echo?.active === true ? this.#echo.apply(bytes) : bytes;
  }
}

/** True for data that a server behind a server has wrapped in an event again. */
function isDoubled({ data }: SseEvent): boolean {
  return data.trim() !== trimData(data);
}

/** The bytes of one event as clients read it, split where it holds several. */
function readable(bytes: Buffer): Buffer {
  const [event] = parseEvents(bytes.toString("utf8"));
  if (event === undefined) return bytes;
  const apart = eventsIn(event);
  return apart.length === 1 && !isDoubled(event) ? bytes : Buffer.concat(apart.map(singleLineEvent));
}

const PAGES: ReadonlySet<string> = new Set(["text/html", "application/xhtml+xml"]);
const PAGE_HEAD = /^\s{0,20}<(?:!doctype|html|\?xml)/i;

function isText(type: string): boolean {
  return type === "application/json" || type.startsWith("text/");
}
