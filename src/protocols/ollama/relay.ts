import { type Fault, toFault } from "../../core/fault.ts";
import { modelKey } from "../../core/model.ts";
import type { JsonObject } from "../../core/json.ts";
import type { Timings, Usage } from "../../core/usage.ts";
import { Gatherer, WholeLines } from "../../wire/lines.ts";
import type { PassthroughOptions, Relay } from "../protocol.ts";
import { withoutMarkBytes } from "../reply-form.ts";
import { gatherWhole } from "../whole.ts";
import { joinLines, opensObject } from "./reshape.ts";
import { endOf, incomplete, isBlank, isLast, parseReply, timingsOf, usageOf } from "./reply.ts";

const NEWLINE = 10;
const NOTHING: Buffer = Buffer.alloc(0);
const BRACE = 0x7b;
const QUOTE = 0x22;
/** The letter that follows `{"`. */
const MODEL_START = 0x6d;
/** A key of an error line; within a text its quotes are escaped. */
const ERROR_KEY: Buffer = Buffer.from('"error"');

/** How the name that the backend uses is taken out of its reply; undefined when it is what the client asked. */
interface Rename {
  readonly asked: string;
  readonly from: Buffer;
  readonly to: Buffer;
}

/** Forwards the reply of an Ollama backend: lines as they come, or one object once it is complete. */
export function relayReply({ stream, asked, model }: PassthroughOptions): Relay {
  const rename = renaming(asked, model);
  return stream ? new StreamRelay(rename) : new WholeRelay(rename, new Gatherer(), isLast);
}

/** Forwards the vectors of an Ollama backend: one object once it is complete. */
export function relayVectors({ asked, model }: PassthroughOptions): Relay {
  return new WholeRelay(renaming(asked, model), gatherWhole(), hasVectors);
}

function hasVectors(reply: JsonObject): boolean {
  return Array.isArray(reply["embeddings"] ?? reply["embedding"]);
}

function renaming(asked: string, model: string): Rename | undefined {
  if (modelKey(asked) === modelKey(model)) return undefined;
  return { asked, from: objectStart(model), to: objectStart(asked) };
}

/** Ollama writes the model first. */
function objectStart(model: string): Buffer {
  return Buffer.from(`{"model":${JSON.stringify(model)}`);
}

class StreamRelay implements Relay {
  readonly #lines = new WholeLines();
  readonly #rename: Rename | undefined;
  /** What was forwarded last: its last line tells whether the reply is complete. */
  #last: Buffer = NOTHING;
  #begun = false;
  /** Takes a reply whose first line is no object. */
  #whole: WholeRelay | undefined;
  #fault: Fault | undefined;
  #end: Told | undefined;

  constructor(rename: Rename | undefined) {
    this.#rename = rename;
  }

  get usage(): Usage | undefined {
    return this.#end?.usage;
  }

  get timings(): Timings | undefined {
    return this.#end?.timings;
  }

