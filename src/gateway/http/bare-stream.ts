import { NO_LENGTH } from "./http10-grafts.ts";
import type { PendingWrite, PendingWrites } from "./pending-writes.ts";
import type { NativeResponse } from "./uws.ts";

const NO_BYTES = Buffer.alloc(0);

export interface BareOptions {
  readonly res: NativeResponse;
  readonly pendingWrites: PendingWrites;
  /** Called each time a full socket has room again. */
  readonly onDrain: () => void;
}

/**
 * A stream without chunks, which ends with its connection, for clients of HTTP/1.0. Native code has only an answer in
 * pieces for it, of a size that is never reached. Bytes that the socket does not take wait here. Native code keeps the
 * last bytes, and closes the connection when they have left.
 */
export class BareStream {
  readonly #options: BareOptions;
  #waiting: Buffer[] = [];
  #bytes = 0;
  #isFull = false;
  #isScheduled = false;
  #isEnding = false;
  #isOver = false;
  #pendingWrite: PendingWrite | undefined;

  /** Status and headers must have been written. */
  constructor(options: BareOptions) {
    this.#options = options;
    options.res.onWritable(() => this.#writable());
  }

  /** Takes a copy of the bytes. Returns false when the socket is full. */
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
    this.#pendingWrite = this.#options.pendingWrites.begin(this.#bytes, () => this.#options.res.close());
  }

  /** Ends the stream of a closed connection. */
  stop(): void {
    this.#isOver = true;
    this.#waiting = [];
    this.#pendingWrite?.end();
    this.#pendingWrite = undefined;
  }

  /** Flushes in the next turn, outside the cork of a handler: only there the socket shows how much it takes. */
  #flushSoon(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (!this.#isOver) this.#flush();
    });
  }

  #flush(): void {
    const bytes = Buffer.concat(this.#waiting);
    const taken = this.#push(bytes);
    this.#pendingWrite?.left(bytes.length - taken.bytes);
    this.#waiting = taken.bytes < bytes.length ? [bytes.subarray(taken.bytes)] : [];
    this.#bytes = bytes.length - taken.bytes;
    this.#isFull = !taken.isAll;
    if (!this.#isEnding || this.#bytes > 0) return;
    this.stop();
    const { res } = this.#options;
    res.cork(() => res.end(undefined, true));
  }

  /** Skips an empty piece, which native code reads as the end of the answer. */
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
