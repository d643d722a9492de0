import type { Fault } from "../../core/fault.ts";
import { isObject } from "../../core/json.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import type { Usage } from "../../core/usage.ts";
import { topMember } from "../../wire/top-member.ts";
import { parseEvents, splitEvents, sseData, SseSplitter } from "../../wire/sse.ts";
import type { SseEvent } from "../../wire/sse.ts";
import { parseReplyExactly } from "../exact.ts";
import type { Relay } from "../protocol.ts";
import { formOf, firstByteIn, MOST_TOLD, plainText, withoutMarkBytes } from "../reply-form.ts";
import { checkHeld, gatherWhole, MOST_REPLY_BYTES } from "../whole.ts";
import { bareData, brokenOff, eventsIn, readEvent } from "./chunks.ts";
import { complaintIn, embeddedFault, isErrorReply } from "./errors.ts";
import { readUsage } from "./metrics.ts";
import { ModelEcho } from "./model-echo.ts";
import { plainEvent } from "./relay.ts";
import type { EventMarks } from "./surface.ts";
import { type AnswerForm, isJsonType, textFormOf } from "./text-form.ts";

const NOTHING: Buffer = Buffer.alloc(0);
const QUOTE = 0x22;
const EVENTS = "text/event-stream";

/** How an answer of the surface is passed on. */
export interface SurfaceRelayOptions {
  /** The model as the client wrote it; undefined when it named none: then the backend's own name stands. */
  readonly asked: string | undefined;
  readonly stream: boolean;
  readonly events: EventMarks | undefined;
  readonly binary: boolean;
  /** The answer may be plain text of any kind; absent: it may not. */
  readonly text?: boolean | undefined;
}

/**
 * Forwards an answer of the surface: bytes as they come, events whole, JSON when it is complete. Its content type says
 * which of them it is; where a server names none that is known, its first bytes do.
 */
export class SurfaceRelay implements Relay {
  readonly #options: SurfaceRelayOptions;
  /** An image is one event: it may be as large as an answer in one piece. */
  readonly #splitter = new SseSplitter(MOST_REPLY_BYTES);
  readonly #body = gatherWhole();
  readonly #echo: ModelEcho | undefined;
  #type = "";
  #form: AnswerForm | undefined;
  /** The first bytes: they tell why an answer of another kind is none. */
  #beginning: Buffer = NOTHING;
  #usage: Usage | undefined;
  /** An event has come. */
  #said = false;
  #going = false;
  #ended = false;
  contentType: string | undefined;

