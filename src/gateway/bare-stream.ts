import { NO_LENGTH } from "./http10-grafts.ts";
import type { Tail, Tails } from "./tails.ts";
import type { NativeResponse } from "./uws.ts";

const NO_BYTES = Buffer.alloc(0);

export interface BareOptions {
  readonly res: NativeResponse;
  readonly tails: Tails;
  /** Called each time a full socket has room again. */
  readonly onDrain: () => void;
}

/**
 * A stream without chunks, which ends with its connection: what a client of HTTP/1.0 is sent. Native code has only an
 * answer in pieces for it, of a size that is never reached. What the socket does not take is kept here; the last bytes
 * are native code's, which closes the connection when they have left.
 */
export class BareStream {
  readonly #options: BareOptions;
  #waiting: Buffer[] = [];
  #bytes = 0;
  #isFull = false;
  #isAsked = false;
  #isEnding = false;
  #isOver = false;
  #tail: Tail | undefined;

  /** Status and headers must have been written. */
  constructor(options: BareOptions) {
    this.#options = options;
    options.res.onWritable(() => this.#writable());
  }

  /** Takes bytes, which are copied; false when the socket is full. */
  write(bytes: Buffer): boolean {
    this.#waiting.push(Buffer.from(bytes));
    this.#bytes += bytes.length;
    this.#flushSoon();
    return !this.#isFull;
  }

  /** Closes the connection when all has left. */
  end(last: Buffer = NO_BYTES): void {
    this.#isEnding = true;
    this.write(last);
    this.#tail = this.#options.tails.begin(this.#bytes, () => this.#options.res.close());
  }

  /** The connection has gone. */
  stop(): void {
    this.#isOver = true;
    this.#waiting = [];
    this.#tail?.end();
    this.#tail = undefined;
  }

  /** In a turn of its own, outside the cork of a handler: how much the socket takes is known only there. */
  #flushSoon(): void {
    if (this.#isAsked) return;
    this.#isAsked = true;
    setImmediate(() => {
      this.#isAsked = false;
      if (!this.#isOver) this.#flush();
    });
  }

  #flush(): void {
    const bytes = Buffer.concat(this.#waiting);
    const taken = this.#push(bytes);
    this.#tail?.left(bytes.length - taken.bytes);
    this.#waiting = taken.bytes < bytes.length ? [bytes.subarray(taken.bytes)] : [];
    this.#bytes = bytes.length - taken.bytes;
    this.#isFull = !taken.isAll;
    if (!this.#isEnding || this.#bytes > 0) return;
    this.stop();
    const { res } = this.#options;
    res.cork(() => res.end(undefined, true));
  }

  /** An empty piece would be the end of the answer to native code. */
  #push(bytes: Buffer): { readonly bytes: number; readonly isAll: boolean } {
    if (bytes.length === 0) return { bytes: 0, isAll: true };
    const { res } = this.#options;
    const before = res.getWriteOffset();
    let isAll = false;
    res.cork(() => {
      [isAll] = res.tryEnd(bytes, NO_LENGTH);
    });
    return { bytes: res.getWriteOffset() - before, isAll };
  }

  #writable(): boolean {
    this.#options.res.cork(() => {});
    if (this.#isOver) return true;
    this.#flush();
    if (!this.#isFull && !this.#isEnding) this.#options.onDrain();
    return true;
  }
}