  push(chunk: Buffer): Buffer {
    if (this.#fault !== undefined) throw this.#fault;
    if (this.#whole !== undefined) return this.#whole.push(chunk);
    const lines = this.#begin(this.#lines.push(chunk));
    const isOdd = hasOdd(lines);
    const whole = isOdd ? withoutBlanks(lines) : lines;
    const error = isOdd ? this.#findError(whole) : -1;
    if (error < 0) {
      if (whole.length > 0) this.#last = whole;
      return renameLines(whole, this.#rename);
    }
    // Lines before the error still reach the client; the fault is thrown with the next call.
    if (error === 0) throw toFault(this.#fault);
    return renameLines(whole.subarray(0, error), this.#rename);
  }

  /** The first lines without a byte order mark; nothing when they are the beginning of one object on several lines. */
  #begin(lines: Buffer): Buffer {
    if (this.#begun || isBlank(lines)) return lines;
    this.#begun = true;
    const bytes = withoutMarkBytes(lines);
    if (bytes[0] === BRACE && bytes[1] === QUOTE) return bytes;
    const first = bytes.subarray(0, bytes.indexOf(NEWLINE) + 1);
    if (!opensObject(first)) return bytes;
    this.#whole = new WholeRelay(this.#rename, gatherWhole(), isLast);
    this.#whole.push(bytes);
    this.#whole.push(this.#lines.rest());
    return NOTHING;
  }

  /** Offset of the first line that is an error, or -1. */
  #findError(lines: Buffer): number {
    for (let start = 0, end = 0; start < lines.length; start = end) {
      end = lines.indexOf(NEWLINE, start) + 1 || lines.length;
      const line = lines.subarray(start, end);
      this.#fault = line.includes(ERROR_KEY) ? faultOfLine(line) : undefined;
      if (this.#fault !== undefined) return start;
    }
    return -1;
  }

  end(): Buffer {
    if (this.#fault !== undefined) throw this.#fault;
    if (this.#whole !== undefined) return this.#endWhole(this.#whole);
    const rest = withoutMarkBytes(this.#lines.rest());
    if (isBlank(rest)) {
      this.#end = readLast(lastLine(this.#last));
      return NOTHING;
    }
    this.#end = readLast(rest);
    return renameLines(rest, this.#rename);
  }

  /** One line, as clients of a stream read it. */
  #endWhole(whole: WholeRelay): Buffer {
    const reply = parseReply(whole.end());
    this.#end = { usage: whole.usage, timings: whole.timings };
    return Buffer.from(`${JSON.stringify(reply)}\n`);
  }
}

class WholeRelay implements Relay {
  readonly #rename: Rename | undefined;
  readonly #body: Gatherer;
  readonly #isWhole: (reply: JsonObject) => boolean;
  #end: Told | undefined;

  constructor(rename: Rename | undefined, body: Gatherer, isWhole: (reply: JsonObject) => boolean) {
    this.#rename = rename;
    this.#body = body;
    this.#isWhole = isWhole;
  }

  get usage(): Usage | undefined {
    return this.#end?.usage;
  }

  get timings(): Timings | undefined {
    return this.#end?.timings;
  }

  push(chunk: Buffer): Buffer {
    this.#body.add(chunk);
    return NOTHING;
  }

  end(): Buffer {
    const body = joinLines(withoutMarkBytes(this.#body.peek()));
    this.#end = readLast(body, this.#isWhole);
    return renameLines(body, this.#rename);
  }
}

/** The lines without those that hold nothing: clients take every line for an object. */
function withoutBlanks(lines: Buffer): Buffer {
  const kept: Buffer[] = [];
  for (let start = 0, end = 0; start < lines.length; start = end) {
    end = lines.indexOf(NEWLINE, start) + 1 || lines.length;
    const line = lines.subarray(start, end);
    if (!isBlank(line)) kept.push(line);
  }
  return Buffer.concat(kept);
}

/** True when a line may be blank or an error: it does not begin as those with a piece of the answer, `{"model"`. */
function hasOdd(lines: Buffer): boolean {
  for (let start = 0; start < lines.length;) {
    if (lines[start] !== BRACE || lines[start + 2] !== MODEL_START) return true;
    start = lines.indexOf(NEWLINE, start) + 1 || lines.length;
  }
  return false;
}

function startsWith(bytes: Buffer, start: Buffer, offset: number): boolean {
  // The first two bytes of every object are the same; the third tells almost all of them apart.
  if (bytes[offset + 2] !== start[2] || bytes.length < offset + start.length) return false;
  return bytes.compare(start, 0, start.length, offset, offset + start.length) === 0;
}

/** The fault that a line tells; undefined when it is none. */
function faultOfLine(line: Buffer): Fault | undefined {
  try {
    parseReply(line);
  } catch (thrown) {
    return toFault(thrown);
  }
  return undefined;
}

/** What the object that ends a reply tells. */
interface Told {
  readonly usage: Usage | undefined;
  readonly timings: Timings | undefined;
}

/** Throws the backend's fault, or `backend_lost` when this is not the object that ends a reply. */
function readLast(line: Buffer, isEnd = isLast): Told {
  if (isBlank(line)) throw incomplete();
  const reply = parseReply(line);
  if (!isEnd(reply)) throw incomplete();
  // A reason may stand for a failure.
  if (reply["done"] === true) endOf(reply, false);
  return { usage: usageOf(reply), timings: timingsOf(reply) };
}

/** The last line that is not empty. */
function lastLine(lines: Buffer): Buffer {
  let end = lines.length;
  while (end > 0 && lines[end - 1] === NEWLINE) end -= 1;
  if (end === 0) return NOTHING;
  return lines.subarray(lines.lastIndexOf(NEWLINE, end - 1) + 1, end);
}

/** The lines with the name the client asked for: bytes are put before bytes, nothing is parsed. */
function renameLines(lines: Buffer, rename: Rename | undefined): Buffer {
  if (rename === undefined || lines.length === 0) return lines;
  const pieces: Buffer[] = [];
  for (let start = 0, end = 0; start < lines.length; start = end) {
    end = lines.indexOf(NEWLINE, start) + 1 || lines.length;
    if (startsWith(lines, rename.from, start)) {
      pieces.push(rename.to, lines.subarray(start + rename.from.length, end));
    } else {
      pieces.push(renameObject(lines.subarray(start, end), rename.asked));
    }
  }
  return Buffer.concat(pieces);
}

/** For a backend that puts its keys in another order. */
function renameObject(line: Buffer, asked: string): Buffer {
  if (isBlank(line)) return line;
  const reply = parseReply(line);
  if (reply["model"] === undefined) return line;
  const ending = line.at(-1) === NEWLINE ? "\n" : "";
  return Buffer.from(JSON.stringify({ ...reply, model: asked }) + ending);
}
