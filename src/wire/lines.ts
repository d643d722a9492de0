import { Fault } from "../core/fault.ts";

/** Longest line of a backend, bytes. A reply without a newline must not fill the memory. */
const MAX_LINE: number = 16 * 1024 * 1024;

const NEWLINE = 10;
const RETURN = 13;
const NOTHING: Buffer = Buffer.alloc(0);

function lineTooLong(): Fault {
  return new Fault("backend_lost", "the backend sent a line that is too long");
}

/** Small pieces that are joined into one. A Buffer of one byte takes a hundred times its size. */
const MOST_LOOSE = 1024;

/** Buffers bytes up to a limit. Large pieces are not copied until they are taken. */
export class ChunkBuffer {
  readonly #max: number;
  readonly #tooMuch: () => Fault;
  #pieces: Buffer[] = [];
  /** Number of last pieces that are not joined yet. */
  #loose = 0;
  #length = 0;

  /**
   * @param max most bytes
   * @param tooMuch the fault to throw beyond them
   */
  constructor(max: number = MAX_LINE, tooMuch: () => Fault = lineTooLong) {
    this.#max = max;
    this.#tooMuch = tooMuch;
  }

  get length(): number {
    return this.#length;
  }

  /** The last buffered byte; undefined when empty. */
  get lastByte(): number | undefined {
    return this.#pieces.at(-1)?.at(-1);
  }

  /** Throws when the limit is exceeded. */
  add(piece: Buffer): void {
    this.#length += piece.length;
    if (this.#length > this.#max) throw this.#tooMuch();
    this.#pieces.push(piece);
    this.#loose += 1;
    if (this.#loose === MOST_LOOSE) this.#joinLoose();
  }

  #joinLoose(): void {
    this.#pieces.push(Buffer.concat(this.#pieces.splice(-this.#loose)));
    this.#loose = 0;
  }

  /** Returns all bytes as one Buffer and keeps them. */
  peek(): Buffer {
    const [first] = this.#pieces;
    if (first === undefined) return NOTHING;
    if (this.#pieces.length === 1) return first;
    const joined = Buffer.concat(this.#pieces, this.#length);
    this.#pieces = [joined];
    this.#loose = 0;
    return joined;
  }

  /** Returns all bytes and then `last` as one Buffer, and empties the buffer. */
  takeWith(last: Buffer): Buffer {
    if (this.#length === 0 && last.length <= this.#max) return last;
    this.add(last);
    return this.take();
  }

  /** Returns all bytes as one Buffer, and empties the buffer. */
  take(): Buffer {
    const taken = this.peek();
    this.#pieces = [];
    this.#loose = 0;
    this.#length = 0;
    return taken;
  }
}

/** Splits bytes into lines, for any split into chunks. A line within one chunk is a view of it, not a copy. */
export class LineSplitter {
  readonly #pending: ChunkBuffer;

  /** @param max longest line with its carriage return, bytes */
  constructor(max: number = MAX_LINE) {
    this.#pending = new ChunkBuffer(max);
  }

  /**
   * Returns the complete lines without `
   * ` or `\r
   * `. Throws `backend_lost` for a line that is too long.
   */
  push(chunk: Buffer): Buffer[] {
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      lines.push(withoutReturn(this.#pending.takeWith(chunk.subarray(start, end))));
      start = end + 1;
    }
    if (start < chunk.length) this.#pending.add(start === 0 ? chunk : chunk.subarray(start));
    return lines;
  }

  /** The bytes after the last newline. */
  rest(): Buffer {
    return this.#pending.peek();
  }
}

function withoutReturn(line: Buffer): Buffer {
  return line.at(-1) === RETURN ? line.subarray(0, -1) : line;
}

/**
 * For relays: returns all complete lines in one piece, with their newlines. A chunk that ends in a newline passes
 * unchanged.
 */
export class LineAligner {
  readonly #pending: ChunkBuffer;

  /** @param max most bytes of an incomplete line */
  constructor(max: number = MAX_LINE) {
    this.#pending = new ChunkBuffer(max);
  }

  /** Returns no bytes when no line is complete. Throws `backend_lost` for a line that is too long. */
  push(chunk: Buffer): Buffer {
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    if (end === 0) {
      if (chunk.length > 0) this.#pending.add(chunk);
      return NOTHING;
    }
    const head = end === chunk.length ? chunk : chunk.subarray(0, end);
    const whole = this.#pending.length === 0 ? head : this.#pending.takeWith(head);
    if (end < chunk.length) this.#pending.add(chunk.subarray(end));
    return whole;
  }

  /** The bytes after the last newline. */
  rest(): Buffer {
    return this.#pending.peek();
  }
}
