import { type Fault, toFault } from "../../core/fault.ts";
import { isObject } from "../../core/json.ts";
import type { JsonObject } from "../../core/json.ts";
import type { Usage } from "../../core/usage.ts";
import { parseEvents, splitEvents, sseData, type SseEvent, SseParser, SseSplitter } from "../../wire/sse.ts";
import type { Relay } from "../protocol.ts";
import { formOf, MOST_TOLD, plainText, type ReplyForm, ReplyStart, withoutMarkBytes } from "../reply-form.ts";
import { gatherWhole } from "../whole.ts";
import { bareData, brokenOff, choiceIndex, choicesIn, eventsIn, parseWhole, readEvent } from "./chunks.ts";
import { EndWatch, finishOf } from "./ends.ts";
import { readUsage } from "./metrics.ts";
import { ModelEcho } from "./model-echo.ts";
import { ChunkGatherer, eventsOfWhole, saysMore } from "./reshape.ts";

export interface RelayOptions {
  /** The model as the client wrote it. */
  readonly asked: string;
  /** True when the client asked for a chunk with the token counts; otherwise that chunk is kept back. */
  readonly wantsUsage: boolean;
  /** How many choices the client asked for; only called when the backend leaves out [DONE]. */
  choices(): number;
}

const NOTHING: Buffer = Buffer.alloc(0);
const DONE = "[DONE]";

/**
 * What makes events worth parsing. In the text of a token a quote is written \", so none of the keys can be matched
 * there; one match too many would only cost time. Lines that are no chunk: heartbeats, `[DONE]`, names of events,
 * objects that do not begin as chunks do. One expression: four searches through the Buffer take 0.6 µs. With it a relayed
 * token takes 0.3 µs in all.
 */
