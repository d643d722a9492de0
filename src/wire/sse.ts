import { Fault } from "../core/fault.ts";
import { ChunkBuffer } from "./lines.ts";

/**
 * Server-sent events (WHATWG HTML, section 9.2). Lines end with LF, CRLF or CR. A blank line ends an event. Lines
 * that begin with a colon are comments.
 */

export interface SseEvent {
  /** The `event` field; "message" when there is none. */
  readonly event: string;
  /** All `data` lines, joined with LF. */
  readonly data: string;
}

/** Longest event, bytes. A backend that never ends one must not fill the memory. */
const MAX_EVENT_BYTES: number = 16 * 1024 * 1024;

const LF = 10;
const CR = 13;
const NOTHING: Buffer = Buffer.alloc(0);
const LINE_END = /\r\n|\n|\r/;

/** An event with one `data` line. `json` must have no line break, as from JSON.stringify. */
export function sseData(json: string): string {
  return `data: ${json}\n\n`;
}

/** A named event with one `data` line. Neither may have a line break. */
export function sseEvent(event: string, json: string): string {
  return `event: ${event}\ndata: ${json}\n\n`;
}

/** A comment, which every client ignores, to keep a connection alive. It must have no line break. */
export function sseComment(text: string): string {
  return `: ${text}\n\n`;
}

/**
 * Cuts a byte stream behind whole events, without changing bytes. Each byte is checked once, so an event of many
 * small pieces takes linear time.
 */
export class SseSplitter {
  readonly #pending: ChunkBuffer;
  /** True after the first CR. Until then a blank line is two LF, which Buffer finds faster. */
  #carriage = false;

  /** @param limit longest event, bytes */
  constructor(limit: number = MAX_EVENT_BYTES) {
    const tooMuch = `the backend sent an event of more than ${limit} bytes`;
    this.#pending = new ChunkBuffer(limit, () => new Fault("backend_lost", tooMuch));
  }

  /**
   * Returns all complete events that were not returned before, unchanged. A chunk of whole events is returned itself,
   * without a copy. Throws `backend_lost` for an event beyond the limit.
   */
  push(chunk: Buffer): Buffer {
    this.#carriage ||= chunk.includes(CR);
    const before = this.#pending.lastByte;
    const end = this.#carriage
      ? (blankLineEnds(chunk, before).at(-1) ?? 0)
      : lastLineFeedPair(chunk, before === LF);
    if (end === 0) {
      if (chunk.length > 0) this.#pending.add(chunk);
      return NOTHING;
    }
    const head = end === chunk.length ? chunk : chunk.subarray(0, end);
    const whole = this.#pending.length === 0 ? head : this.#pending.takeWith(head);
    if (end < chunk.length) this.#pending.add(chunk.subarray(end));
    return whole;
  }

  /** Returns the bytes of the incomplete event, and empties the splitter. */
  rest(): Buffer {
    return this.#pending.take();
  }
}

/** Offset behind the last pair of LF; 0 for none. `afterLineFeed`: an LF precedes the bytes. */
function lastLineFeedPair(bytes: Buffer, afterLineFeed: boolean): number {
  const last = bytes.length - 1;
  if (bytes[last] === LF && bytes[last - 1] === LF) return bytes.length;
  const at = bytes.lastIndexOf("\n\n");
  if (at >= 0) return at + 2;
  return afterLineFeed && bytes[0] === LF ? 1 : 0;
}

/**
 * Offsets behind each blank line. The LF of a last CR may come later. It then precedes the next event, where a blank
 * line has no effect.
 * @param before the previous byte of the same event; absent at its start
 */
function blankLineEnds(bytes: Buffer, before?: number): number[] {
  const ends: number[] = [];
  // The LF of an earlier CR ends no line.
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

/** Splits bytes of whole events, as {@link SseSplitter.push} returns them. */
export function splitEvents(bytes: Buffer): Buffer[] {
  let start = 0;
  return blankLineEnds(bytes).map((end) => {
    const event = bytes.subarray(start, end);
    start = end;
    return event;
  });
}

/** Parses a text of whole events. Events without data, such as comments, are left out. */
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

/** The data of a text with a single `data: …` line, as backends send nearly every token. */
function loneData(text: string): string | undefined {
  const end = text.length - 2;
  if (!text.startsWith("data: ") || text.indexOf("\n") !== end || !text.endsWith("\n\n")) return undefined;
  return text.includes("\r") ? undefined : text.slice(6, end);
}

/** A line of bare JSON counts as data: some servers send errors within a stream like this. */
function fieldOf(line: string): [name: string, value: string] {
  if (line.startsWith("{")) return ["data", line];
  const colon = line.indexOf(":");
  if (colon < 0) return [line, ""];
  const from = line[colon + 1] === " " ? colon + 2 : colon + 1;
  return [line.slice(0, colon), line.slice(from)];
}

/** Parses events of a byte stream, for any split into chunks. */
export class SseParser {
  readonly #splitter: SseSplitter;
  #begun = false;

  /** @param limit longest event, bytes */
  constructor(limit: number = MAX_EVENT_BYTES) {
    this.#splitter = new SseSplitter(limit);
  }

  /** Returns the events that this chunk completes. Throws `backend_lost` for an event beyond the limit. */
  push(chunk: Buffer): SseEvent[] {
    return this.#parse(this.#splitter.push(chunk).toString("utf8"));
  }

  /** Ends the stream. Returns the last event if only its blank line is missing. */
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
/** Matches a line with a field. */
const HAS_FIELD = /(?:^|[\r\n])[ \t]*[^:\s]/;

/** True for a chunk of comments and blanks only, which keeps a connection open. */
export function isHeartbeat(chunk: Buffer): boolean {
  const first = chunk[0] ?? SPACE;
  // Other lines begin with a brace or a field name, so one byte decides.
  return (first <= SPACE || first === COLON) && !HAS_FIELD.test(chunk.toString("latin1"));
}
