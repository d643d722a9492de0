import { Fault, toFault } from "../../core/fault.ts";
import { modelKey } from "../../core/model.ts";
import type { JsonObject } from "../../core/json.ts";
import type { Timings, Usage } from "../../core/usage.ts";
import { Gatherer, WholeLines } from "../../wire/lines.ts";
import type { PassthroughOptions, Relay } from "../protocol.ts";
import { gatherWhole } from "../whole.ts";
import { incomplete, isLast, parseReply, timingsOf, usageOf } from "./reply.ts";

const NEWLINE = 10;
const NOTHING: Buffer = Buffer.alloc(0);
/** How every error line starts; nothing else that Ollama sends starts so. */
const ERROR_START: Buffer = Buffer.from('{"error"');

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
    const whole = this.#lines.push(chunk);
    const error = errorLine(whole);
    if (error < 0) {
      if (!isBlank(whole)) this.#last = whole;
      return renameLines(whole, this.#rename);
    }
    this.#fault = faultAt(whole, error);
    // Lines before the error still reach the client; the fault is thrown with the next call.
    if (error === 0) throw this.#fault;
    return renameLines(whole.subarray(0, error), this.#rename);
  }

  end(): Buffer {
    if (this.#fault !== undefined) throw this.#fault;
    const rest = this.#lines.rest();
    this.#end = readLast(isBlank(rest) ? lastLine(this.#last) : rest);
    return renameLines(rest, this.#rename);
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
    const body = this.#body.peek();
    this.#end = readLast(body, this.#isWhole);
    return renameLines(body, this.#rename);
  }
}

/** Offset of the first line that is an error, or -1: a few byte tests for a chunk of one line. */
function errorLine(lines: Buffer): number {
  let start = 0;
  while (start < lines.length) {
    if (startsWith(lines, ERROR_START, start)) return start;
    const end = lines.indexOf(NEWLINE, start);
    if (end < 0) return -1;
    start = end + 1;
  }
  return -1;
}

function startsWith(bytes: Buffer, start: Buffer, offset: number): boolean {
  // The first two bytes of every object are the same; the third tells almost all of them apart.
  if (bytes[offset + 2] !== start[2] || bytes.length < offset + start.length) return false;
  return bytes.compare(start, 0, start.length, offset, offset + start.length) === 0;
}

function faultAt(lines: Buffer, offset: number): Fault {
  try {
    parseReply(lines.subarray(offset, lines.indexOf(NEWLINE, offset)));
  } catch (thrown) {
    return toFault(thrown);
  }
  return new Fault("backend_error", "the backend reported an error without saying which");
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
  return { usage: usageOf(reply), timings: timingsOf(reply) };
}

/** True for what can hold no object: nothing, or the end of a line. */
function isBlank(bytes: Buffer): boolean {
  return bytes.length <= 2;
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
