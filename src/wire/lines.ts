import { Fault } from "../core/fault.ts";

/** Longest line taken from a backend, in bytes: a reply without a newline must not fill the memory. */
export const MAX_LINE: number = 16 * 1024 * 1024;

const NEWLINE = 10;
const RETURN = 13;
const NOTHING: Buffer = Buffer.alloc(0);

function lineTooLong(): Fault {
  return new Fault("backend_lost", "the backend sent a line that is too long");
}

/** So many pieces are joined into one: a Buffer of one byte takes a hundred times its size. */
const MOST_LOOSE = 1024;

/** Gathers bytes up to a bound; large pieces are not copied before they are taken. */
export class Gatherer {
  readonly #max: number;
  readonly #tooMuch: () => Fault;
  #pieces: Buffer[] = [];
  /** How many of the last pieces were not joined yet. */
  #loose = 0;
  #length = 0;

  /**
   * @param max bytes
   * @param tooMuch what is thrown when more is to be held
   */
  constructor(max: number = MAX_LINE, tooMuch: () => Fault = lineTooLong) {
    this.#max = max;
    this.#tooMuch = tooMuch;
  }

  get length(): number {
    return this.#length;
  }

  /** The last byte held; undefined when there is none. */
  get lastByte(): number | undefined {
    return this.#pieces.at(-1)?.at(-1);
  }

  /** Throws when more than the bound is held. */
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

  /** Everything held, as one Buffer; it stays held. */
  peek(): Buffer {
    const [first] = this.#pieces;
    if (first === undefined) return NOTHING;
    if (this.#pieces.length === 1) return first;
    const joined = Buffer.concat(this.#pieces, this.#length);
    this.#pieces = [joined];
    this.#loose = 0;
    return joined;
  }

  /** Everything held and then `last`, as one Buffer; nothing is held afterwards. */
  takeWith(last: Buffer): Buffer {
    if (this.#length === 0 && last.length <= this.#max) return last;
    this.add(last);
    return this.take();
  }

  /** Everything held, as one Buffer; nothing is held afterwards. */
  take(): Buffer {
    const taken = this.peek();
    this.#pieces = [];
    this.#loose = 0;
    this.#length = 0;
    return taken;
  }
}

/**
 * Splits bytes into lines, whatever the split of the bytes into chunks. A line that lies within one chunk is
 * a view of the chunk, not a copy.
 */
export class LineSplitter {
  readonly #pending: Gatherer;

  /** @param max longest line in bytes, its carriage return included */
  constructor(max: number = MAX_LINE) {
    this.#pending = new Gatherer(max);
  }

  /** The lines that are complete now, without their `\n` or `\r\n`. Throws `backend_lost` for one too long. */
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
 * For relays: hands over as many whole lines as there are, in one piece and with their newlines. A chunk that
 * ends in a newline goes through untouched.
 */
export class WholeLines {
  readonly #pending: Gatherer;

  /** @param max bytes held while a line is not complete */
  constructor(max: number = MAX_LINE) {
    this.#pending = new Gatherer(max);
  }

  /** Empty when no line is complete. Throws `backend_lost` for a line too long. */
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
