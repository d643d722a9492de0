/**
 * Tokens that carry their own index, and the scanner that checks them: the backend writes them, the load verifies them.
 */

const MARK = 0x7e;
const SPACE = 0x20;
const ZERO = 0x30;

/** Text of the token at `index`: a mark that occurs nowhere else in a reply, the index, a space. */
export function tokenText(index: number): string {
  return `~${index} `;
}

/** Text of the tokens `0 .. count - 1` in one piece. */
export function answerText(count: number): string {
  return Array.from({ length: count }, (_, index) => tokenText(index)).join("");
}

/**
 * Counts the tokens in the bytes of one reply, split anywhere, and detects each token out of order. A reply is complete
 * when all expected tokens came in order, followed by the end mark of its dialect.
 */
export class TokenScanner {
  readonly #expected: number;
  readonly #endMark: Uint8Array;
  #next = 0;
  #value = -1;
  #matched = 0;
  #broken = false;

  /**
   * @param expected tokens in the reply
   * @param endMark text that ends a reply, after the last token
   */
  constructor(expected: number, endMark: string) {
    this.#expected = expected;
    this.#endMark = Buffer.from(endMark);
  }

  /** Tokens seen in order so far. */
  get seen(): number {
    return this.#next;
  }

  /** A token was missing, repeated, out of order or past the expected end. */
  get broken(): boolean {
    return this.#broken;
  }

  /** All tokens and then the end mark were seen. */
  get whole(): boolean {
    return !this.#broken && this.#next === this.#expected && this.#matched === this.#endMark.length;
  }

  /** Makes ready for the next reply. */
  reset(): void {
    this.#next = 0;
    this.#value = -1;
    this.#matched = 0;
    this.#broken = false;
  }

  /** Takes the bytes `start .. end - 1` of `bytes`. */
  feed(bytes: Uint8Array, start: number, end: number): void {
    for (let at = start; at < end; at += 1) {
      const byte = bytes[at] ?? 0;
      if (this.#value >= 0) this.#digit(byte);
      else if (byte === MARK) this.#value = 0;
      else if (this.#next === this.#expected) this.#matchEnd(byte);
    }
  }

  #digit(byte: number): void {
    if (byte !== SPACE) {
      this.#value = this.#value * 10 + byte - ZERO;
      return;
    }
    if (this.#value === this.#next && this.#next < this.#expected) this.#next += 1;
    else this.#broken = true;
    this.#value = -1;
  }

  #matchEnd(byte: number): void {
    if (this.#matched === this.#endMark.length) return;
    if (byte === this.#endMark[this.#matched]) this.#matched += 1;
    else this.#matched = byte === this.#endMark[0] ? 1 : 0;
  }
}
