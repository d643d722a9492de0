import { type Fault, toFault } from "../../core/fault.ts";
import type { JsonObject } from "../../core/json.ts";
import type { Timings, Usage } from "../../core/usage.ts";
import { ChunkBuffer, LineAligner } from "../../wire/lines.ts";
import type { PassthroughOptions, Relay } from "../codec.ts";
import { withoutBomBytes } from "../reply-format.ts";
import { replyBuffer } from "../reply-limits.ts";
import { type Rename, renameLines, modelRename } from "./model-rename.ts";
import { joinLines, opensObject } from "./reply-conversion.ts";
import {
  endOf,
  incompleteReply,
  isBlank,
  isFinalObject,
  parseReplyLine,
  timingsOf,
  usageOf,
} from "./backend-reply.ts";

const NEWLINE = 10;
const NOTHING: Buffer = Buffer.alloc(0);
const BRACE = 0x7b;
const QUOTE = 0x22;
/** The first letter of the key `model`. */
const MODEL_START = 0x6d;
/** The key of an error line. Inside a text its quotes are escaped. */
const ERROR_KEY: Buffer = Buffer.from('"error"');

/** Forwards the reply of an Ollama backend: lines as they come, or one object when it is complete. */
export function relayReply({ stream, asked, model }: PassthroughOptions): Relay {
  const rename = modelRename(asked, model);
  return stream ? new LineStreamRelay(rename) : new ObjectRelay(rename, new ChunkBuffer(), isFinalObject);
}

/** Forwards the vectors of an Ollama backend: one object when it is complete. */
export function relayVectors({ asked, model }: PassthroughOptions): Relay {
  return new ObjectRelay(modelRename(asked, model), replyBuffer(), hasVectors);
}

function hasVectors(reply: JsonObject): boolean {
  return Array.isArray(reply["embeddings"] ?? reply["embedding"]);
}

class LineStreamRelay implements Relay {
  readonly #lines = new LineAligner();
  readonly #rename: Rename | undefined;
  /** The bytes forwarded last. Their last line shows whether the reply is complete. */
  #last: Buffer = NOTHING;
  #begun = false;
  /** Takes a reply whose first line is no whole object. */
  #objectRelay: ObjectRelay | undefined;
  #fault: Fault | undefined;
  #end: FinalCounts | undefined;

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
    if (this.#objectRelay !== undefined) return this.#objectRelay.push(chunk);
    const lines = this.#begin(this.#lines.push(chunk));
    const needsCheck = mayHaveErrors(lines);
    const kept = needsCheck ? withoutBlanks(lines) : lines;
    const error = needsCheck ? this.#findError(kept) : -1;
    if (error < 0) {
      if (kept.length > 0) this.#last = kept;
      return renameLines(kept, this.#rename);
    }
    // Lines before the error still reach the client. The next call throws the fault.
    if (error === 0) throw toFault(this.#fault);
    return renameLines(kept.subarray(0, error), this.#rename);
  }

  /** Removes a byte order mark from the first lines. Returns nothing when they begin one object on several lines. */
  #begin(lines: Buffer): Buffer {
    if (this.#begun || isBlank(lines)) return lines;
    this.#begun = true;
    const bytes = withoutBomBytes(lines);
    if (bytes[0] === BRACE && bytes[1] === QUOTE) return bytes;
    const first = bytes.subarray(0, bytes.indexOf(NEWLINE) + 1);
    if (!opensObject(first)) return bytes;
    this.#objectRelay = new ObjectRelay(this.#rename, replyBuffer(), isFinalObject);
    this.#objectRelay.push(bytes);
    this.#objectRelay.push(this.#lines.rest());
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
    if (this.#objectRelay !== undefined) return this.#endObject(this.#objectRelay);
    const rest = withoutBomBytes(this.#lines.rest());
    if (isBlank(rest)) {
      this.#end = readLast(lastLine(this.#last));
      return NOTHING;
    }
    this.#end = readLast(rest);
    return renameLines(rest, this.#rename);
  }

  /** Returns the object as one line, as clients of a stream read it. */
  #endObject(objectRelay: ObjectRelay): Buffer {
    const reply = parseReplyLine(objectRelay.end());
    this.#end = { usage: objectRelay.usage, timings: objectRelay.timings };
    return Buffer.from(`${JSON.stringify(reply)}\n`);
  }
}

class ObjectRelay implements Relay {
  readonly #rename: Rename | undefined;
  readonly #body: ChunkBuffer;
  readonly #isEnd: (reply: JsonObject) => boolean;
  #end: FinalCounts | undefined;

  constructor(rename: Rename | undefined, body: ChunkBuffer, isEnd: (reply: JsonObject) => boolean) {
    this.#rename = rename;
    this.#body = body;
    this.#isEnd = isEnd;
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
    const body = joinLines(withoutBomBytes(this.#body.peek()));
    this.#end = readLast(body, this.#isEnd);
    return renameLines(body, this.#rename);
  }
}

/** Removes blank lines, which clients would parse as objects. */
function withoutBlanks(lines: Buffer): Buffer {
  const kept: Buffer[] = [];
  for (let start = 0, end = 0; start < lines.length; start = end) {
    end = lines.indexOf(NEWLINE, start) + 1 || lines.length;
    const line = lines.subarray(start, end);
    if (!isBlank(line)) kept.push(line);
  }
  return Buffer.concat(kept);
}

/** True when a line may be blank or an error: it does not begin with `{"m`, as lines with content do. */
function mayHaveErrors(lines: Buffer): boolean {
  for (let start = 0; start < lines.length;) {
    if (lines[start] !== BRACE || lines[start + 2] !== MODEL_START) return true;
    start = lines.indexOf(NEWLINE, start) + 1 || lines.length;
  }
  return false;
}

/** The fault of an error line; undefined for another line. */
function faultOfLine(line: Buffer): Fault | undefined {
  try {
    parseReplyLine(line);
  } catch (thrown) {
    return toFault(thrown);
  }
  return undefined;
}

/** The counts and durations of the last object. */
interface FinalCounts {
  readonly usage: Usage | undefined;
  readonly timings: Timings | undefined;
}

/** Throws the backend's fault, or `backend_lost` when this is not the last object of a reply. */
function readLast(line: Buffer, isEnd = isFinalObject): FinalCounts {
  if (isBlank(line)) throw incompleteReply();
  const reply = parseReplyLine(line);
  if (!isEnd(reply)) throw incompleteReply();
  // Throws for a reason that stands for a failure.
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
