import { Fault } from "../core/fault.ts";
import { Gatherer } from "./lines.ts";

/**
 * Server-sent events (WHATWG HTML, section 9.2): lines end with LF, CRLF or CR, a blank line ends an event,
 * lines that begin with a colon are comments.
 */

export interface SseEvent {
  /** The `event` field; "message" when there is none. */
  readonly event: string;
  /** All `data` lines, joined with LF. */
  readonly data: string;
}

/** Longest event taken, in bytes: a backend that never ends one must not fill the memory. */
export const MAX_EVENT_BYTES: number = 16 * 1024 * 1024;

const LF = 10;
const CR = 13;
const NOTHING: Buffer = Buffer.alloc(0);
const LINE_END = /\r\n|\n|\r/;

/** An event with one `data` line. `json` must not hold a line break; JSON.stringify never writes one. */
export function sseData(json: string): string {
  return `data: ${json}\n\n`;
}

/** A named event with one `data` line; neither may hold a line break. */
export function sseEvent(event: string, json: string): string {
  return `event: ${event}\ndata: ${json}\n\n`;
}

/** A comment every client ignores, e.g. to keep a connection alive; must not hold a line break. */
export function sseComment(text: string): string {
  return `: ${text}\n\n`;
}

/**
 * Cuts a byte stream after whole events and leaves the bytes as they are. Each byte is looked at once, whatever the
 * split: an event of many small pieces must not cost the square of its length.
 */
export class SseSplitter {
  readonly #held: Gatherer;
  /** Set by the first CR: until then a blank line is two LF, which Buffer finds without a loop here. */
  #carriage = false;

  /** @param limit longest event, in bytes */
  constructor(limit: number = MAX_EVENT_BYTES) {
    const tooMuch = `the backend sent an event of more than ${limit} bytes`;
    this.#held = new Gatherer(limit, () => new Fault("backend_lost", tooMuch));
  }

  /**
   * All whole events known by now and not yet returned, as they came; empty when there is none. A chunk
   * that holds only whole events comes back itself, without a copy.
   * Throws `backend_lost` when an event grows beyond the limit.
   */
  push(chunk: Buffer): Buffer {
    this.#carriage ||= chunk.includes(CR);
    const before = this.#held.lastByte;
    const end = this.#carriage
      ? (blankLineEnds(chunk, before).at(-1) ?? 0)
      : lastLineFeedPair(chunk, before === LF);
    if (end === 0) {
      if (chunk.length > 0) this.#held.add(chunk);
      return NOTHING;
    }
    const head = end === chunk.length ? chunk : chunk.subarray(0, end);
    const whole = this.#held.length === 0 ? head : this.#held.takeWith(head);
    if (end < chunk.length) this.#held.add(chunk.subarray(end));
    return whole;
  }

  /** The bytes of an event that no blank line has ended yet; the splitter is empty afterwards. */
  rest(): Buffer {
    return this.#held.take();
  }
}

/** Position just after the last pair of LF; 0 when there is none. `afterLineFeed`: one stands before the bytes. */
function lastLineFeedPair(bytes: Buffer, afterLineFeed: boolean): number {
  const last = bytes.length - 1;
  if (bytes[last] === LF && bytes[last - 1] === LF) return bytes.length;
  const at = bytes.lastIndexOf("\n\n");
  if (at >= 0) return at + 2;
  return afterLineFeed && bytes[0] === LF ? 1 : 0;
}

/**
 * Positions just after each blank line. The LF of a last CR may still be to come: it then stands alone at the
 * start of the next event, where a blank line means nothing.
 * @param before the byte of the same event that precedes these; absent at the start of an event
 */
function blankLineEnds(bytes: Buffer, before?: number): number[] {
  const ends: number[] = [];
  // The LF of a CR that came before ends no line of its own.
  const from = before === CR && bytes[0] === LF ? 1 : 0;
  let lineStart = before === undefined || before === LF || before === CR ? from : -1;
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte !== LF && byte !== CR) continue;
    const blank = at === lineStart;
    if (byte === CR && bytes[at + 1] === LF) at++;
    lineStart = at + 1;
    if (blank) ends.push(lineStart);
  }
  return ends;
}

/** The single events in bytes that hold whole events only, as {@link SseSplitter.push} returns them. */
export function splitEvents(bytes: Buffer): Buffer[] {
  let start = 0;
  return blankLineEnds(bytes).map((end) => {
    const event = bytes.subarray(start, end);
    start = end;
    return event;
  });
}

/** The events of a text that holds whole events only; what has no data (comments) is left out. */
export function parseEvents(text: string): SseEvent[] {
  const lone = loneData(text);
  if (lone !== undefined) return [{ event: "message", data: lone }];
  const events: SseEvent[] = [];
  let event = "";
  let data: string | undefined;
  for (const line of text.split(LINE_END)) {
    if (line === "") {
      if (data !== undefined) events.push({ event: event === "" ? "message" : event, data });
      event = "";
      data = undefined;
      continue;
    }
    const [name, value] = fieldOf(line);
    if (name === "data") data = data === undefined ? value : `${data}\n${value}`;
    if (name === "event") event = value;
  }
  return events;
}

/** The data of a text that is one `data: …` line and nothing else: how backends send nearly every token. */
function loneData(text: string): string | undefined {
  const end = text.length - 2;
  if (!text.startsWith("data: ") || text.indexOf("\n") !== end || !text.endsWith("\n\n")) return undefined;
  return text.includes("\r") ? undefined : text.slice(6, end);
}

/** A line of bare JSON is data: servers that fail in the middle of a stream write their error so. */
function fieldOf(line: string): [name: string, value: string] {
  if (line.startsWith("{")) return ["data", line];
  const colon = line.indexOf(":");
  if (colon < 0) return [line, ""];
  const from = line[colon + 1] === " " ? colon + 2 : colon + 1;
  return [line.slice(0, colon), line.slice(from)];
}

/** Reads events from a byte stream, whatever its split. */
export class SseParser {
  readonly #splitter: SseSplitter;
  #begun = false;

  /** @param limit longest event, in bytes */
  constructor(limit: number = MAX_EVENT_BYTES) {
    this.#splitter = new SseSplitter(limit);
  }

  /** The events that are complete with this chunk. Throws `backend_lost` when one grows beyond the limit. */
  push(chunk: Buffer): SseEvent[] {
    return this.#parse(this.#splitter.push(chunk).toString("utf8"));
  }

  /** The stream has ended: the last event, when only its blank line is missing. */
  end(): SseEvent[] {
    return this.#parse(`${this.#splitter.rest().toString("utf8")}\n\n`);
  }

  #parse(text: string): SseEvent[] {
    if (text === "") return [];
    const bare = !this.#begun && text.startsWith("\uFEFF") ? text.slice(1) : text;
    this.#begun = true;
    return parseEvents(bare);
  }
}

const COLON = 58;
const SPACE = 32;
/** A line that has something to say. */
const SAYS = /(?:^|[\r\n])[ \t]*[^:\s]/;

/** True for a chunk of comments and blanks only, which servers send to keep a connection open. */
export function isHeartbeat(chunk: Buffer): boolean {
  const first = chunk[0] ?? SPACE;
  // All else begins with a brace or with the name of a field: one byte tells.
  return (first <= SPACE || first === COLON) && !SAYS.test(chunk.toString("latin1"));
}