const NOTABLE =
  /"(?:finish_reason"\s*:(?!\s*null)|usage"\s*:(?!\s*null)|error"(?!\s*:\s*null))|(?:^|[\r\n])(?:event:|data:(?![ \t]?\{"(?:id|choices|object|created|model)"))/;

function isNotable(text: string): boolean {
  return NOTABLE.test(text) || text.startsWith("{") || text.includes("\n{");
}

/** Forwards a streamed reply event by event. An object that comes instead is told as the events it stands for. */
export class StreamRelay implements Relay {
  readonly #splitter = new SseSplitter();
  readonly #options: RelayOptions;
  readonly #echo: ModelEcho;
  readonly #ends = new Map<number, EndWatch>();
  readonly #start = new ReplyStart();
  #form: ReplyForm | undefined;
  #whole: WholeRelay | undefined;
  #usage: Usage | undefined;
  /** The first bytes: they tell why a reply that is no stream is no answer. */
  #beginning: Buffer = NOTHING;
  #lines = 0;
  #done = false;
  /** True once a chunk came that told no reason. */
  #began = false;
  /** The last text that was no chunk: why a reply broke off may be in it. */
  #noise = "";
  #fault: Fault | undefined;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#echo = new ModelEcho(options.asked);
  }

  /** What the backend tells, else the number of events. */
  get usage(): Usage {
    const told = this.#usage ?? this.#whole?.usage;
    return told ?? { promptTokens: 0, completionTokens: Math.floor(this.#lines / 2) };
  }

  get contentType(): string | undefined {
    return this.#whole === undefined ? undefined : "text/event-stream";
  }

  push(chunk: Buffer): Buffer {
    if (this.#fault !== undefined) throw this.#fault;
    const bytes = this.#form === undefined ? this.#begin(chunk) : chunk;
    return this.#whole === undefined ? this.#forward(this.#splitter.push(bytes)) : this.#whole.push(bytes);
  }

  /** Looks at the first bytes behind blanks and a byte order mark, which no client needs. */
  #begin(chunk: Buffer): Buffer {
    const bytes = this.#start.push(chunk);
    this.#form = formOf(bytes);
    if (this.#form === "json") this.#whole = this.#openWhole();
    this.#beginning = bytes.subarray(0, MOST_TOLD);
    return bytes;
  }

  end(): Buffer {
    if (this.#fault !== undefined) throw this.#fault;
    if (this.#whole !== undefined) return this.#whole.end();
    const rest = this.#splitter.rest();
    const last =
      rest.toString("latin1").trim() === ""
        ? NOTHING
        : Buffer.concat([rest, Buffer.from(rest.at(-1) === 10 ? "\n" : "\n\n")]);
    const bytes = this.#done ? last : this.#forward(last);
    if (this.#done) return bytes;
    const sure = [...this.#ends.values()].filter(({ isSure }) => isSure).length;
    if (sure === 0 || sure < this.#options.choices()) {
      throw brokenOff(this.#noise || plainText(this.#beginning));
    }
    return Buffer.concat([bytes, Buffer.from(sseData(DONE))]);
  }

  #openWhole(): WholeRelay {
    const { asked, wantsUsage } = this.#options;
    return new WholeRelay(asked, checkChoices, (reply) => eventsOfWhole(reply, choicesIn(reply), wantsUsage));
  }

  /** @param events whole events */
  #forward(events: Buffer): Buffer {
    if (events.length === 0) return events;
    const text = events.toString("latin1");
    // Once an end was told, all that follows is looked at: more of the answer makes it none.
    const isWatched = this.#ends.size > 0 || isNotable(text);
    if (!isWatched && text.includes("data:")) {
      this.#began = true;
      // The answer went on: what stood before it was a heartbeat.
      this.#noise = "";
    }
    const kept = isWatched ? this.#watch(events) : events;
    if (this.#usage === undefined) this.#lines += countLines(text);
    return this.#echo.active ? this.#echo.apply(kept) : kept;
  }

  #watch(bytes: Buffer): Buffer {
    const events = splitEvents(bytes);
    const kept: Buffer[] = [];
    try {
      for (const event of events) kept.push(this.#keep(event));
    } catch (error) {
      // Events before the fault still reach the client; it is thrown with the next call.
      if (kept.every(({ length }) => length === 0)) throw error;
      this.#fault = toFault(error);
    }
    return kept.every((event, index) => event === events[index]) && kept.length === events.length
      ? bytes
      : Buffer.concat(kept);
  }

  /** Learns from an event; what of it is for the client. */
  #keep(event: Buffer): Buffer {
    const read = parseEvents(event.toString("utf8"))[0];
    // A blank line that ends nothing is a comment as well; one of data without a value is a heartbeat.
    if (read === undefined || this.#done) return event;
    const [only = read, ...others] = eventsIn(read);
    if (others.length > 0) {
      return Buffer.concat([only, ...others].map((one) => this.#keepRead(one, plainEvent(one))));
    }
    return this.#keepRead(read, isPlain(read, event) ? event : plainEvent(read));
  }

  #keepRead(read: SseEvent, event: Buffer): Buffer {
    if (this.#done) return event;
    const said = readEvent(read);
    if (said === "done") {
      if (![...this.#ends.values()].some(({ isTold }) => isTold)) throw brokenOff(this.#noise);
      this.#done = true;
      return read.data === DONE ? event : Buffer.from(sseData(DONE));
    }
    if (typeof said === "string") {
      // Clients read every event as a chunk: a heartbeat of this kind would end them.
      this.#noise = said || this.#noise;
      return NOTHING;
    }
    this.#usage = readUsage(said) ?? this.#usage;
    const choices = choicesIn(said);
    if (choices.length > 0) this.#noise = "";
    for (const choice of choices) this.#watchEnd(choice);
    return choices.length > 0 || this.#isForClient(said, read.event) ? event : NOTHING;
  }

  /** An object without choices: counts are for those who asked, and a named event is a heartbeat. */
  #isForClient(said: JsonObject, event: string): boolean {
    if (isObject(said["usage"])) return this.#options.wantsUsage;
    return event === "message";
  }

  #watchEnd(choice: JsonObject): void {
    const index = choiceIndex(choice);
    const finish = finishOf(choice["finish_reason"]);
    const end = this.#ends.get(index) ?? new EndWatch(this.#began);
    end.add(finish, saysMore(choice));
    if (end.isTold) this.#ends.set(index, end);
    else this.#began = true;
  }
}

/** False for an event that no client reads: without `data:` before its JSON, or with two of them. */
/** True for an event that clients read as it came. */
export function isPlain({ data }: SseEvent, event: Buffer): boolean {
  return event.includes("data:") && (data.startsWith("{") || data.trim() === bareData(data));
}

/** An event as clients read it: its data in one line, told once. */
export function plainEvent({ data }: SseEvent): Buffer {
  return Buffer.from(sseData(bareData(data).replaceAll("\n", "")));
}

/** How a whole reply is written for a client; absent where it goes as it came. */
type WriteReply = (reply: JsonObject) => string;

/** Holds a reply that is one object until it is complete: a backend that broke off must not look like an answer. */
export class WholeRelay implements Relay {
  readonly #asked: string;
  readonly #check: CheckReply;
  readonly #write: WriteReply | undefined;
  readonly #body = gatherWhole();
  #form: ReplyForm | undefined;
  #usage: Usage | undefined;

  /** @param asked the model as the client wrote it */
  constructor(asked: string, check: CheckReply, write?: WriteReply) {
    this.#asked = asked;
    this.#check = check;
    this.#write = write;
  }

  get usage(): Usage | undefined {
    return this.#usage;
  }

  get contentType(): string | undefined {
    return this.#form === "events" ? "application/json" : undefined;
  }

  push(chunk: Buffer): Buffer {
    this.#form ??= formOf(chunk);
    this.#body.add(chunk);
    return NOTHING;
  }

  end(): Buffer {
    const bytes = this.#body.peek();
    const isStream = this.#form === "events";
    const reply = isStream ? gatherEvents(bytes) : parseWhole(bytes.toString("utf8"));
    const changed = this.#check(reply) ?? (isStream ? reply : undefined);
    this.#usage = readUsage(reply);
    return new ModelEcho(this.#asked).apply(this.#written(bytes, reply, changed));
  }

  #written(bytes: Buffer, reply: JsonObject, changed: JsonObject | undefined): Buffer {
    if (this.#write !== undefined) return Buffer.from(this.#write(changed ?? reply));
    return changed === undefined ? withoutMarkBytes(bytes) : Buffer.from(JSON.stringify(changed));
  }
}

/** The object that a stream stands for. Throws the backend's fault, or `backend_lost` when it is not complete. */
function gatherEvents(bytes: Buffer): JsonObject {
  const parser = new SseParser(Math.max(bytes.length, 1));
  const gatherer = new ChunkGatherer();
  let isDone = false;
  let noise = plainText(bytes.subarray(0, MOST_TOLD));
  for (const event of [...parser.push(bytes), ...parser.end()].flatMap(eventsIn)) {
    const said = readEvent(event);
    if (said === "done") isDone = true;
    else if (typeof said === "string") noise = said || noise;
    else if (!isDone) gatherer.add(said, choicesIn(said));
  }
  if (!gatherer.isComplete(isDone)) throw brokenOff(noise);
  return gatherer.whole();
}

/**
 * Throws a Fault for a reply that is not a whole answer. What it returns takes the place of the reply; undefined
 * leaves the bytes as they are.
 */
export type CheckReply = (reply: JsonObject) => JsonObject | undefined;

/** Checks a reply that is made of choices. */
export function checkChoices(reply: JsonObject): undefined {
  const choices = choicesIn(reply);
  if (choices.length === 0) throw brokenOff("");
  for (const choice of choices) finishOf(choice["finish_reason"]);
}

/** An event has two line feeds, whether its lines end in LF or CRLF. */
function countLines(text: string): number {
  let lines = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines++;
  return lines;
}