  constructor(options: SurfaceRelayOptions) {
    this.#options = options;
    this.#echo = options.asked === undefined ? undefined : new ModelEcho(options.asked);
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

  /** Decides the form by the first bytes that are more than blanks. */
  #begin(chunk: Buffer): Buffer {
    const first = firstByteIn(chunk);
    if (first < 0 && this.#form === undefined && !this.#isBytes()) return chunk;
    this.#form = this.#formBy(chunk);
    if (this.#form === undefined || this.#form === "bytes") return chunk;
    this.#beginning = chunk.subarray(0, MOST_TOLD);
    if (this.#form === "json") return chunk;
    if (this.#type !== EVENTS) this.contentType = EVENTS;
    // Blanks and a byte order mark before the first event are no part of it.
    return chunk.subarray(first);
  }

  end(): Buffer {
    if (this.#form === "bytes") return NOTHING;
    if (this.#form === undefined && this.#mayBeEmpty()) return this.#body.take();
    if (this.#form !== "events") return this.#whole();
    const rest = this.#splitter.rest();
    const isBlank = rest.toString("latin1").trim() === "";
    const last = isBlank ? NOTHING : this.#forward(Buffer.concat([rest, Buffer.from("\n\n")]));
    if (!this.#said || (this.#going && !this.#ended)) throw this.#brokenOff();
    return last;
  }

  /** The text of silence is empty; an answer without a type is none, nor are events without an event. */
  #mayBeEmpty(): boolean {
    return (
      this.#options.text === true && this.#type !== "" && this.#type !== EVENTS && !isJsonType(this.#type)
    );
  }

  /** True when the type alone says that the answer is no text. */
  #isBytes(): boolean {
    if (this.#type === EVENTS || isJsonType(this.#type)) return false;
    if (this.#options.text === true) return this.#type !== "";
    return this.#type === "" ? this.#options.binary : !isText(this.#type);
  }

  #formBy(chunk: Buffer): AnswerForm | undefined {
    if (this.#isPage(chunk)) return "json";
    if (this.#options.text === true) return textFormOf(this.#type, chunk);
    if (this.#type === EVENTS) return "events";
    if (this.#options.binary && this.#isBytes()) return "bytes";
    const form = formOf(chunk);
    if (form !== "events") return form;
    if (this.#isBytes()) return "bytes";
    // A page, or words, in the place of JSON are told by its fault.
    return this.#options.events === undefined || plainText(chunk.subarray(0, MOST_TOLD)) !== ""
      ? "json"
      : "events";
  }

  /** True for what is no answer: a proxy wants a login, or says that something is wrong. */
  #isPage(chunk: Buffer): boolean {
    if (!PAGES.has(this.#type)) return false;
    // whisper.cpp gives its transcripts this type.
    return this.#options.text !== true || PAGE_HEAD.test(chunk.toString("latin1", 0, 100));
  }

  #brokenOff(): Fault {
    return brokenOff(plainText(this.#beginning));
  }

  #whole(): Buffer {
    const bytes = withoutMarkBytes(this.#body.peek());
    const reply = this.#parsed(bytes);
    if (isObject(reply)) {
      if (isErrorReply(reply) || complaintIn(reply) !== undefined) throw embeddedFault(reply);
      this.#usage = surfaceUsage(reply);
    }
    const named = isObject(reply) ? this.#renamed(bytes) : bytes;
    // A client that reads events gets the one event that the answer is, where its form is the same.
    if (!this.#options.stream || !isObject(reply) || !this.#isLast(named)) return named;
    this.contentType = "text/event-stream";
    const { asked } = this.#options;
    const told =
      asked === undefined || typeof reply["model"] !== "string" ? reply : { ...reply, model: asked };
    return Buffer.from(sseData(JSON.stringify(told)));
  }

  /** Some answers are lists. Throws `backend_lost` for what is no JSON. */
  #parsed(bytes: Buffer): Json {
    const text = bytes.toString("utf8");
    checkHeld(text);
    try {
      return parseReplyExactly(text);
    } catch {
      throw this.#brokenOff();
    }
  }

  /** True for an object that may stand as the last event of a stream. */
  #isLast(bytes: Buffer): boolean {
    return this.#options.events?.end.test(bytes.toString("latin1")) ?? false;
  }

  /** @param events whole events */
  #forward(events: Buffer): Buffer {
    if (events.length === 0) return events;
    const read = parseEvents(events.toString("utf8"));
    const apart = read.flatMap(eventsIn);
    for (const event of apart) this.#look(event);
    const isPlain = apart.length === read.length && !read.some(isDoubled);
    return this.#named(isPlain ? events : Buffer.concat(splitEvents(events).map(plainly)));
  }

  #look(event: SseEvent): void {
    const said = readEvent(event);
    this.#said = true;
    this.#ended ||= said === "done";
    if (typeof said === "string") return;
    this.#usage = surfaceUsage(said) ?? this.#usage;
    const { events } = this.#options;
    this.#going ||= events?.going.test(event.data) ?? false;
    this.#ended ||= events?.end.test(event.data) ?? false;
  }

  /** Only the answer's own model: objects in it may be the client's. */
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

/** True for data that a server behind a server has written as an event once more. */
function isDoubled({ data }: SseEvent): boolean {
  return data.trim() !== bareData(data);
}

/** The bytes of one event as clients read it; as several where it stands for them. */
function plainly(bytes: Buffer): Buffer {
  const [event] = parseEvents(bytes.toString("utf8"));
  if (event === undefined) return bytes;
  const apart = eventsIn(event);
  return apart.length === 1 && !isDoubled(event) ? bytes : Buffer.concat(apart.map(plainEvent));
}

const PAGES: ReadonlySet<string> = new Set(["text/html", "application/xhtml+xml"]);
const PAGE_HEAD = /^\s{0,20}<(?:!doctype|html|\?xml)/i;

function isText(type: string): boolean {
  return type === "application/json" || type.startsWith("text/");
}

/** Token counts as these endpoints tell them: OpenAI's two forms, Jina's sum alone, Cohere's, llama.cpp's own. */
export function surfaceUsage(reply: JsonObject): Usage | undefined {
  const usual = readUsage(reply);
  if (usual !== undefined) return usual;
  const usage = isObject(reply["usage"]) ? reply["usage"] : undefined;
  const meta = isObject(reply["meta"]) ? reply["meta"]["tokens"] : undefined;
  return (
    counts(usage?.["input_tokens"], usage?.["output_tokens"]) ??
    counts(usage?.["total_tokens"], undefined) ??
    (isObject(meta) ? counts(meta["input_tokens"], meta["output_tokens"]) : undefined) ??
    counts(reply["tokens_evaluated"], reply["tokens_predicted"])
  );
}

function counts(prompt: Json | undefined, completion: Json | undefined): Usage | undefined {
  if (!isCount(prompt) && !isCount(completion)) return undefined;
  return {
    promptTokens: isCount(prompt) ? prompt : 0,
    completionTokens: isCount(completion) ? completion : 0,
  };
}

function isCount(value: Json | undefined): value is number {
  return typeof value === "number" && value >= 0 && Number.isFinite(value);
}
