import { isObject } from "../../core/json.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import type { Usage } from "../../core/usage.ts";
import { topMember } from "../../wire/top-member.ts";
import { parseEvents, sseData, SseSplitter } from "../../wire/sse.ts";
import type { SseEvent } from "../../wire/sse.ts";
import { parseReplyExactly } from "../exact.ts";
import type { Relay } from "../protocol.ts";
import { formOf, MOST_TOLD, plainText, withoutMarkBytes } from "../reply-form.ts";
import { checkHeld, gatherWhole } from "../whole.ts";
import { brokenOff, readEvent } from "./chunks.ts";
import { complaintIn, embeddedFault, isErrorReply } from "./errors.ts";
import { readUsage } from "./metrics.ts";
import { ModelEcho } from "./model-echo.ts";
import type { EventMarks } from "./surface.ts";
import { type AnswerForm, isJsonType, textFormOf } from "./text-form.ts";

const NOTHING: Buffer = Buffer.alloc(0);
const QUOTE = 0x22;

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
  readonly #splitter = new SseSplitter();
  readonly #body = gatherWhole();
  readonly #echo: ModelEcho | undefined;
  #type = "";
  #form: AnswerForm | undefined;
  /** The first bytes: they tell why what is no answer is none. */
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
    if (this.#beginning.length < MOST_TOLD) {
      this.#beginning = Buffer.concat([this.#beginning, chunk.subarray(0, MOST_TOLD)]);
    }
    this.#form ??= this.#formBy(chunk);
    if (this.#form === "bytes") return this.#body.takeWith(chunk);
    if (this.#form === "events") return this.#forward(this.#splitter.push(chunk));
    this.#body.add(chunk);
    return NOTHING;
  }

  end(): Buffer {
    if (this.#form === "bytes") return NOTHING;
    // The text of silence is empty; an answer without a type is none.
    const isPlain = this.#options.text === true && this.#type !== "" && !isJsonType(this.#type);
    if (this.#form === undefined && isPlain) return this.#body.take();
    if (this.#form !== "events") return this.#whole();
    const rest = this.#splitter.rest();
    const isBlank = rest.toString("latin1").trim() === "";
    const last = isBlank ? NOTHING : this.#forward(Buffer.concat([rest, Buffer.from("\n\n")]));
    if (!this.#said || (this.#going && !this.#ended)) throw brokenOff(plainText(this.#beginning));
    return last;
  }

  #formBy(chunk: Buffer): AnswerForm | undefined {
    // A page is no answer: a proxy wants a login, or says that something is wrong.
    if (PAGES.has(this.#type)) return "json";
    if (this.#options.text === true) return textFormOf(this.#type, chunk);
    if (this.#type === "text/event-stream") return "events";
    if (this.#options.binary && !isText(this.#type)) return "bytes";
    const form = formOf(chunk);
    if (form !== "events") return form;
    if (this.#type !== "" && !isText(this.#type)) return "bytes";
    return this.#options.events === undefined ? "json" : "events";
  }

  #whole(): Buffer {
    const bytes = withoutMarkBytes(this.#body.peek());
    const reply = parseWhole(bytes);
    if (isObject(reply)) {
      if (isErrorReply(reply) || complaintIn(reply) !== undefined) throw embeddedFault(reply);
      this.#usage = surfaceUsage(reply);
    }
    const named = isObject(reply) ? this.#renamed(bytes) : bytes;
    // A client that reads events gets the one event that the answer is, where its form is the same.
    if (!this.#options.stream || !isObject(reply) || !this.#isLast(named)) return named;
    this.contentType = "text/event-stream";
    return Buffer.from(sseData(JSON.stringify(reply)));
  }

  /** True for an object that may stand as the last event of a stream. */
  #isLast(bytes: Buffer): boolean {
    return this.#options.events?.end.test(bytes.toString("latin1")) ?? false;
  }

  /** @param events whole events */
  #forward(events: Buffer): Buffer {
    if (events.length === 0) return events;
    for (const event of parseEvents(events.toString("utf8"))) this.#look(event);
    return this.#named(events);
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

const PAGES: ReadonlySet<string> = new Set(["text/html", "application/xhtml+xml"]);

function isText(type: string): boolean {
  return type === "application/json" || type.startsWith("text/");
}

/** Some answers are lists. Throws `backend_lost` for what is no JSON. */
function parseWhole(bytes: Buffer): Json {
  const text = bytes.toString("utf8");
  checkHeld(text);
  try {
    return parseReplyExactly(text);
  } catch {
    throw brokenOff(plainText(bytes.subarray(0, MOST_TOLD)));
  }
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
